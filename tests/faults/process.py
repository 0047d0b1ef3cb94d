"""Real child processes whose output and end a test can wait for."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

_LOOK_EVERY_S = 0.05


class Victim:
    """A child process in a session of its own; its output lies in a file; reaped at the end, however it went."""

    def __init__(self, log: Path, *arguments: str, module: str = "thirdrail") -> None:
        self._log, self._command = log, [sys.executable, "-m", module, *arguments]

    def __enter__(self) -> Self:
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                self._command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def output(self) -> str:
        """What it has printed."""
        return self._log.read_text(errors="replace")

    def send(self, number: int) -> None:
        """Send a signal to the process alone."""
        self.process.send_signal(number)

    def until(self, holds: Callable[[], object], within_s: float, what: str) -> None:
        """Wait until something holds; fail when it does not in time, or when the process ends before."""
        deadline = time.monotonic() + within_s
        while not holds():
            assert self.process.poll() is None, f"it ended with {self.process.returncode} before {what}: {self.output}"
            assert time.monotonic() < deadline, f"not within {within_s:.0f} s: {what}: {self.output}"
            time.sleep(_LOOK_EVERY_S)

    def until_said(self, text: str, within_s: float = 20) -> None:
        """Wait until it has printed a text."""
        self.until(lambda: text in self.output, within_s, f"it says {text!r}")

    def ends(self, within_s: float) -> int:
        """Give its exit code; fail when it does not end in time."""
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end within {within_s:.0f} s: {self.output}") from None


def run_once(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run the command line to its end."""
    command: Sequence[str] = [sys.executable, "-m", "thirdrail", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
