"""The Iceberg sink and its writers."""

from contextlib import suppress

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NamespaceAlreadyExistsError, NoSuchTableError, TableAlreadyExistsError
from pyiceberg.manifest import ManifestFile
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.snapshots import Operation

from thirdrail.errors import PositionGap, PositionUnknown
from thirdrail.model.ports import Clock
from thirdrail.model.records import Position, Span
from thirdrail.model.tables import NAMESPACE, Table
from thirdrail.sinks.iceberg.commit import Staged, commit
from thirdrail.sinks.iceberg.data_file import write_data_files
from thirdrail.sinks.iceberg.housekeeping import sweep
from thirdrail.sinks.iceberg.manifests import merged, new_manifest
from thirdrail.sinks.iceberg.positions import Positions, current_positions
from thirdrail.sinks.iceberg.schema import check_schema, iceberg_schema, partition_spec, properties, sort_order
from thirdrail.sinks.spans import record_offsets, still_wanted

QUIET_MOVE_SECONDS = 600.0
"""A table without rows notes its position this often, so that a restart need not read far back."""

SWEEP_SECONDS = 600.0


class IcebergSink:
    """Tables of one catalog; a writer per table and partition."""

    name = "iceberg"

    def __init__(self, catalog: Catalog, clock: Clock, namespace: str = NAMESPACE) -> None:
        self._catalog, self._clock, self._namespace = catalog, clock, namespace

    def open(self, table: Table, log_id: str, partition: str) -> "IcebergWriter":
        """Give the writer of a table, which is created when missing.

        Raises:
            SchemaMismatch: the table's columns are not the declared ones.
            PositionUnknown: it holds rows, but no snapshot says how far it is.
        """
        name = (self._namespace, table.name)
        found = self._load_or_create(table, name)
        check_schema(found, table)
        positions = current_positions(found.metadata)
        if not positions and _rows(found):
            raise PositionUnknown(
                f"{'.'.join(name)} holds {_rows(found):,} rows, but no snapshot says how far the log was read",
                hint="another program wrote this table; use another data folder and replay into it",
            )
        return IcebergWriter(self._catalog, name, table, (log_id, partition), positions, self._clock)

    def _load_or_create(self, table: Table, name: tuple[str, str]) -> IcebergTable:
        try:
            return self._catalog.load_table(name)
        except NoSuchTableError:
            pass
        with suppress(NamespaceAlreadyExistsError):
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

    @property
    def position(self) -> Position | None:
        """How far the table durably is."""
        return self._position

    def commit(self, rows: pa.Table, span: Span, offsets: pa.Array | None = None) -> None:
        """Make rows and position visible; without rows the position moves in memory, every 10 minutes on disk."""
        start = self._start(span)
        if self._known_to is not None and span.end <= self._known_to and span.end > span.start:
            return
        if not len(rows) and self._position is not None:
            self._known_to = span.end
            if self._clock.monotonic() - self._moved_at < QUIET_MOVE_SECONDS:
                return
        self._commit(rows, Span(start, span.end), record_offsets(rows, offsets))
        self._sweep()

    def close(self) -> None:
        """Note on disk what was known in memory; repeating is harmless."""
        if self._known_to is not None and self._position is not None and self._known_to > self._position:
            empty = self._table.arrow_schema.empty_table()
            self._commit(empty, Span(self._position, self._known_to), record_offsets(empty, None))

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

        after = commit(self._catalog, self._name, stage, self._clock)
        self._position = after[self._source]
        self._known_to = max(self._position, span.end)
        self._moved_at = self._clock.monotonic()

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
        position = positions.get(self._source)
        if position is not None and span.end <= position:
            return None
        wanted = still_wanted(rows, offsets, span, position, self._table.name)
        manifests = self._parent_manifests(table)
        files = write_data_files(table, self._table, wanted) if len(wanted) else []
        if files:
            manifests = [new_manifest(table, snapshot_id, files), *merged(table, snapshot_id, manifests)]
        return Staged(manifests, {**positions, self._source: span.end}, Operation.APPEND, len(files), len(wanted))

    def _parent_manifests(self, table: IcebergTable) -> list[ManifestFile]:
        parent = table.metadata.current_snapshot()
        if parent is None:
            return []
        return [m for m in parent.manifests(table.io) if m.has_added_files() or m.has_existing_files()]

    def _sweep(self) -> None:
        """Delete what dropped out of the metadata, at the first commit and every 10 minutes."""
        if self._is_first or self._clock.monotonic() - self._swept_at >= SWEEP_SECONDS:
            self._is_first, self._swept_at = False, self._clock.monotonic()
            sweep(self._catalog.load_table(self._name), self._clock.now())


def _rows(table: IcebergTable) -> int:
    snapshot = table.metadata.current_snapshot()
    if snapshot is None or snapshot.summary is None:
        return 0
    return int(snapshot.summary.additional_properties.get("total-records", "0"))
