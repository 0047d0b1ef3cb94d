"""Bounds that manifests note are handed to whoever filters: as if each had been made alone, and in one go."""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyiceberg.conversions import from_bytes, to_bytes
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.typedef import Record
from pyiceberg.types import IntegerType, LongType, PrimitiveType, StringType

from tests.fakes.clock import FakeClock
from thirdrail.model.tables import ALL_TABLES, BY_NAME, Column, Table
from thirdrail.sinks.iceberg import reader
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.reader import PinnedTable, pin
from thirdrail.sinks.iceberg.sink import IcebergSink

NOON = int(datetime(2026, 5, 28, 12, tzinfo=UTC).timestamp()) * 1_000_000
Bounds = dict[str, tuple[PrimitiveType, int | str | None, int | str | None]]
"""Column → the type it was written with, its least and its greatest value."""

BOUNDS: Bounds = {
    "capture_offset": (LongType(), -1, 2**40),
    "fetched_at": (LongType(), NOON, NOON + 1),
    "feed_id": (StringType(), "", "subway_é"),
    "route_id": (StringType(), "1", "Z"),
    "trip_key": (StringType(), "a" * 40, "b" * 39 + "🚇"),
    "stop_id": (StringType(), "101N", "101N"),
    "sequence_number": (LongType(), 1, 7),
    "committed_at": (LongType(), NOON, NOON),
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, PinnedTable]:
    """Every table, empty."""
    catalog = open_catalog(tmp_path_factory.mktemp("bounds"), create=True)
    sink = IcebergSink(catalog, FakeClock())
    for table in ALL_TABLES:
        if table.name != "commits":  # it comes with ``feed_messages``
            sink.open(table, "log", "0")
    return {table.name: pin(catalog, table) for table in ALL_TABLES}


def file_of(table: PinnedTable, bounds: Bounds, nulls: dict[str, int]) -> DataFile:
    ids = table.field_ids
    mine = {name: bound for name, bound in bounds.items() if name in ids}
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path="/nowhere/a.parquet",
        file_format=FileFormat.PARQUET,
        partition=Record(20_601),
        record_count=9,
        file_size_in_bytes=1,
        null_value_counts={ids[name]: count for name, count in nulls.items() if name in ids},
        lower_bounds={ids[name]: to_bytes(kind, low) for name, (kind, low, _) in mine.items() if low is not None},
        upper_bounds={ids[name]: to_bytes(kind, high) for name, (kind, _, high) in mine.items() if high is not None},
    )


def alone(table: PinnedTable, file: DataFile, columns: list[Column]) -> pc.Expression:
    """What a file promises, one value after the other, by PyIceberg's own reading of it."""
    known = pc.scalar(True)
    for column in columns:
        number = table.field_ids[column.name]
        low, high = file.lower_bounds.get(number), file.upper_bounds.get(number)
        if low is not None and high is not None and file.null_value_counts.get(number) == 0:
            kind = StringType() if column.type == "string" else LongType()
            low, high = (pa.scalar(from_bytes(kind, value)).cast(column.arrow.type) for value in (low, high))
            known = known & (pc.field(column.name) >= low) & (pc.field(column.name) <= high)
    return known


def bounded(table: Table) -> list[Column]:
    names = dict.fromkeys((table.day, table.order, "feed_id", "route_id", "trip_key", "stop_id"))
    return [table[name] for name in names if name in table.names()]


def promised(table: PinnedTable, files: list[DataFile]) -> list[pc.Expression]:
    return [fragment.partition_expression for fragment in table.dataset(files).get_fragments()]


@pytest.mark.parametrize("name", [table.name for table in ALL_TABLES])
def test_each_file_promises_what_its_bounds_say_one_by_one(tables: dict[str, PinnedTable], name: str) -> None:
    table = tables[name]
    columns = bounded(table.table)
    none = dict.fromkeys(BOUNDS, 0)
    files = [
        file_of(table, BOUNDS, none),
        file_of(table, {}, none),
        file_of(table, BOUNDS, {}),
        file_of(table, BOUNDS, dict.fromkeys(BOUNDS, 1)),
        # An older file: the column was narrower, and others were not there yet.
        file_of(table, {table.table.order: (IntegerType(), -(2**31), 5)}, none),
    ]
    for column in columns:
        kind, low, high = BOUNDS[column.name]
        files += [
            file_of(table, BOUNDS, none | {column.name: 3}),
            file_of(table, BOUNDS | {column.name: (kind, None, high)}, none),
            file_of(table, BOUNDS | {column.name: (kind, low, None)}, none),
        ]
    found = promised(table, files)
    for file, expression in zip(files, found, strict=True):
        assert expression.equals(alone(table, file, columns)), str(expression)
    assert len({str(expression) for expression in found}) >= 2 + len(columns)


def test_values_are_made_once_for_a_column_however_many_files_there_are(
    tables: dict[str, PinnedTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tables["stop_time_updates"]
    made: list[str] = []
    original = reader._values

    def counted(column: Column, bounds: list[bytes]) -> pa.Array:
        made.append(column.name)
        return original(column, bounds)

    monkeypatch.setattr(reader, "_values", counted)
    assert len(promised(table, [file_of(table, BOUNDS, dict.fromkeys(BOUNDS, 0))] * 300)) == 300
    assert made == ["fetched_at", "capture_offset", "feed_id", "route_id", "trip_key", "stop_id"]


def test_bounded_columns_are_of_the_types_that_are_read(tables: dict[str, PinnedTable]) -> None:
    assert {column.type for table in tables.values() for column in bounded(table.table)} == {
        "string",
        "long",
        "timestamptz",
    }
    assert BY_NAME.keys() == tables.keys()
