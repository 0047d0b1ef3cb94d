"""Real child processes whose output and end a test can wait for."""

import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Self

from thirdrail.cli.main import run as command_line

_LOOK_EVERY_S = 0.05
_STOPS_WITHIN_S = 5.0
_PRINTING = threading.Lock()  # `sys.stdout` is everybody's


def eventually(holds: Callable[[], object], within_s: float, what: str, every_s: float = _LOOK_EVERY_S) -> None:
    """Wait until something holds; fail with its name when it does not in time. Blocks; looks at least once."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(every_s)


class Child:
    """A real child process in a session of its own, to be killed, stopped or interrupted.

    Its output (both streams) is appended to ``log``, by default a temporary file, and is shown when a wait
    fails. ``env`` is added to this process's environment. At the end all of its session's first process group
    is killed and the child reaped, however the test went.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None, log: Path | None = None) -> None:
        self._command, self._env = list(command), {**os.environ, **(env or {})}
        self._log, self._is_own_log = log, log is None

    def __enter__(self) -> Self:
        if self._log is None:
            handle, name = tempfile.mkstemp(prefix="child-", suffix=".log")
            os.close(handle)
            self._log = Path(name)
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                self._command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, env=self._env
            )
        return self

    def __exit__(self, *_: object) -> None:
        # Once the child is reaped its number may belong to a stranger; while its group has members it cannot.
        if self.process.poll() is None or not Path(f"/proc/{self.process.pid}").exists():
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self._is_own_log and self._log is not None:
            self._last_words = self.output
            self._log.unlink()
            self._log = None

    @property
    def output(self) -> str:
        """What it has printed; also after the end."""
        return self._last_words if self._log is None else self._log.read_text(errors="replace")

    def send(self, number: int) -> None:
        """Send a signal to the process alone."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, to the process alone, which is reaped: what it began in memory is gone."""
        self.send(signal.SIGKILL)
        self.process.wait()

    def interrupt(self) -> None:
        """SIGINT, as by Ctrl-C."""
        self.send(signal.SIGINT)

    def terminate(self) -> None:
        """SIGTERM, as by a service manager."""
        self.send(signal.SIGTERM)

    def stop(self) -> None:
        """SIGSTOP; returns once it stands still. Its connections and locks stay."""
        self.send(signal.SIGSTOP)
        eventually(lambda: self._state() in "Tt", _STOPS_WITHIN_S, "it stands still", every_s=0.005)

    def wake(self) -> None:
        """SIGCONT: it goes on where it was; harmless when it runs."""
        self.send(signal.SIGCONT)

    def freeze(self, seconds: float) -> None:
        """Stop it for that long, then wake it. Blocks; use ``stop`` and ``wake`` to do something meanwhile."""
        self.stop()
        try:
            time.sleep(seconds)
        finally:
            self.wake()

    def _state(self) -> str:
        # "pid (name) state ...", and the name may hold anything.
        return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def until(self, holds: Callable[[], object], within_s: float, what: str) -> None:
        """Wait until something holds; fail when it does not in time, or when the process ends before."""
        deadline = time.monotonic() + within_s
        while True:
            code = self.process.poll()  # before the look: its last act may be what is waited for
            began = time.monotonic()
            if holds():
                return
            assert code is None, f"it ended with {code} before {what}: {self.output}"
            assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}: {self.output}"
            # A look that costs much is made seldom: it takes the machine from what is looked at.
            time.sleep(max(_LOOK_EVERY_S, 2 * (time.monotonic() - began)))

    def until_said(self, text: str, within_s: float = 20) -> None:
        """Wait until it has printed a text."""
        self.until(lambda: text in self.output, within_s, f"it says {text!r}")

    def wait_for(self, what: str | Callable[[], object], timeout: float = 20) -> None:
        """Wait until it has printed a text, or until something holds."""
        if isinstance(what, str):
            self.until_said(what, timeout)
        else:
            self.until(what, timeout, getattr(what, "__name__", "what is waited for"))

    def ends(self, within_s: float) -> int:
        """Give its exit code (minus the signal that ended it); fail when it does not end in time."""
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end within {within_s:g} s: {self.output}") from None


class Victim(Child):
    """A child that runs a Python module, by default the command line of ``thirdrail``."""

    def __init__(self, log: Path, *arguments: str, module: str = "thirdrail") -> None:
        super().__init__([sys.executable, "-m", module, *arguments], log=log)


def run_once(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run the command line to its end."""
    command: Sequence[str] = [sys.executable, "-m", "thirdrail", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def run_here(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Give what ``run_once`` does of a command that asks, in this process: to start one costs two seconds of CPU."""
    words = [*map(str, arguments)]
    with _PRINTING, redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = command_line(words)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())
