"""A process that takes captures in and commits them, and dies by SIGKILL at a named point.

Runs in a process of its own. It goes on from what the log holds, so that the same call, repeated, finishes the work.
"""

import inspect
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from pyiceberg.catalog.sql import SqlCatalog

from tests.fakes.clock import FakeClock
from tests.oracle.synthetic import HEADER_AT, subway_message
from thirdrail.app.totals import Totals
from thirdrail.app.writing import writing
from thirdrail.capturelog.segment import Segment
from thirdrail.capturelog.spool import Spool
from thirdrail.config.settings import Config, SpoolConfig
from thirdrail.model.records import Poll
from thirdrail.sinks.iceberg import commit, sink

FEED = "subway_g"
EVERY_S = 15
TRIPS = 8

Owner = object
POINTS: dict[str, tuple[Owner, str]] = {
    "data file": (sink, "write_data_files"),
    "manifest": (sink, "new_manifest"),
    "manifest list": (commit, "write_list"),
    "metadata": (SqlCatalog, "_write_metadata"),
    "catalog commit": (SqlCatalog, "commit_table"),
    "append": (Spool, "append"),
    "acknowledge": (Spool, "acknowledge"),
    "day finished": (Segment, "finish"),
    "day created": (Segment, "create"),
    "day closed": (Segment, "make_plain"),
}
"""Functions after whose nth call the process dies; ``acknowledge`` dies before it."""

RANDOM = "at random"


def body(number: int) -> bytes:
    """Give the message of a capture: predictions move, and a trip comes or goes now and then."""
    return subway_message(0, TRIPS + number % 3, later=number * EVERY_S)


def live(folder: Path, captures: int, point: str, nth: int, step: int) -> None:
    """Take in the captures that the log lacks, commit after each, and die at the nth passing of the point.

    ``step`` is the time in seconds between two appends, so that the spool's day changes now and then.
    """
    if point == RANDOM:
        die_after(random.Random(nth).uniform(0.05, 1.2))
    elif point:
        arm(*POINTS[point], nth, before=point == "acknowledge")
    clock = FakeClock(HEADER_AT * 1_000_000)
    config = Config(
        commit_interval_seconds=0.001, history="every_poll", spool=SpoolConfig(reserve_gb=0.0, retention_days=9_999)
    )
    go_on_from(folder, clock, step)
    with writing(folder, config, clock) as work:
        work.note_settings()
        work.drain(Totals())
        for number in range(captures_of(work.log), captures):
            fetched_at = (HEADER_AT + number * EVERY_S + 5) * 1_000_000
            work.append([(Poll(feed_id=FEED, fetched_at=fetched_at), body(number))])
            work.drain(Totals())
            clock.advance(step)


def go_on_from(folder: Path, clock: FakeClock, step: int = EVERY_S) -> None:
    """Set the clock to where the captures that the log holds end."""
    if (folder / "spool" / "log_id").exists():
        clock.advance(step * captures_of(Spool.open(folder / "spool", clock, writable=False)))


def captures_of(log: Spool) -> int:
    """Give how many captures a log holds."""
    return sum(isinstance(entry.record, Poll) for entry in log.headers(0, 10_000))


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_after(seconds: float) -> None:
    """Die that many seconds from now, whatever is going on then."""
    threading.Thread(target=_wait_and_die, args=(seconds,), daemon=True).start()


def _wait_and_die(seconds: float) -> None:
    time.sleep(seconds)
    _die()


def arm(
    owner: Owner, name: str, nth: int, *, before: bool = False, end: Callable[[], None] = _die
) -> Callable[[], None]:
    """Let the process die after (or just before) the nth call of a function; give what takes that back.

    ``end`` is how it dies.
    """
    given = inspect.getattr_static(owner, name)
    original = getattr(owner, name)
    passed = 0

    def counted(*arguments: object, **named: object) -> object:
        nonlocal passed
        passed += 1
        if passed == nth and before:
            end()
        result = original(*arguments, **named)
        if passed == nth:
            end()
        return result

    replacement: Callable[..., object] = counted
    setattr(owner, name, staticmethod(replacement) if isinstance(given, (staticmethod, classmethod)) else replacement)
    return lambda: setattr(owner, name, given)
