"""The Iceberg sink and its writers."""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NamespaceAlreadyExistsError, NoSuchTableError, TableAlreadyExistsError
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.snapshots import Operation
from sqlalchemy.exc import IntegrityError

from thirdrail.errors import CommitConflict, PositionGap, PositionUnknown
from thirdrail.model.ports import Clock, Prepared
from thirdrail.model.records import Position, Span
from thirdrail.model.tables import COMMITS, FEED_MESSAGES, NAMESPACE, Table
from thirdrail.sinks.iceberg.chronicle import Chronicle
from thirdrail.sinks.iceberg.commit import Staged, commit
from thirdrail.sinks.iceberg.data_file import write_data_files
from thirdrail.sinks.iceberg.files import is_local
from thirdrail.sinks.iceberg.housekeeping import sweep
from thirdrail.sinks.iceberg.manifests import merged, new_manifest, parent_manifests
from thirdrail.sinks.iceberg.positions import (
    Positions,
    begun_properties,
    columns_since,
    current_positions,
    since_properties,
)
from thirdrail.sinks.iceberg.schema import evolved, iceberg_schema, partition_spec, properties, sort_order
from thirdrail.sinks.spans import record_offsets, still_wanted

QUIET_MOVE_SECONDS = 600.0
"""A table without rows notes its position this often, so that a restart need not read far back."""

SWEEP_SECONDS = 600.0


class PreparedFile(NamedTuple):
    """A durable data file that no snapshot names yet."""

    rows: int
    file: DataFile
    spec_id: int

    @property
    def whole(self) -> DataFile:
        """The file with its partition spec, which PyIceberg's class loses between processes."""
        self.file.spec_id = self.spec_id
        return self.file


class IcebergSink:
    """Tables of one catalog; a writer per table and partition."""

    name = "iceberg"

    def __init__(self, catalog: Catalog, clock: Clock, namespace: str = NAMESPACE) -> None:
        self._catalog, self._clock, self._namespace = catalog, clock, namespace
        self._loaded: dict[str, IcebergTable] = {}

    def open(self, table: Table, log_id: str, partition: str) -> "IcebergWriter":
        """Give the writer of a table, which is created when missing and gains the columns that it lacks.

        Raises:
            SchemaMismatch: the table's columns cannot become the declared ones.
            PositionUnknown: it holds rows, but no snapshot says how far it is.
        """
        name = (self._namespace, table.name)
        found = self._as_declared(table, name)
        positions = current_positions(found.metadata)
        if not positions and _rows(found):
            raise PositionUnknown(
                f"{'.'.join(name)} holds {_rows(found):,} rows, but no snapshot says how far the log was read",
                hint="another program wrote this table; use another data folder and replay into it",
            )
        writer = IcebergWriter(self._catalog, name, table, (log_id, partition), positions, self._clock)
        writer.believe(found)
        writer.since = columns_since(found.metadata.properties)
        if table is FEED_MESSAGES:  # committed last of all
            self._as_declared(COMMITS, (self._namespace, COMMITS.name))
            writer.chronicle = Chronicle(self._catalog, self._namespace, self._clock)
            writer.chronicle.note()
        return writer

    def prepare(self, table: Table, rows: pa.Table) -> list[PreparedFile]:
        """Write data files that nothing refers to yet."""
        if table.name not in self._loaded:
            self._loaded[table.name] = self._catalog.load_table((self._namespace, table.name))
        target = self._loaded[table.name]
        files = write_data_files(target, table, rows)
        return [PreparedFile(file.record_count, file, target.spec().spec_id) for file in files]

    def _as_declared(self, table: Table, name: tuple[str, str]) -> IcebergTable:
        """Give a table with every declared column, made when missing."""
        found = self._load_or_create(table, name)
        return found if evolved(found, table) is None else self._evolve(table, name)

    def _evolve(self, table: Table, name: tuple[str, str]) -> IcebergTable:
        """Give the table its new columns, in one snapshot: a writer that knows nothing of them meets a conflict."""

        def stage(found: IcebergTable, positions: Positions, _snapshot_id: int) -> Staged | None:
            schema = evolved(found, table)
            if schema is None:
                return None
            old = {field.name for field in found.schema().fields}
            since: dict[str, str] = {}
            for field in schema.fields:
                if field.name not in old:
                    since |= since_properties(field.name, positions)
            return Staged(parent_manifests(found), positions, Operation.APPEND, 0, 0, schema=schema, properties=since)

        commit(self._catalog, name, stage, self._clock)
        return self._catalog.load_table(name)

    def _load_or_create(self, table: Table, name: tuple[str, str]) -> IcebergTable:
        try:
            return self._catalog.load_table(name)
        except NoSuchTableError:
            pass
        with suppress(NamespaceAlreadyExistsError, IntegrityError):  # of SQLite, when two begin at the same moment
            self._catalog.create_namespace(self._namespace)
        try:
            return self._catalog.create_table(
                name,
                schema=iceberg_schema(table),
                partition_spec=partition_spec(table),
                sort_order=sort_order(table),
                properties={"format-version": "2", **properties(table)},
            )
        except TableAlreadyExistsError:
            return self._catalog.load_table(name)


class IcebergWriter:
    """Commits one table's rows of one log and partition; see the protocol."""

    def __init__(
        self,
        catalog: Catalog,
        name: tuple[str, str],
        table: Table,
        source: tuple[str, str],
        positions: Positions,
        clock: Clock,
    ) -> None:
        self._catalog, self._name, self._table, self._source, self._clock = catalog, name, table, source, clock
        self._position = positions.get(source)
        self._known_to = self._position
        self._moved_at = self._swept_at = clock.monotonic()
        self._is_first = True
        self._schema_id = -1
        self.chronicle: Chronicle | None = None
        self.since: dict[str, Positions] = {}

    def believe(self, found: IcebergTable) -> None:
        """Take a table's schema for the declared one, if it is.

        Raises:
            SchemaMismatch: another program has changed it since.
        """
        if found.metadata.current_schema_id != self._schema_id:
            evolved(found, self._table)
            self._schema_id = found.metadata.current_schema_id

    @property
    def position(self) -> Position | None:
        """How far the table durably is."""
        return self._position

    def commit(self, rows: pa.Table, span: Span, offsets: pa.Array | None = None) -> None:
        """Make rows and position visible; without rows the position moves in memory, every 10 minutes on disk."""
        start = self._start(span)
        if self._has_nothing_to_do(len(rows), span):
            return
        self._commit(rows, Span(start, span.end), record_offsets(rows, offsets))
        self._sweep()

    def commit_prepared(self, prepared: Sequence[Prepared], span: Span, made_from: Position = 0) -> None:
        """Make files of :meth:`IcebergSink.prepare` and the position visible; else as ``commit``."""
        start = Span(self._start(span), span.end)
        if self._has_nothing_to_do(len(prepared), span):
            return
        files = [each.whole for each in prepared if isinstance(each, PreparedFile)]

        def stage(table: IcebergTable, positions: Positions, snapshot_id: int) -> Staged | None:
            self.believe(table)
            position = positions.get(self._source)
            if position is not None and span.end <= position:
                return None
            if files and position is not None and position > max(span.start, made_from):
                raise CommitConflict(
                    f"{'.'.join(self._name)} is at position {position}: another process wrote part of "
                    f"offsets {span.start} to {span.end - 1}",
                    hint="the rest is made again from there",
                )
            no_rows = self._table.arrow_schema.empty_table()
            still_wanted(no_rows, record_offsets(no_rows, None), start, position, self._table.name)
            return self._staged(table, positions, snapshot_id, files, span)

        self._move(commit(self._catalog, self._name, stage, self._clock), span)
        self._sweep()

    def _has_nothing_to_do(self, rows: int, span: Span) -> bool:
        """Whether a span is in already, or is empty and its position need not be noted on disk yet."""
        if self._known_to is not None and span.end <= self._known_to and span.end > span.start:
            return True
        if rows or self._position is None:
            return False
        self._known_to = span.end
        return self._clock.monotonic() - self._moved_at < QUIET_MOVE_SECONDS

    def close(self) -> None:
        """Note on disk what was known in memory; repeating is harmless."""
        if self._known_to is not None and self._position is not None and self._known_to > self._position:
            empty = self._table.arrow_schema.empty_table()
            self._commit(empty, Span(self._position, self._known_to), record_offsets(empty, None))
        if self.chronicle is not None:
            self.chronicle.note()

    def _start(self, span: Span) -> Position:
        """Give where the span starts for the table: what is known to be empty before it belongs to it."""
        if self._known_to is None or self._position is None:
            return span.start
        if span.start > self._known_to:
            raise PositionGap(
                f"{'.'.join(self._name)} is at position {self._known_to}, but the span starts at {span.start}: "
                f"rows of offsets {self._known_to} to {span.start - 1} would be lost",
                hint="this is a defect of Third Rail; the tables are unharmed",
            )
        return min(span.start, self._position)

    def _commit(self, rows: pa.Table, span: Span, offsets: pa.Array) -> None:
        def stage(table: IcebergTable, positions: Positions, snapshot_id: int) -> Staged | None:
            return self._stage(table, positions, snapshot_id, rows, span, offsets)

        self._move(commit(self._catalog, self._name, stage, self._clock), span)

    def _move(self, after: Positions, span: Span) -> None:
        self._position = after[self._source]
        self._known_to = max(self._position, span.end)
        self._moved_at = self._clock.monotonic()
        if self.chronicle is not None:
            self.chronicle.made()

    def _stage(
        self,
        table: IcebergTable,
        positions: Positions,
        snapshot_id: int,
        rows: pa.Table,
        span: Span,
        offsets: pa.Array,
    ) -> Staged | None:
        """Stage the rows at or above the position that this very table state carries."""
        self.believe(table)
        position = positions.get(self._source)
        if position is not None and span.end <= position:
            return None
        wanted = still_wanted(rows, offsets, span, position, self._table.name)
        files = write_data_files(table, self._table, wanted) if len(wanted) else []
        return self._staged(table, positions, snapshot_id, files, span)

    def _staged(
        self, table: IcebergTable, positions: Positions, snapshot_id: int, files: list[DataFile], span: Span
    ) -> Staged:
        manifests = parent_manifests(table)
        if files:
            manifests = [new_manifest(table, snapshot_id, files), *merged(table, snapshot_id, manifests)]
        rows = sum(file.record_count for file in files)
        after = {**positions, self._source: span.end}
        begun = {} if self._source in positions else begun_properties(self._source, span.start)
        return Staged(manifests, after, Operation.APPEND, len(files), rows, properties=begun)

    def _sweep(self) -> None:
        """Delete what dropped out of the metadata, at the first commit and every 10 minutes; on a disk alone.

        An object store takes a tenth of a second a file, which is care's to wait for.
        """
        if self._is_first or self._clock.monotonic() - self._swept_at >= SWEEP_SECONDS:
            self._is_first, self._swept_at = False, self._clock.monotonic()
            table = self._catalog.load_table(self._name)
            if is_local(table.location()):
                sweep(table, self._clock.now())


def _rows(table: IcebergTable) -> int:
    snapshot = table.metadata.current_snapshot()
    if snapshot is None or snapshot.summary is None:
        return 0
    return int(snapshot.summary.additional_properties.get("total-records", "0"))
