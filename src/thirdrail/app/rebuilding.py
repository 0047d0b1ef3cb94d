"""A table's rows of some time, made anew from the capture log."""

from thirdrail.app.data_folder import DataFolder
from thirdrail.app.looking import Progress
from thirdrail.app.writing import PIPELINE_VERSION
from thirdrail.capturelog.spool import PARTITION, Spool
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
