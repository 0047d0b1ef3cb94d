"""System calls that fail, or kill their caller, in a real process: by strace.

What strace counts (``when``, ``nth``) it counts for each thread and each system call by itself.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Self

import pytest

from tests.faults.process import Child

_ATTACHED_WITHIN_S = 10.0
_DETACHED_WITHIN_S = 10.0


class FailingSyscalls:
    """Lets system calls of a process fail while the context lasts; they are not carried out.

    ``target`` is the number of a running process, to all of whose threads strace attaches and from which it
    lets go at the end; or a command, which is started as ``child`` with strace around it and killed at the end.
    ``calls`` are names with commas; ``when`` is strace's: "3" the third alone, "3+" from the third on, "2+2"
    every second; by default all. A call that is already under way is spared. Skips the test without strace or
    without the right to trace. Children of the target are treated like it.
    """

    child: Child

    def __init__(
        self,
        target: int | Sequence[str],
        calls: str = "fdatasync,fsync,pwrite64",
        error: str = "EIO",
        when: str | None = None,
    ) -> None:
        self._start(target, calls, f"error={error}" + (f":when={when}" if when else ""))

    def _start(self, target: int | Sequence[str], calls: str, fault: str) -> None:
        missing = _what_is_missing()
        if missing is not None:
            pytest.skip(missing)
        self._target = target
        self._strace = [
            "strace",
            "-f",
            "-qq",
            "-e",
            f"trace={calls}",
            "-e",
            f"inject={calls}:{fault}",
            "-o",
            "/dev/null",
        ]

    def __enter__(self) -> Self:
        if isinstance(self._target, int):
            self._attach(self._target)
        else:
            # -D: the tracer is the grandchild, so that signals and the exit code are the command's own.
            self.child = Child([*self._strace, "-D", *self._target]).__enter__()
        return self

    def _attach(self, pid: int) -> None:
        command = [*self._strace, "-p", str(pid)]
        self._tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
        deadline = time.monotonic() + _ATTACHED_WITHIN_S
        try:
            while not _is_traced(pid):
                assert self._tracer.poll() is None, f"strace ended: {self._tracer.communicate()[1]}"
                assert time.monotonic() < deadline, "strace did not attach"
                os.sched_yield()
        except BaseException:
            self._detach()
            raise

    def _detach(self) -> None:
        self._tracer.send_signal(signal.SIGINT)
        try:
            self._tracer.communicate(timeout=_DETACHED_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._tracer.kill()
            self._tracer.communicate()

    def __exit__(self, *_: object) -> None:
        if isinstance(self._target, int):
            self._detach()
        else:
            self.child.__exit__()


class KilledAt(FailingSyscalls):
    """Starts a command as ``child`` that gets SIGKILL on entering its ``nth`` such call, which is not carried out.

    ``child.ends(...)`` is then -9.
    """

    def __init__(self, command: Sequence[str], call: str, nth: int) -> None:
        self._start(command, call, f"signal=SIGKILL:when={nth}")


@lru_cache(maxsize=1)
def _what_is_missing() -> str | None:
    if shutil.which("strace") is None:
        return "strace, to let system calls fail"
    tried = subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True, check=False)
    return None if tried.returncode == 0 else "ptrace (not permitted), to let system calls fail"


def _is_traced(pid: int) -> bool:
    """Whether every thread is traced: the one that writes is seldom the first."""
    try:
        threads = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status")]
    except (FileNotFoundError, ProcessLookupError):  # a thread ended meanwhile
        return False
    return bool(threads) and all("\nTracerPid:\t0\n" not in status for status in threads)
