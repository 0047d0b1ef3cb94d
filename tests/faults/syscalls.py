"""System calls that fail in a running process, by strace."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Self

import pytest

_ATTACHED_WITHIN_S = 10.0


class FailingSyscalls:
    """Lets system calls of a running process fail while the context lasts."""

    def __init__(self, pid: int, calls: str, error: str) -> None:
        if shutil.which("strace") is None:
            pytest.skip("strace, to let system calls fail")
        inject = ["-e", f"trace={calls}", "-e", f"inject={calls}:error={error}"]
        self._command = ["strace", "-f", "-qq", *inject, "-o", "/dev/null", "-p", str(pid)]
        self._pid = pid

    def __enter__(self) -> Self:
        self._strace = subprocess.Popen(self._command, stderr=subprocess.PIPE, start_new_session=True)
        deadline = time.monotonic() + _ATTACHED_WITHIN_S
        while not self._is_traced():
            assert self._strace.poll() is None, self._strace.stderr and self._strace.stderr.read()
            assert time.monotonic() < deadline, "strace did not attach"
            os.sched_yield()
        return self

    def _is_traced(self) -> bool:
        with Path(f"/proc/{self._pid}/status").open() as file:
            return any(line.startswith("TracerPid:") and not line.endswith("\t0\n") for line in file)

    def __exit__(self, *_: object) -> None:
        self._strace.send_signal(signal.SIGINT)
        self._strace.communicate()
