"""Processes: of a version that lacks a table, of this one, and a backfill of it that dies at a named point."""

import sys
from dataclasses import replace
from pathlib import Path

from pyiceberg.catalog.sql import SqlCatalog

from tests.fakes.clock import FakeClock
from tests.kill.victim import arm
from tests.kill.victim import live as take_in
from thirdrail.app.data_folder import DataFolder
from thirdrail.app.rebuilding import backfill
from thirdrail.maintenance import rebuild
from thirdrail.model import tables
from thirdrail.model.tables import BY_NAME, FEED_MESSAGES, PICTURE_TABLES
from thirdrail.model.tables.events import feed_messages
from thirdrail.sinks.iceberg import commit, exchange

NEW = BY_NAME["trip_updates"]
COUNTS = {column for column in FEED_MESSAGES.names() if column.startswith(f"{NEW.name}_")}
"""Columns of ``feed_messages`` that came with the table."""

POINTS: dict[str, tuple[object, str]] = {
    "rows made": (rebuild, "write_data_files"),
    "manifest": (exchange, "new_manifest"),
    "manifest list": (commit, "write_list"),
    "metadata": (SqlCatalog, "_write_metadata"),
    "catalog commit": (SqlCatalog, "commit_table"),
}
"""Functions after whose nth call the process dies; the first is for ``feed_messages``, the second for the table."""


def declare_it_later() -> None:
    """Declare the table as one that came after data folders were there: ``feed_messages`` may lack its counts."""
    later = feed_messages(replace(table, came_later=table is NEW) for table in PICTURE_TABLES)
    object.__setattr__(FEED_MESSAGES, "columns", later.columns)
    FEED_MESSAGES.__post_init__()


def live(folder: Path, captures: int, *, is_older: bool) -> None:
    """Take captures in, up to a number; the version before knows nothing of the table."""
    declare_it_later()
    if is_older:
        _forget_the_table()
    take_in(folder, captures, "", 0, 15)


def fill(folder: Path, point: str, nth: int) -> None:
    """Fill the table, and die at the nth passing of the point."""
    declare_it_later()
    if point:
        arm(*POINTS[point], nth)
    backfill(DataFolder.existing(folder), NEW, None, FakeClock(), lambda *_: None)


def _forget_the_table() -> None:
    known, kept = tables.TABLES, tuple(table for table in tables.TABLES if table is not NEW)
    for module in list(sys.modules.values()):
        if getattr(module, "TABLES", None) is known:
            module.TABLES = kept  # type: ignore[attr-defined]
    columns = tuple(column for column in FEED_MESSAGES.columns if column.name not in COUNTS)
    object.__setattr__(FEED_MESSAGES, "columns", columns)
    FEED_MESSAGES.__post_init__()
