"""A table's rows of some captures, made anew by today's code, in place of those that are there.

Needed after every correction of a decoder, and for the past of a column or table that came later. What the log no
longer holds cannot be made anew, and stays as it is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.manifest import DataFile

from thirdrail.errors import CapturesGone
from thirdrail.maintenance.care import remember
from thirdrail.model import feeds as declared
from thirdrail.model.feeds import Feed
from thirdrail.model.ports import CaptureLog, Clock
from thirdrail.model.records import Span
from thirdrail.model.tables import FEED_MESSAGES, NAMESPACE, TABLES, Table
from thirdrail.pipeline.columns import ColumnsSince
from thirdrail.pipeline.processor import Processor
from thirdrail.pipeline.transform import Rows
from thirdrail.sinks.iceberg.data_file import write_data_files
from thirdrail.sinks.iceberg.exchange import exchange
from thirdrail.sinks.iceberg.reader import pin

READ_ENTRIES, READ_BYTES = 128, 4 << 20
FILE_BYTES = 64 << 20
"""Of rows in memory, after which they go into a file."""


def _nobody(_done: int, _total: int) -> None:
    """Nobody looks on."""


@dataclass(slots=True)
class Rebuilt:
    """What was made anew: offsets, captures, and the rows before and after."""

    table: str
    start: int
    end: int
    log_first: int
    captures: int = 0
    rows_before: int = 0
    rows: int = 0


class Rebuild:
    """One rebuilding of a table from one partition of the log."""

    def __init__(
        self,
        log: CaptureLog,
        partition: str,
        catalog: Catalog,
        table: Table,
        clock: Clock,
        feeds: Mapping[str, Feed] = declared.BY_ID,
    ) -> None:
        self._log, self._partition, self._catalog, self._table = log, partition, catalog, table
        self._clock, self._feeds = clock, feeds
        # Each row of feed_messages counts the rows that its capture gave to every table. It is first: where the table
        # begins is noted with its rows, so that a backfill that died in between is done again.
        self._anew = (table,) if table is FEED_MESSAGES else (FEED_MESSAGES, table)

    def run(self, span: Span, version: int, progress: Callable[[int, int], None] = _nobody) -> Rebuilt:
        """Make the table's rows of a span of the log anew, and put them in place of the old ones in one snapshot.

        Before that the same for ``feed_messages``, which counts them. The span is cut to what the log holds and both
        tables have reached; one that ends before the table began is drawn out to there, so that no gap is left.
        ``version``: of the code, noted in each row. Beside a writer and readers; killed at any time, the same call goes
        on. Blocks.

        Raises:
            CapturesGone: the log holds nothing of the span any more, or the table has not reached it.
            TableUnreadable, CommitConflict, CatalogUnavailable: as of :func:`exchange`.
        """
        source = (self._log.log_id, self._partition)
        pinned = {each.name: pin(self._catalog, each) for each in TABLES}
        first = self._log.first(self._partition)
        reached = min(pinned[table.name].positions.get(source, 0) for table in self._anew)
        begun = pinned[self._table.name].begun.get(source, 0)
        wanted = Span(max(span.start, first), max(min(span.end, reached), begun))
        if wanted.start >= wanted.end:
            raise CapturesGone(
                f"{self._table.name}: of offsets {span.start} to {span.end - 1}, the log holds those from {first} on, "
                f"and the table has reached {reached}: there is nothing to make anew",
                hint="thirdrail captures list shows what the log holds",
            )
        done = Rebuilt(self._table.name, wanted.start, wanted.end, first)
        others = {name: each.since for name, each in pinned.items() if all(name != table.name for table in self._anew)}
        files = self._made(done, ColumnsSince.of(others, source), version, progress)
        for table in self._anew:
            exchanged = exchange(self._catalog, table, source, wanted, files[table.name], self._clock)
            remember(self._catalog.load_table((NAMESPACE, table.name)), exchanged.gone)
            if table is self._table:
                done.rows_before = exchanged.rows_before
                done.rows = sum(file.record_count for file in files[table.name])
        return done

    def _made(
        self, done: Rebuilt, columns: ColumnsSince, version: int, progress: Callable[[int, int], None]
    ) -> dict[str, list[DataFile]]:
        """Write the rows into files that nothing names yet."""
        files = {table.name: _Files(self._catalog, table, version) for table in self._anew}
        position = until = done.start
        while position < done.end:
            if position >= until:
                until = columns.next_step(position, done.end)
                unknown = columns.unknown_at(position)
                processor = Processor(self._log, self._partition, position, self._feeds, unknown=unknown)
            found = self._log.read(self._partition, position, READ_ENTRIES, READ_BYTES)
            entries = [entry for entry in found if entry.offset < min(until, done.end)]
            rows = Rows()
            done.captures += processor.process(entries, rows)
            for name, each in files.items():
                each.add(rows.tables.get(name, []))
            position = entries[-1].offset + 1 if entries else until
            progress(position - done.start, done.end - done.start)
        return {name: each.done() for name, each in files.items()}


class _Files:
    """Rows of a table, put into files when they are many."""

    def __init__(self, catalog: Catalog, table: Table, version: int) -> None:
        self._target, self._table = catalog.load_table((NAMESPACE, table.name)), table
        self._version = version
        self._waiting: list[pa.Table] = []
        self._files: list[DataFile] = []

    def add(self, parts: list[pa.Table]) -> None:
        """Take rows."""
        self._waiting += parts
        if sum(part.nbytes for part in self._waiting) >= FILE_BYTES:
            self.done()

    def done(self) -> list[DataFile]:
        """Give all files."""
        if self._waiting:
            whole = _with_version(pa.concat_tables(self._waiting), self._version)
            self._files += write_data_files(self._target, self._table, whole)
            self._waiting = []
        return self._files


def _with_version(rows: pa.Table, version: int) -> pa.Table:
    """Give the rows with the version of the code that made them now; the log's settings tell that of the first time."""
    place = rows.schema.get_field_index("pipeline_version")
    if place < 0:
        return rows
    column = pa.repeat(pa.scalar(version, rows.schema.field(place).type), len(rows))
    return rows.set_column(place, rows.schema.field(place), column)
