"""A table's rows of some time, made anew from the capture log, or made for the first time."""

from dataclasses import dataclass

from thirdrail.app.data_folder import DataFolder
from thirdrail.app.looking import Progress, pinned
from thirdrail.app.writing import PIPELINE_VERSION
from thirdrail.capturelog.day_files import PARTITION
from thirdrail.capturelog.spool import Spool
from thirdrail.errors import CapturesGone
from thirdrail.maintenance.rebuild import Rebuild, Rebuilt
from thirdrail.model.ports import Clock
from thirdrail.model.records import Poll, Span
from thirdrail.model.tables import Table
from thirdrail.sinks.iceberg.catalog import open_catalog

_PAGE = 4_096


def rebuild(
    folder: DataFolder, table: Table, since: int | None, until: int | None, clock: Clock, progress: Progress
) -> tuple[Rebuilt, int | None]:
    """Rebuild a table of the captures fetched in a time (µs UTC; None for no limit).

    Gives what was done, and when the oldest capture was fetched that the log holds. Works beside a run.

    Raises:
        CapturesGone: the log holds nothing of that time.
    """
    log = Spool.open(folder.spool, clock, writable=False)
    try:
        span, oldest = _span(log, since, until)
        work = Rebuild(log, PARTITION, open_catalog(folder.path, create=False), table, clock)
        return work.run(span, PIPELINE_VERSION, progress), oldest
    finally:
        log.close()


@dataclass(frozen=True, slots=True)
class Backfilled:
    """What was filled, or would be: offsets, captures, rows (None in a dry run); the log's first and oldest."""

    table: str
    start: int
    end: int
    captures: int
    rows: int | None
    log_first: int
    oldest_capture: int | None


def backfill(
    folder: DataFolder, table: Table, since: int | None, clock: Clock, progress: Progress, *, dry_run: bool = False
) -> Backfilled:
    """Make the rows of captures before a table began, back to those fetched at a time (µs UTC; None: all in the log).

    Works beside a run. Killed at any time, the same call goes on.

    Raises:
        NoDataYet: the table does not exist.
        CapturesGone: the log holds nothing since that time.
    """
    log = Spool.open(folder.spool, clock, writable=False)
    try:
        span, oldest = _span(log, since, None)
        first = log.first(PARTITION)
        begun = pinned(folder, table).begun.get((log.log_id, PARTITION), first)
        wanted = Span(span.start, max(begun, span.start))
        captures = _captures(log, wanted)
        if dry_run or not captures:
            return Backfilled(table.name, *wanted, captures, None if dry_run else 0, first, oldest)
        catalog = open_catalog(folder.path, create=False)
        done = Rebuild(log, PARTITION, catalog, table, clock).run(wanted, PIPELINE_VERSION, progress)
        return Backfilled(table.name, *wanted, done.captures, done.rows, first, oldest)
    finally:
        log.close()


def _captures(log: Spool, span: Span) -> int:
    position, found = span.start, 0
    while position < span.end and (entries := log.headers(position, _PAGE)):
        found += sum(isinstance(entry.record, Poll) and entry.offset < span.end for entry in entries)
        position = entries[-1].offset + 1
    return found


def _span(log: Spool, since: int | None, until: int | None) -> tuple[Span, int | None]:
    """Give the offsets from the first capture of a time to the last, and the time of the oldest capture of all."""
    first, end = log.first(PARTITION), log.end(PARTITION)
    start, stop, oldest, position = None, first, None, first
    while entries := log.headers(position, _PAGE):
        for entry in entries:
            if isinstance(entry.record, Poll):
                at = entry.record.fetched_at
                oldest = at if oldest is None else oldest
                if (since is None or at >= since) and (until is None or at < until):
                    start = entry.offset if start is None else start
                    stop = entry.offset + 1
        position = entries[-1].offset + 1
    if start is None:
        raise CapturesGone(
            "the capture log holds nothing of that time", hint="thirdrail captures list shows what it holds"
        )
    return Span(first if since is None else start, end if until is None else stop), oldest
