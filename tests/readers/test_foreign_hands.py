"""Spark merges and deletes in our tables while we write: we go on, readers are right, audit tells what is missing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.test_sinks import commit, pairs, wanted
from tests.fakes.clock import FakeClock
from tests.readers.engines import Spark, needs_spark
from tests.simulation.test_commit import EVENTS
from thirdrail import app
from thirdrail.city.messages import body, header_time
from thirdrail.config.settings import Config
from thirdrail.maintenance.care import Policy, care
from thirdrail.model.records import Poll
from thirdrail.model.tables import BY_NAME
from thirdrail.query.warehouse import open_warehouse
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.reader import pin
from thirdrail.sinks.iceberg.sink import IcebergSink

pytestmark = needs_spark
AT = 1_790_000_000
FEED = "subway_ace"


def polls(first: int, last: int) -> list[tuple[Poll, bytes]]:
    return [
        (Poll(feed_id=FEED, fetched_at=(header_time(FEED, AT) + at + 3) * 1_000_000), body(0, FEED, AT + at))
        for at in range(first * 30, last * 30, 30)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the tables of one feed, and one of events beside them."""
    folder = tmp_path_factory.mktemp("foreign") / "data"
    with app.writing(folder, Config()) as work:
        work.note_settings()
        for poll in polls(0, 4):
            work.append([poll])
            work.drain(app.Totals())
    return folder


@pytest.fixture(scope="module")
def spark(folder: Path) -> Iterator[Spark]:
    """A Spark that writes into the very same catalog."""
    settings = {
        "type": "jdbc",
        "uri": f"jdbc:sqlite:{folder}/catalog.sqlite",
        "jdbc.schema-version": "V1",
        "warehouse": f"file://{folder}/warehouse",
        "cache-enabled": "false",
    }
    with Spark(settings, name="thirdrail") as spark:
        yield spark


def test_it_merges_and_we_go_on(folder: Path, spark: Spark) -> None:
    merged = "CALL thirdrail.system.rewrite_data_files(table => 'mta.{}', options => map('min-input-files', '2'))"
    for name in ("stop_time_updates", "feed_messages"):
        (told,) = spark.sql(merged.format(name))
        assert told["rewritten_data_files_count"] >= 4
    with app.writing(folder, Config()) as work:
        for poll in polls(4, 6):
            work.append([poll])
            work.drain(app.Totals())
    report = app.audit(app.DataFolder.existing(folder), None)
    assert report.ok, report
    assert report.captures == 6
    found = spark.sql("SELECT count(*) AS n FROM thirdrail.mta.stop_time_updates")
    assert found == [{"n": pin(open_catalog(folder, create=False), BY_NAME["stop_time_updates"]).rows}]


@pytest.mark.parametrize(("mode", "place"), [("copy-on-write", 3), ("merge-on-read", 5)])
def test_it_deletes_and_audit_tells(folder: Path, spark: Spark, mode: str, place: int) -> None:
    """Deleted rows are gone for every reader of ours, the rest is there, and care leaves the table alone or whole."""
    table = BY_NAME["vehicle_positions"]
    catalog = open_catalog(folder, create=False)
    before = app.audit(app.DataFolder.existing(folder), None).missing
    there = open_warehouse(catalog).sql("FROM vehicle_positions")
    doomed = open_warehouse(catalog).sql(f"FROM vehicle_positions WHERE entity_ordinal % 7 = {place}")
    assert 0 < len(doomed) < len(there)
    spark.sql(f"ALTER TABLE thirdrail.mta.vehicle_positions SET TBLPROPERTIES ('write.delete.mode' = '{mode}')")
    spark.sql(f"DELETE FROM thirdrail.mta.vehicle_positions WHERE entity_ordinal % 7 = {place}")

    assert (pin(catalog, table).deletes > 0) == (mode == "merge-on-read")
    left = open_warehouse(catalog).sql("FROM vehicle_positions")
    assert len(left) == len(there) - len(doomed)
    assert all(value % 7 != place for value in left["entity_ordinal"].to_pylist())
    report = app.audit(app.DataFolder.existing(folder), None)
    assert not report.ok
    assert report.missing - before == len(doomed)
    assert (report.duplicated, report.unexpected, report.altered) == (0, 0, 0)

    assert care(catalog, table, Policy(), FakeClock()).trouble == ""
    assert len(open_warehouse(catalog).sql("FROM vehicle_positions")) == len(left)


def test_an_append_and_a_delete_by_turns_lose_nothing_else(folder: Path, spark: Spark) -> None:
    catalog = open_catalog(folder, create=False)
    writer = IcebergSink(catalog, FakeClock()).open(EVENTS, "log", "0")
    deleted = set()
    for turn in range(8):
        commit(writer, turn * 3, turn * 3 + 3)
        spark.sql(f"DELETE FROM thirdrail.mta.events WHERE capture_offset = {turn * 3 + 2}")
        deleted.add(turn * 3 + 2)
    commit(writer, 24, 27)
    found = pairs(catalog.load_table("mta.events").scan().to_arrow())
    assert found == [pair for pair in wanted(0, 27) if pair[0] not in deleted]
    assert writer.position == 27
