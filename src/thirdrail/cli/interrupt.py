"""Ctrl-C and SIGTERM between commits: the first asks, the second Ctrl-C stops at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import click


class Stopping(threading.Event):
    """Set once somebody has asked to stop; called, it tells whether."""

    def __call__(self) -> bool:
        """Tell whether to stop."""
        return self.is_set()


def _to_stderr(text: str) -> None:
    click.echo(text, err=True)


@contextmanager
def asked_to_stop(
    said: str = "stopping after this commit; Ctrl-C again stops at once", tell: Callable[[str], None] = _to_stderr
) -> Iterator[Stopping]:
    """Give what Ctrl-C and SIGTERM set; a second Ctrl-C raises KeyboardInterrupt.

    For the main thread alone. What the process did on these signals before is put back at the end.
    """
    stopping = Stopping()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if stopping.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not stopping.is_set():
            stopping.set()
            tell(said)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
