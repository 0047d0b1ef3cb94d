"""One snapshot of a table, pinned: its positions, files and rows."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyiceberg.catalog import Catalog
from pyiceberg.conversions import from_bytes
from pyiceberg.manifest import DataFile, DataFileContent, ManifestContent, ManifestEntry, ManifestFile
from pyiceberg.table import Table as IcebergTable
from pyiceberg.transforms import DayTransform
from pyiceberg.types import DateType, LongType

from thirdrail.errors import TableUnreadable
from thirdrail.model.tables import NAMESPACE, Column, Table
from thirdrail.sinks.iceberg.files import is_local, local_path
from thirdrail.sinks.iceberg.folder import filesystem
from thirdrail.sinks.iceberg.positions import KEPT_FROM, Positions, begun_positions, columns_since, current_positions

_WIDENING = pl.ScanCastOptions(integer_cast="upcast", float_cast="upcast", missing_struct_fields="raise")


@dataclass(frozen=True, slots=True)
class PinnedTable:
    """What one snapshot holds; later commits do not show."""

    table: Table
    snapshot_id: int | None
    snapshots: int
    positions: Positions
    files: tuple[DataFile, ...]
    source: IcebergTable
    deletes: int
    """Files that say which rows are gone, another engine's: we write none. Then PyIceberg reads, and applies them."""
    field_ids: Mapping[str, int]
    kept_from: int | None
    """The instant (µs UTC) from which on rows are kept; None for all."""
    since: Mapping[str, Positions]
    """Column → the positions at which it came; rows below have no value for it. Columns of the first day are not in."""
    begun: Positions
    """Where the table began in each log: no row lies below. One that is not in began with the log."""

    @property
    def lacks(self) -> frozenset[str]:
        """Declared columns that the table has not got: those of a newer version that has not written yet."""
        return frozenset(self.table.names()) - self.field_ids.keys()

    @property
    def rows(self) -> int:
        """Rows in all files."""
        return sum(file.record_count for file in self.files)

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.file_size_in_bytes for file in self.files)

    @property
    def newest_fetched_at(self) -> int | None:
        """The latest ``fetched_at`` (µs UTC; of ``commits`` the last one), from bounds; None for an empty table."""
        field_id = self.field_ids[self.table.day]
        bounds = [_bound(file.upper_bounds, field_id) for file in self.files]
        return max((bound for bound in bounds if bound is not None), default=None)

    def bytes_since(self, fetched_at: int) -> int:
        """Bytes of the files that hold nothing fetched before an instant (µs UTC), from their bounds."""
        field_id = self.field_ids[self.table.day]
        lower = ((file, _bound(file.lower_bounds, field_id)) for file in self.files)
        return sum(file.file_size_in_bytes for file, bound in lower if bound is not None and bound >= fetched_at)

    def bounds(self, file: DataFile, column: str) -> tuple[int | None, int | None]:
        """Give the least and the greatest value of a column of whole numbers in a file, where they are noted."""
        field_id = self.field_ids[column]
        return _bound(file.lower_bounds, field_id), _bound(file.upper_bounds, field_id)

    def dataset(self, files: Sequence[DataFile]) -> ds.Dataset:
        """Give some files as one Arrow dataset of the table's columns.

        Each file carries the bounds that its manifest notes, so that whoever filters does not open those outside.
        """
        form = ds.ParquetFileFormat()
        system, path_of = filesystem(self.source)
        bounded = [
            (self.table[name], self.field_ids[name])
            for name in (self.table.day, self.table.order, "feed_id", "route_id", "trip_key", "stop_id")
            if name in self.field_ids and name in self.table.names()
        ]
        fragments = [
            form.make_fragment(path_of(file.file_path), system, partition_expression=known)
            for file, known in zip(files, _guarantees(files, bounded), strict=True)
        ]
        return ds.FileSystemDataset(fragments, self.table.arrow_schema, form, system)

    def scan(self, columns: list[str], start: int | None, end: int | None) -> Iterator[pa.Table]:
        """Give the rows with ``start <= capture_offset < end`` (the table's ``order``), file by file."""
        if self.deletes:
            yield self._collected(pl.LazyFrame(self.whole()), columns, start, end)
            return
        for file in self.files:
            low, high = self.bounds(file, self.table.order)
            if (end is not None and low is not None and low >= end) or (
                start is not None and high is not None and high < start
            ):
                continue
            yield self._collected(self._lazy([file]), columns, start, end)

    def whole(self) -> pa.Table:
        """Give all rows that are left where another engine has deleted some. Blocks; memory holds the table.

        Raises:
            TableUnreadable: it deleted in a way that PyIceberg cannot read.
        """
        try:
            rows = self.source.scan(snapshot_id=self.snapshot_id).to_arrow()
        except (ValueError, NotImplementedError) as error:
            raise TableUnreadable(
                f"{self.table.name}: another engine deleted rows in a way that is not read here: {error}",
                hint="let it rewrite the table's data files; no row of ours is lost, the capture log has them all",
            ) from error
        return rows.select(self.table.names()).cast(self._schema(self.table.names()))

    def _schema(self, columns: list[str]) -> pa.Schema:
        return pa.schema([self.table[name].arrow for name in columns])

    def read(self, files: Sequence[DataFile], columns: list[str]) -> pa.Table:
        """Give all rows of some files, in their order; a column that a file lacks is null."""
        return self._collected(self._lazy(files), columns, None, None) if files else self._schema(columns).empty_table()

    def _lazy(self, files: Sequence[DataFile]) -> pl.LazyFrame:
        """Give files of one or more to Polars: of a small one it needs half of the time that PyArrow's reader does."""
        if not is_local(self.source.location()):
            return pl.scan_pyarrow_dataset(self.dataset(files))
        return pl.scan_parquet(
            [local_path(file.file_path) for file in files],
            glob=False,
            schema=pl.DataFrame(self.table.arrow_schema.empty_table()).schema,
            missing_columns="insert",
            extra_columns="ignore",
            cast_options=_WIDENING,
        )

    def _collected(self, rows: pl.LazyFrame, columns: list[str], start: int | None, end: int | None) -> pa.Table:
        """Give columns of the rows with ``start <= capture_offset < end``, as declared."""
        if start is not None:
            rows = rows.filter(pl.col(self.table.order) >= start)
        if end is not None:
            rows = rows.filter(pl.col(self.table.order) < end)
        return rows.select(columns).collect().rechunk().to_arrow().cast(self._schema(columns))


def _guarantees(files: Sequence[DataFile], columns: list[tuple[Column, int]]) -> list[pc.Expression]:
    """Give what holds for every row of each file: columns lie within their bounds; one with nulls promises nothing.

    All bounds of a column become one array: made and cast one by one they were four fifths of a query's planning.
    """
    known = [pc.scalar(True)] * len(files)
    for column, field_id in columns:
        bounded = [
            (place, lower[field_id], upper[field_id])
            for place, file in enumerate(files)
            if field_id in (lower := file.lower_bounds or {})
            and field_id in (upper := file.upper_bounds or {})
            and (file.null_value_counts or {}).get(field_id, 1) == 0
        ]
        values = _values(column, [bound for _, *bounds in bounded for bound in bounds])
        field = pc.field(column.name)
        for number, (place, *_) in enumerate(bounded):
            known[place] = known[place] & (field >= values[2 * number]) & (field <= values[2 * number + 1])
    return known


def _values(column: Column, bounds: list[bytes]) -> pa.Array:
    """Give bounds of one column as its values: text, or whole numbers of 8 bytes, of 4 from before it was widened."""
    if column.type == "string":
        found = pa.array(bounds, pa.binary())
    else:
        found = pa.array([int.from_bytes(bound, "little", signed=True) for bound in bounds], pa.int64())
    return found.cast(column.arrow.type)


def _bound(bounds: dict[int, bytes] | None, field_id: int) -> int | None:
    value = (bounds or {}).get(field_id)
    return None if value is None else int(from_bytes(LongType(), value))


Days = tuple[int, int]
"""The first and the last UTC day wanted, as Iceberg counts them: from 1970-01-01."""

EntriesOf = Callable[[IcebergTable, ManifestFile], list[ManifestEntry]]


def _entries(table: IcebergTable, manifest: ManifestFile) -> list[ManifestEntry]:
    return manifest.fetch_manifest_entry(table.io, discard_deleted=True)


def pin(
    catalog: Catalog,
    table: Table,
    namespace: str = NAMESPACE,
    *,
    entries_of: EntriesOf = _entries,
    days: Days | None = None,
) -> PinnedTable:
    """Give the table's current snapshot; with ``days``, its files of those days alone.

    Raises:
        NoSuchTableError: PyIceberg's; the caller knows which tables there are.
    """
    return pin_loaded(catalog.load_table((namespace, table.name)), table, entries_of=entries_of, days=days)


def files_of(found: IcebergTable) -> int:
    """Give how many data files a table's current snapshot names, as its summary tells; many where it does not."""
    snapshot = found.metadata.current_snapshot()
    if snapshot is None:
        return 0
    told = snapshot.summary.additional_properties.get("total-data-files") if snapshot.summary else None
    return sys.maxsize if told is None else int(told)


def pin_loaded(
    found: IcebergTable, table: Table, *, entries_of: EntriesOf = _entries, days: Days | None = None
) -> PinnedTable:
    """Give the current snapshot of a table that is loaded already."""
    snapshot = found.metadata.current_snapshot()
    positions = current_positions(found.metadata)
    if not positions:
        days = None  # another program's, whose rows count by being there
    named: list[DataFile] = []
    if snapshot is not None:
        for manifest in snapshot.manifests(found.io):
            if days is None or not _is_by_day(found, table, manifest):
                named += [entry.data_file for entry in entries_of(found, manifest)]
            elif _meets(manifest, days):
                files_of_days = (entry.data_file for entry in entries_of(found, manifest))
                named += [file for file in files_of_days if days[0] <= int(file.partition[0]) <= days[1]]
    properties = found.metadata.properties
    files = tuple(file for file in named if file.content is DataFileContent.DATA)
    day = properties.get(KEPT_FROM)
    return PinnedTable(
        table,
        snapshot_id=None if snapshot is None else snapshot.snapshot_id,
        snapshots=len(found.metadata.snapshots),
        positions=positions,
        files=files,
        source=found,
        deletes=len(named) - len(files),
        field_ids={field.name: field.field_id for field in found.schema().fields},
        kept_from=None if day is None else int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1_000_000,
        since=columns_since(properties),
        begun=begun_positions(properties),
    )


def _is_by_day(found: IcebergTable, table: Table, manifest: ManifestFile) -> bool:
    """Whether a manifest's data files lie apart by UTC day as ours do; another engine's may not."""
    fields = found.specs()[manifest.partition_spec_id].fields
    day = found.schema().find_field(table.day).field_id
    is_ours = [(each.source_id, each.transform) for each in fields] == [(day, DayTransform())]
    return manifest.content == ManifestContent.DATA and is_ours


def _meets(manifest: ManifestFile, days: Days) -> bool:
    """Whether a manifest can name files of some days, by the range of its partitions."""
    (field,) = manifest.partitions or (None,)
    if field is None or field.lower_bound is None or field.upper_bound is None:
        return True
    low, high = (int(from_bytes(DateType(), bound)) for bound in (field.lower_bound, field.upper_bound))
    return low <= days[1] and high >= days[0]
