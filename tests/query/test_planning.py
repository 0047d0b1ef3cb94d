"""After months, a query that names a time reads the manifests that can hold it: counted, in files and in CPU."""

import operator
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from typing import NamedTuple

import pytest
from pyiceberg.conversions import to_bytes
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.snapshots import Operation
from pyiceberg.typedef import Record
from pyiceberg.types import LongType

from tests.fakes.clock import FakeClock
from tests.query.lake import arrow, message
from thirdrail.model.records import Span
from thirdrail.model.tables import BY_NAME, FEED_MESSAGES, Table
from thirdrail.query.views import needed
from thirdrail.query.warehouse import Warehouse, open_warehouse
from thirdrail.sinks.iceberg.catalog import LocalCatalog, open_catalog
from thirdrail.sinks.iceberg.commit import Staged, commit
from thirdrail.sinks.iceberg.data_file import write_data_files
from thirdrail.sinks.iceberg.manifests import merged, new_manifest, parent_manifests
from thirdrail.sinks.iceberg.positions import Positions
from thirdrail.sinks.iceberg.reader import Days, pin
from thirdrail.sinks.iceberg.sink import IcebergSink

TRIPS = BY_NAME["trip_updates"]
DAYS, FILES_A_DAY = 200, 4
FIRST_DAY = 20_000
"""2024-10-04."""

DAY_US = 86_400_000_000
SIGNS = {"<": operator.lt, "<=": operator.le, "=": operator.eq, ">=": operator.ge, ">": operator.gt}


def grown(catalog: LocalCatalog, table: Table, row: dict[str, object]) -> None:
    """Commit files of many days, a day at a time: one that is there, and others that are in the manifests alone."""
    IcebergSink(catalog, FakeClock()).open(table, "log", "0")
    target = catalog.load_table(("mta", table.name))
    (real,) = write_data_files(target, table, arrow(table, [row]))
    field_id = target.schema().find_field("fetched_at").field_id

    def of_day(day: int, number: int) -> DataFile:
        low, high = (to_bytes(LongType(), day * DAY_US + more) for more in (0, DAY_US - 1))
        file = DataFile.from_args(
            content=real.content,
            file_path=f"{real.file_path}.{day}.{number}",
            file_format=real.file_format,
            partition=Record(day),
            record_count=1,
            file_size_in_bytes=real.file_size_in_bytes,
            null_value_counts=real.null_value_counts,
            lower_bounds={**real.lower_bounds, field_id: low},
            upper_bounds={**real.upper_bounds, field_id: high},
        )
        file.spec_id = 0
        return file

    for day in range(DAYS):
        files = [of_day(FIRST_DAY + day, number) for number in range(FILES_A_DAY)]

        def stage(
            found: IcebergTable, positions: Positions, snapshot_id: int, files: list[DataFile] = files, day: int = day
        ) -> Staged:
            manifests = [new_manifest(found, snapshot_id, files), *merged(found, snapshot_id, parent_manifests(found))]
            after = {**positions, ("log", "0"): day + 1}
            return Staged(manifests, after, Operation.APPEND, len(files), len(files))

        commit(catalog, ("mta", table.name), stage, FakeClock())


class Months(NamedTuple):
    """The tables, and how many manifests each names."""

    catalog: LocalCatalog
    warehouse: Warehouse
    manifests: dict[str, int]


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> Months:
    catalog = open_catalog(tmp_path_factory.mktemp("months"), create=True)
    trip = {"capture_offset": 1, "entity_ordinal": 0, "fetched_at": datetime(2024, 10, 4, tzinfo=UTC)}
    grown(catalog, TRIPS, trip)
    grown(catalog, FEED_MESSAGES, message(1, fetched_at=datetime(2024, 10, 4, tzinfo=UTC)))
    found = {}
    for table in (TRIPS, FEED_MESSAGES):
        loaded = catalog.load_table(("mta", table.name))
        found[table.name] = len(parent_manifests(loaded))
    return Months(catalog, open_warehouse(catalog), found)


@pytest.fixture
def manifests_read(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Give the manifests that were opened since one asked last."""
    original, opened = PyArrowFileIO.new_input, list[str]()

    def new_input(self: PyArrowFileIO, location: str) -> object:
        if location.endswith("-m0.avro"):
            opened.append(location.split("/")[-3])
        return original(self, location)

    monkeypatch.setattr(PyArrowFileIO, "new_input", new_input)

    def take() -> list[str]:
        found = sorted(opened)
        opened.clear()
        return found

    return take


OLD = "SELECT count(*) FROM trip_updates WHERE fetched_at >= '2024-11-01' AND fetched_at < '2024-11-01 12:00Z'"
NEW = "SELECT * FROM trip_updates WHERE route_id = 'G' AND fetched_at = TIMESTAMPTZ '2025-04-20 08:00Z'"


@pytest.mark.parametrize(("query", "most"), [(OLD, 1), (NEW, 1), (NEW.replace("=", ">=", 2).replace(">=", "=", 1), 2)])
def test_a_time_that_is_named_reads_the_manifests_that_can_hold_it(
    months: Months, manifests_read: Callable[[], list[str]], query: str, most: int
) -> None:
    assert months.manifests["trip_updates"] >= 8
    months.warehouse._pin(query, needed(query))
    read = manifests_read()
    assert 1 <= read.count("trip_updates") <= most
    assert "feed_messages" not in read


def test_planning_costs_less_than_fifty_milliseconds(months: Months) -> None:
    """Both tables pinned; opening DuckDB, which costs as much, does not depend on how much there is."""
    day = FIRST_DAY + DAYS - 2
    least = min(_cpu(months.catalog, (day, day)) for _ in range(7))
    assert least < 0.05, f"{least * 1_000:.0f} ms"
    assert least < min(_cpu(months.catalog, None) for _ in range(7)) / 2


def _cpu(catalog: LocalCatalog, days: Days | None) -> float:
    began = process_time()
    for table in (FEED_MESSAGES, TRIPS):
        pin(catalog, table, days=days)
    return process_time() - began


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM trip_updates WHERE fetched_at >= '2025-04-01' OR route_id = 'G'",
        "SELECT count(*) FROM trip_updates WHERE fetched_at < '2024-11-01' OR fetched_at > '2025-04-01'",
        "SELECT count(*), (SELECT max(fetched_at) FROM trip_updates) FROM trip_updates WHERE fetched_at < '2024-11-01'",
        "SELECT * FROM trip_updates WHERE trip_key = '(\"fetched_at\" = TIMESTAMPTZ ''2025-04-01 00:00:00+00'')'",
        "SELECT count(*) FROM trip_updates WHERE NOT fetched_at = '2025-04-01'",
        "SELECT max(fetched_at) FROM trip_updates",
    ],
)
def test_whatever_is_no_plain_time_reads_all(
    months: Months, manifests_read: Callable[[], list[str]], query: str
) -> None:
    months.warehouse._pin(query, needed(query))
    assert manifests_read().count("trip_updates") == months.manifests["trip_updates"]


def test_of_two_times_every_day_between_is_read(months: Months, manifests_read: Callable[[], list[str]]) -> None:
    query = (
        "SELECT count(*) FROM trip_updates a JOIN trip_updates b USING (trip_key) "
        "WHERE a.fetched_at < '2024-10-05' AND b.fetched_at > '2025-04-20'"
    )
    months.warehouse._pin(query, needed(query))
    assert manifests_read().count("trip_updates") == months.manifests["trip_updates"]


def test_the_answer_is_the_same(tmp_path: Path) -> None:
    """Three days with rows on both sides of each midnight, in manifests of their own."""
    catalog = open_catalog(tmp_path, create=True)
    writer = IcebergSink(catalog, FakeClock()).open(FEED_MESSAGES, "log", "0")
    times = [datetime(2026, 5, day, hour, tzinfo=UTC) for day in (1, 2, 3) for hour in (0, 12, 23)]
    for offset, at in enumerate(times):
        writer.commit(arrow(FEED_MESSAGES, [message(offset, fetched_at=at)]), Span(offset, offset + 1))
    warehouse = open_warehouse(catalog)
    for sign, holds in SIGNS.items():
        for at in times:
            said = f"SELECT count(*) AS n FROM feed_messages WHERE fetched_at {sign} TIMESTAMPTZ '{at.isoformat()}'"
            (row,) = warehouse.sql(said).to_pylist()
            assert row["n"] == sum(holds(each, at) for each in times), said
