"""Ctrl-C between commits: the first press asks, the second stops at once."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import click


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Give a function that tells whether Ctrl-C was pressed; a second press raises KeyboardInterrupt.

    For the main thread alone. What the process did on Ctrl-C before is put back at the end.
    """
    presses = 0

    def on_press(_signal: int, _frame: FrameType | None) -> None:
        nonlocal presses
        presses += 1
        if presses > 1:
            raise KeyboardInterrupt
        click.echo("stopping after this commit; Ctrl-C again stops at once", err=True)

    before = signal.signal(signal.SIGINT, on_press)
    try:
        yield lambda: presses > 0
    finally:
        signal.signal(signal.SIGINT, before)
