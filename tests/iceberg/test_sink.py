"""The Iceberg sink's own promises: foreign hands, quiet tables, flat cost, bounded metadata."""

import os
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog import Catalog

from tests.contract.test_sinks import commit, pairs, wanted
from tests.fakes.clock import FakeClock
from tests.simulation.test_commit import EVENTS, rows
from thirdrail.errors import PositionUnknown, SchemaMismatch
from thirdrail.model.records import Span
from thirdrail.model.tables import TABLES, Column, Table
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.commit import KEPT_SNAPSHOTS
from thirdrail.sinks.iceberg.files import local_path
from thirdrail.sinks.iceberg.housekeeping import sweep
from thirdrail.sinks.iceberg.reader import pin
from thirdrail.sinks.iceberg.sink import IcebergSink


def foreign_append(catalog: Catalog, span: Span) -> None:
    """Append as another program would: by PyIceberg's own transaction, without our positions."""
    table = catalog.load_table("mta.events")
    path = local_path(table.location()) / f"foreign-{span.start}.parquet"
    pq.write_table(rows(span), path)
    table.add_files([path.as_uri()])


def test_another_engines_snapshots_are_walked_past(tmp_path: Path) -> None:
    catalog = open_catalog(tmp_path, create=True)
    sink = IcebergSink(catalog, FakeClock())
    commit(sink.open(EVENTS, "log", "0"), 0, 5)
    foreign_append(catalog, Span(100, 102))

    writer = sink.open(EVENTS, "log", "0")
    assert writer.position == 5
    commit(writer, 5, 9)
    assert pairs(catalog.load_table("mta.events").scan().to_arrow()) == wanted(0, 9) + wanted(100, 102)


def test_a_table_that_somebody_else_filled_has_no_position_and_is_refused(tmp_path: Path) -> None:
    catalog = open_catalog(tmp_path, create=True)
    sink = IcebergSink(catalog, FakeClock())
    sink.open(EVENTS, "log", "0")
    foreign_append(catalog, Span(0, 5))

    with pytest.raises(PositionUnknown, match="no snapshot says"):
        sink.open(EVENTS, "log", "0")


def test_other_columns_than_declared_are_refused_by_name(tmp_path: Path) -> None:
    sink = IcebergSink(open_catalog(tmp_path, create=True), FakeClock())
    sink.open(EVENTS, "log", "0")
    columns = (*EVENTS.columns[:-1], Column("place", "string", "other type"))
    other = Table(EVENTS.name, EVENTS.meaning, columns, EVENTS.key, EVENTS.sort)

    with pytest.raises(SchemaMismatch, match="place should be string"):
        sink.open(other, "log", "0")


def test_a_batch_across_midnight_is_a_file_of_each_day(tmp_path: Path) -> None:
    """1,440 offsets of EVENTS are a day: this batch begins in one, ends in the third, and is not in order."""
    catalog = open_catalog(tmp_path, create=True)
    span = Span(1_400, 2_900)
    batch = rows(span)
    IcebergSink(catalog, FakeClock()).open(EVENTS, "log", "0").commit(batch.take(list(range(len(batch)))[::-1]), span)

    files = pin(catalog, EVENTS).files
    assert [file.partition[0] for file in files] == [0, 1, 2]
    assert pairs(catalog.load_table("mta.events").scan().to_arrow()) == wanted(1_400, 2_900)
    of_day_one = catalog.load_table("mta.events").scan("fetched_at < '1970-01-02T00:00:00+00:00'").to_arrow()
    assert pairs(of_day_one) == wanted(1_400, 1_440)


def test_a_quiet_table_notes_its_position_every_ten_minutes(tmp_path: Path) -> None:
    clock = FakeClock()
    sink = IcebergSink(open_catalog(tmp_path, create=True), clock)
    writer = sink.open(EVENTS, "log", "0")
    commit(writer, 0, 5)
    writer.commit(EVENTS.arrow_schema.empty_table(), Span(5, 6))
    assert sink.open(EVENTS, "log", "0").position == 5
    clock.advance(601)
    writer.commit(EVENTS.arrow_schema.empty_table(), Span(6, 7))

    assert sink.open(EVENTS, "log", "0").position == 7


def test_two_hundred_commits_leave_fifty_snapshots_few_manifests_and_a_small_metadata_file(tmp_path: Path) -> None:
    catalog = open_catalog(tmp_path, create=True)
    writer = IcebergSink(catalog, FakeClock()).open(EVENTS, "log", "0")
    for number in range(200):
        commit(writer, number * 3, number * 3 + 3)

    table = catalog.load_table("mta.events")
    snapshot = table.current_snapshot()
    assert snapshot is not None
    assert len(table.metadata.snapshots) <= KEPT_SNAPSHOTS
    assert len(snapshot.manifests(table.io)) <= 24
    assert len(Path(table.metadata_location.removeprefix("file://")).read_bytes()) < 100_000
    assert pairs(table.scan().to_arrow()) == wanted(0, 600)
    assert pin(catalog, EVENTS).rows == len(wanted(0, 600))


def test_sweeping_deletes_what_is_unreachable_and_nothing_else(tmp_path: Path) -> None:
    catalog = open_catalog(tmp_path, create=True)
    writer = IcebergSink(catalog, FakeClock()).open(EVENTS, "log", "0")
    for number in range(80):
        commit(writer, number * 3, number * 3 + 3)
    metadata = tmp_path / "warehouse" / "mta" / "events" / "metadata"
    before = len(list(metadata.iterdir()))
    now = time.time_ns() // 1_000
    later = now + 7_200_000_000

    assert sweep(catalog.load_table("mta.events"), now) == []
    assert sweep(catalog.load_table("mta.events"), later) == [], "our clock alone has leapt, the disk's has not"
    assert sweep(catalog.load_table("mta.events"), now - 60_000_000, grace_us=0) == [], "ours has stepped back"
    for path in metadata.iterdir():
        if path != local_path(catalog.load_table("mta.events").metadata_location):
            os.utime(path, ns=(0, path.stat().st_mtime_ns - 7_200_000_000_000))
    deleted = sweep(catalog.load_table("mta.events"), now)

    assert len(deleted) > 60
    assert len(list(metadata.iterdir())) == before - len(deleted)
    table = catalog.load_table("mta.events")
    for kept in table.metadata.snapshots:
        assert kept.manifests(table.io)
    assert pairs(table.scan().to_arrow()) == wanted(0, 240)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_declared_table_can_be_made_and_opened_again(table: Table, tmp_path: Path) -> None:
    sink = IcebergSink(open_catalog(tmp_path, create=True), FakeClock())
    sink.open(table, "log", "0").commit(table.arrow_schema.empty_table(), Span(0, 0))

    assert sink.open(table, "log", "0").position == 0
