"""``feed_messages`` of a folder that has no tables: made again from its capture log, as ``audit`` makes its rows."""

import polars as pl

from thirdrail.app.data_folder import DataFolder
from thirdrail.app.looking import Progress
from thirdrail.capturelog.day_files import PARTITION
from thirdrail.capturelog.spool import Spool
from thirdrail.model.feeds import BY_ID
from thirdrail.model.records import Offset, Poll, Position
from thirdrail.model.tables import FEED_MESSAGES
from thirdrail.observe.clock import SystemClock
from thirdrail.pipeline.processor import Processor
from thirdrail.pipeline.transform import Rows

_ENTRIES, _BYTES = 128, 4 << 20
_HEADERS = 10_000


def recomputed_messages(
    folder: DataFolder, columns: list[str], polled_since: int, since: int, progress: Progress
) -> pl.DataFrame:
    """Give polls since an instant, and those since a second one (both µs UTC) with what their bodies hold.

    Of the others it is told when and how they went, and the rest is null. Beside a writer. Blocks: each body since the
    second instant is decoded again, in bounded memory.

    Raises:
        LogDamaged: the log cannot be read.
    """
    log = Spool.open(folder.spool, SystemClock(), writable=False)
    try:
        bare, position = _bare(log, columns, polled_since, since)
        return pl.concat([bare, *_whole(log, columns, position, progress)])
    finally:
        log.close()


def _whole(log: Spool, columns: list[str], start: Position, progress: Progress) -> list[pl.DataFrame]:
    position = start
    processor = Processor(log, PARTITION, position, BY_ID)
    end, found = log.end(PARTITION), []
    while position < end and (entries := log.read(PARTITION, position, _ENTRIES, _BYTES)):
        rows = Rows()
        processor.process(entries, rows)
        found += [pl.DataFrame(part.select(columns)) for part in rows.tables.get(FEED_MESSAGES.name, ())]
        position = entries[-1].offset + 1
        progress(position - start, end - start)
    return found


def _bare(log: Spool, columns: list[str], polled_since: int, since: int) -> tuple[pl.DataFrame, Position]:
    """Give the polls before the second instant, and the offset of the first one after it (or the log's end)."""
    position = log.first(PARTITION)
    found: list[tuple[Offset, Poll]] = []
    schema = pl.DataFrame(FEED_MESSAGES.arrow_schema.empty_table()).select(columns).schema

    def rows() -> pl.DataFrame:
        told = {name: [getattr(poll, name) for _, poll in found] for name in columns if name in Poll.__struct_fields__}
        told |= {"capture_log": [log.log_id] * len(found), "capture_offset": [offset for offset, _ in found]}
        return pl.DataFrame({n: pl.Series(told.get(n, [None] * len(found)), dtype=t) for n, t in schema.items()})

    while headers := log.headers(position, _HEADERS):
        for offset, record, _ in headers:
            if isinstance(record, Poll) and record.fetched_at >= since:
                return rows(), offset
            if isinstance(record, Poll) and record.fetched_at >= polled_since:
                found.append((offset, record))
        position = headers[-1].offset + 1
    return rows(), position
