"""What every sink promises, and what Iceberg tables promise besides, over each kind of catalog: real servers."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from random import Random

import psycopg
import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.rest import RestCatalog

from tests.contract.test_sinks import Read, SinkContract, commit, pairs, wanted
from tests.fakes.catalogs import FaultyCatalog
from tests.fakes.clock import FakeClock
from tests.fakes.servers import needs_postgres, needs_rest_catalog, needs_s3, postgres, rest_catalog, s3
from tests.fakes.sinks import Crashed
from tests.iceberg.test_evolution import GAINED
from tests.oracle.synthetic import HEADER_AT, subway_message
from tests.simulation.test_commit import EVENTS
from thirdrail import app
from thirdrail.app.caring import care_for, details
from thirdrail.config.settings import CatalogConfig, Config, SpoolConfig
from thirdrail.errors import CatalogUnavailable, UsageError
from thirdrail.maintenance.care import HOUR_US, Policy, care, named_files
from thirdrail.maintenance.leftovers import noted
from thirdrail.model.ports import Sink
from thirdrail.model.records import Poll
from thirdrail.query.warehouse import open_warehouse
from thirdrail.sinks.iceberg.catalog import Address, address_of, open_catalog, settle
from thirdrail.sinks.iceberg.commit import expire
from thirdrail.sinks.iceberg.folder import Folder
from thirdrail.sinks.iceberg.housekeeping import sweep
from thirdrail.sinks.iceberg.reader import pin
from thirdrail.sinks.iceberg.sink import IcebergSink

_NUMBERS = count()


@pytest.fixture(scope="module")
def server() -> Iterator[ExitStack]:
    """Servers that a module starts, each when it is first asked for."""
    with ExitStack() as stack:
        yield stack


_postgres: list[str] = []
_s3: list[str] = []


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=needs_postgres),
        pytest.param("postgresql and s3", marks=[needs_postgres, needs_s3]),
        pytest.param("rest", marks=needs_rest_catalog),
    ]
)
def address(
    request: pytest.FixtureRequest, server: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Address | None]:
    """Where the tables of a new data folder are to be listed; None for SQLite beside it."""
    if request.param == "sqlite":
        yield None
    elif request.param.startswith("postgresql"):
        if not _postgres:
            _postgres.append(server.enter_context(postgres()))
        name = f"city_{next(_NUMBERS)}"
        with psycopg.connect(f"{_postgres[0].replace('+psycopg', '')}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
        warehouse = ""
        if request.param.endswith("s3"):
            if not _s3:
                _s3.append(server.enter_context(s3()))
            for variable, value in {
                "AWS_ENDPOINT_URL": _s3[0],
                "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "someone",
                "AWS_SECRET_ACCESS_KEY": "something",
            }.items():
                monkeypatch.setenv(variable, value)
            warehouse = f"s3://city/{name}"
        yield Address(type="postgresql", uri=f"{_postgres[0]}/{name}", warehouse=warehouse)
    else:
        folder = tmp_path / "server"
        folder.mkdir()
        with rest_catalog(folder) as uri:
            yield Address(type="rest", uri=uri)


@pytest.fixture
def catalog(address: Address | None, tmp_path: Path) -> Catalog:
    folder = tmp_path / "data"
    folder.mkdir()
    settle(folder, address)
    return open_catalog(folder, create=True)


def held(catalog: Catalog) -> list[tuple[int, int]]:
    return pairs(catalog.load_table("mta.events").scan().to_arrow())


def there(folder: Folder, below: str = "data") -> set[str]:
    return set(folder.files(below, (".parquet", ".avro", ".json")))


class TestSinks(SinkContract):
    @pytest.fixture
    def sink(self, catalog: Catalog) -> Sink:
        return IcebergSink(catalog, FakeClock())

    @pytest.fixture
    def read(self, catalog: Catalog) -> Read:
        return lambda: held(catalog)


def test_conflicts_lost_answers_and_crashes_lose_and_double_nothing(catalog: Catalog) -> None:
    random = Random(11)
    faulty = FaultyCatalog(catalog, random, rate=0.35)
    crashes = position = 0
    while position < 40:
        try:
            writer = IcebergSink(faulty, FakeClock()).open(EVENTS, "log", "0")  # type: ignore[arg-type]
            position = writer.position or 0
            while position < 40:
                end = min(40, position + random.randint(1, 4))
                commit(writer, position, end)
                position = end
        except Crashed:
            crashes += 1
    assert crashes > 0
    assert held(catalog) == wanted(0, 40)


def test_a_merge_that_meets_an_append_is_staged_again(catalog: Catalog) -> None:
    sink = IcebergSink(catalog, FakeClock())
    writer = sink.open(EVENTS, "log", "0")
    for at in range(0, 60, 3):
        commit(writer, at, at + 3)
    raced = FaultyCatalog(catalog, Random(0), rate=0.0)
    raced.before_commit = lambda: commit(writer, 60, 66)
    report = care(raced, EVENTS, Policy(), FakeClock())  # type: ignore[arg-type]
    assert (report.trouble, report.into) == ("", 1)
    assert held(catalog) == wanted(0, 66)
    pinned = pin(catalog, EVENTS)
    assert pinned.positions == {("log", "0"): 66}
    assert len(pinned.files) < 10


def test_what_nothing_names_is_deleted_wherever_it_lies_and_nothing_else(catalog: Catalog) -> None:
    writer = IcebergSink(catalog, FakeClock()).open(EVENTS, "log", "0")
    for at in range(8):
        commit(writer, at * 3, at * 3 + 3)
    table = catalog.load_table("mta.events")
    folder = Folder(table)
    replaced = {folder.inside(path) for path in named_files(table)}
    orphan = f"{next(iter(replaced)).rpartition('/')[0]}/left by a #crash?.parquet"
    folder.put(orphan, b"half of a fi")
    assert there(folder) == replaced | {orphan}
    assert care(catalog, EVENTS, Policy(0, 0), FakeClock()).into == 1
    assert there(folder) > replaced | {orphan}, "snapshots name the merged ones; the other was seen once"
    commit(writer, 24, 27)

    waiting = care(catalog, EVENTS, Policy(HOUR_US, HOUR_US, snapshots_us=0), FakeClock())
    assert (waiting.trouble, waiting.deleted, waiting.waiting) == ("", 0, 9)
    assert waiting.expired > 8
    dry = care(catalog, EVENTS, Policy(0, 0), FakeClock(), dry_run=True)
    assert (dry.trouble, dry.deleted) == ("", 9)
    assert there(folder) > replaced | {orphan}
    told = care(catalog, EVENTS, Policy(0, 0), FakeClock())
    assert (told.trouble, told.deleted, told.deleted_bytes) == ("", 9, dry.deleted_bytes)

    table = catalog.load_table("mta.events")
    assert there(folder) == {folder.inside(path) for path in named_files(table)}
    assert len(there(folder)) == 2
    assert noted(folder).looked_at == max(each.timestamp_ms for each in table.metadata.snapshots) * 1_000
    assert held(catalog) == wanted(0, 27)


def test_old_metadata_goes_unless_a_server_looks_after_it(catalog: Catalog) -> None:
    writer = IcebergSink(catalog, FakeClock()).open(EVENTS, "log", "0")
    for at in range(8):
        commit(writer, at, at + 1)
    expire(catalog, ("mta", "events"), kept=50, age_us=0)
    time.sleep(1.1)  # an object store tells seconds
    commit(writer, 8, 9)
    table, now = catalog.load_table("mta.events"), time.time_ns() // 1_000
    folder = Folder(table)
    before = there(folder, "metadata")
    assert sweep(table, now) == [], "nothing is half an hour old"
    gone = sweep(table, now, grace_us=0)
    assert there(folder, "metadata") == before - set(gone)
    assert (len(gone) > 3) is not isinstance(catalog, RestCatalog)
    assert held(catalog) == wanted(0, 9)
    assert all(snapshot.manifests(table.io) for snapshot in table.metadata.snapshots)


def test_a_table_gains_columns(catalog: Catalog) -> None:
    sink = IcebergSink(catalog, FakeClock())
    commit(sink.open(EVENTS, "log", "0"), 0, 9)
    sink.open(GAINED, "log", "0")
    pinned = pin(catalog, GAINED)
    assert pinned.since == {"colour": {("log", "0"): 9}, "words": {("log", "0"): 9}}
    assert pinned.read(pinned.files, GAINED.names())["colour"].null_count == len(wanted(0, 9))


def test_a_data_folder_with_its_tables_there(address: Address | None, tmp_path: Path) -> None:
    """By configuration alone: taken in, asked, cared for and audited; later commands know where by themselves."""
    folder = tmp_path / "data"
    there = (
        CatalogConfig()
        if address is None
        else CatalogConfig(type=address.type, uri=address.uri, warehouse=address.warehouse)
    )
    config = Config(catalog=there, spool=SpoolConfig(reserve_gb=0.0, retention_days=9_999), commit_interval_seconds=0.1)
    for first in (0, 10):
        with app.writing(folder, config if first == 0 else Config(spool=config.spool)) as work:
            work.note_settings()
            for number in range(first, first + 10):
                poll = Poll(feed_id="subway_g", fetched_at=(HEADER_AT + number * 15) * 1_000_000)
                work.append([(poll, subway_message(0, 5 + number % 3, later=number * 15))])
                work.drain(app.Totals())
    assert address_of(folder) == address
    data = app.DataFolder.existing(folder)
    for report in care_for(data, config, FakeClock()):
        assert report.trouble == ""
    shown = {each.table: each for each in details(data, config, FakeClock())}
    assert {each.would.trouble for each in shown.values()} == {""}
    assert shown["feed_messages"].looked_at is not None
    assert shown["feed_messages"].metadata_bytes > 1_000
    if address is not None and address.warehouse:
        assert not [path for path in folder.rglob("*.parquet") if "spool" not in path.parts]
    told = app.audit(data, None)
    assert told.ok, told
    assert told.captures == 20
    assert len(open_warehouse(open_catalog(folder, create=False)).sql("FROM predictions_now")) > 0


def test_a_folder_that_has_tables_stays_with_them(tmp_path: Path) -> None:
    spool = SpoolConfig(reserve_gb=0.0)
    with app.writing(tmp_path / "data", Config(spool=spool)):
        pass
    elsewhere = CatalogConfig(type="postgresql", uri="postgresql+psycopg://nobody@127.0.0.1:1/none")
    with (
        pytest.raises(UsageError, match="are in SQLite beside it, and the configuration says postgresql"),
        app.writing(tmp_path / "data", Config(spool=spool, catalog=elsewhere)),
    ):
        pass


@pytest.mark.parametrize(
    ("kind", "uri"), [("postgresql", "postgresql+psycopg://nobody@127.0.0.1:1/none"), ("rest", "http://127.0.0.1:1")]
)
def test_a_server_that_is_not_there_is_said(tmp_path: Path, kind: str, uri: str) -> None:
    settle(tmp_path, Address(type=kind, uri=uri))  # type: ignore[arg-type]
    with pytest.raises(CatalogUnavailable, match="cannot be opened") as refused:
        open_catalog(tmp_path, create=False)
    assert uri in str(refused.value)
