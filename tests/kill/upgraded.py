"""A process of the version before: it knows fewer columns. Killed at a random moment, like any other.

Columns are taken out of the declarations before anything else is imported, so that everything in the process, from
creating tables to comparing rows, is without them.
"""

import os
import random
import signal
from pathlib import Path

import pytest

from tests.fakes.clock import FakeClock
from tests.kill import victim
from tests.oracle.synthetic import HEADER_AT
from thirdrail.app.totals import Totals
from thirdrail.app.writing import writing
from thirdrail.config.settings import Config, SpoolConfig
from thirdrail.errors import SchemaMismatch
from thirdrail.model.records import Poll, Span
from thirdrail.model.tables import BY_NAME, Table
from thirdrail.pipeline.delivery import CommittedAtOnce
from thirdrail.pipeline.transform import Rows

NEW = {
    "stop_time_updates": {"arrival_at", "departure_at", "actual_track"},
    "trip_updates": {"nyct_train_id"},
    "vehicle_positions": {"vehicle_at"},
    "feed_messages": {"http_status"},
}
"""Columns that the version before does not know: in the middle of tables, and two are all that ever changes."""


def forget_new_columns() -> None:
    """Become the version before."""
    for name, columns in NEW.items():
        table = BY_NAME[name]
        kept = tuple(column for column in table.columns if column.name not in columns)
        assert len(kept) == len(table.columns) - len(columns)
        object.__setattr__(table, "columns", kept)
        table.__post_init__()


def die_between_tables(position: int) -> None:
    """Die when ``feed_messages`` is the only table that lacks the rows of records from a position on."""
    real = CommittedAtOnce._commit

    def commit(self: CommittedAtOnce, table: Table, rows: Rows, span: Span) -> int:
        if table.name == "feed_messages" and span.end > position:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, table, rows, span)

    CommittedAtOnce._commit = commit  # type: ignore[method-assign]


def live_until_between_tables(folder: Path, captures: int, position: int) -> None:
    """Be the version before, until it dies between two tables' commits."""
    die_between_tables(position)
    live(folder, captures, None, is_older=True)


def live(folder: Path, captures: int, seed: int | None, *, is_older: bool, workers: int = 1) -> None:
    """Take in the captures that the log lacks, in batches of some, and die at a moment of the seed, if there is one."""
    if is_older:
        forget_new_columns()
    clock = FakeClock(HEADER_AT * 1_000_000)
    config = Config(
        workers=workers, commit_interval_seconds=0.001, spool=SpoolConfig(reserve_gb=0.0, retention_days=9_999)
    )
    victim.go_on_from(folder, clock)
    with writing(folder, config, clock) as work:
        if seed is not None:
            victim.die_after(random.Random(seed).uniform(0.05, 0.8))
        work.note_settings()
        work.drain(Totals())
        for number in range(victim.captures_of(work.log), captures):
            fetched_at = (HEADER_AT + number * victim.EVERY_S + 5) * 1_000_000
            work.append([(Poll(feed_id=victim.FEED, fetched_at=fetched_at), victim.body(number))])
            if number % 3 == 0:
                work.drain(Totals())
            clock.advance(victim.EVERY_S)
        work.drain(Totals())


def is_refused(folder: Path) -> None:
    """Be the version before on the newer one's folder, and be told what to do."""
    with pytest.raises(SchemaMismatch, match="which this version does not know") as refused:
        live(folder, 50, None, is_older=True)
    assert "use the version that made this table" in refused.value.hint
