"""Audit finds planted damage, one fault at a time, and counts it under its name."""

from collections.abc import Callable, Iterator

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from google.transit.gtfs_realtime_pb2 import FeedMessage

from tests.fakes.clock import FakeClock
from tests.simulation.histories import history
from tests.simulation.test_change_keeping import FEEDS
from thirdrail.capturelog.memory import MemoryLog
from thirdrail.maintenance.audit import Audit, AuditReport
from thirdrail.model.records import ReplayOrder, Settings
from thirdrail.model.tables import BY_NAME, TABLES, Table
from thirdrail.pipeline.loop import Pipeline
from thirdrail.sinks.memory import MemorySink

STOPS = BY_NAME["stop_time_updates"]
Damage = Callable[[pa.Table], pa.Table]


class MemoryReader:
    """Reads a memory sink's table as audit wants it."""

    def __init__(self, sink: MemorySink, table: Table) -> None:
        self._rows = sink.rows(table)
        self.kept_from: int | None = None
        self.since: dict[str, dict[tuple[str, str], int]] = {}
        self.lacks: frozenset[str] = frozenset()
        self.begun: dict[tuple[str, str], int] = {}
        self.positions = {(log, part): at for (name, log, part), at in sink.positions.items() if name == table.name}

    def scan(self, columns: list[str], start: int | None, end: int | None) -> Iterator[pa.Table]:
        rows = self._rows
        if start is not None:
            rows = rows.filter(pc.greater_equal(rows.column("capture_offset"), start))
        if end is not None:
            rows = rows.filter(pc.less(rows.column("capture_offset"), end))
        yield rows.select(columns)


def filled(seed: int = 3, *records: tuple[object, None]) -> tuple[MemoryLog, MemorySink]:
    log, sink = MemoryLog(), MemorySink()
    log.append("0", [*history(seed), *records])  # type: ignore[list-item]
    drain(log, sink)
    return log, sink


def drain(log: MemoryLog, sink: MemorySink) -> None:
    pipeline = Pipeline(log, sink, "0", FakeClock(), feeds=FEEDS)
    pipeline.open()
    while pipeline.step() is not None:
        pass


def audited(log: MemoryLog, sink: MemorySink, since: int | None = None) -> AuditReport:
    return Audit(log, "0", {table.name: MemoryReader(sink, table) for table in TABLES}, FEEDS).run(since)


def damaged(sink: MemorySink, table: Table, damage: Damage) -> None:
    sink.tables[table.name] = [damage(sink.rows(table))]


def replaced(rows: pa.Table, row: int, name: str, value: object) -> pa.Table:
    values = rows.column(name).to_pylist()
    values[row] = value
    place = rows.schema.get_field_index(name)
    return rows.set_column(place, rows.schema.field(place), pa.array(values, rows.schema.field(place).type))


def lost(rows: pa.Table) -> pa.Table:
    return pa.concat_tables([rows.slice(0, 7), rows.slice(8)])


def doubled(rows: pa.Table) -> pa.Table:
    return pa.concat_tables([rows, rows.slice(7, 1)])


def altered(rows: pa.Table) -> pa.Table:
    return replaced(rows, 7, "stop_id", "S99")


def moved(rows: pa.Table) -> pa.Table:
    return replaced(rows, 7, "stu_index", 77)


def foreign(rows: pa.Table) -> pa.Table:
    return pa.concat_tables([rows, replaced(rows.slice(7, 1), 0, "capture_log", "elsewhere")])


def beyond(rows: pa.Table) -> pa.Table:
    return pa.concat_tables([rows, replaced(rows.slice(7, 1), 0, "capture_offset", 4_000)])


def test_an_undamaged_table_is_ok_whatever_its_history() -> None:
    for seed in range(8):
        log, sink = filled(seed, (Settings(history="every_poll"), None))
        log.append("0", [record for record in history(seed + 100) if getattr(record[0], "duplicate_of", None) is None])
        drain(log, sink)
        report = audited(log, sink)
        assert report.ok, report
        assert report.rows_expected == report.rows_found > 0
        assert report.captures == sink.rows(BY_NAME["feed_messages"]).num_rows


@pytest.mark.parametrize(
    ("damage", "faults"),
    [
        (lost, {"missing": 1}),
        (doubled, {"duplicated": 1}),
        (altered, {"altered": 1}),
        (moved, {"missing": 1, "unexpected": 1}),
        (foreign, {"unexpected": 1}),
        (beyond, {"unexpected": 1}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_one_damaged_row_is_found_and_named(damage: Damage, faults: dict[str, int]) -> None:
    log, sink = filled()
    damaged(sink, STOPS, damage)
    report = audited(log, sink)

    assert not report.ok
    assert report.faults_by_table == {STOPS.name: faults}


SIMULATED = [
    table
    for table in TABLES
    if table.name in ("trip_updates", "stop_time_updates", "vehicle_positions", "quarantine", "feed_messages")
]


@pytest.mark.parametrize("table", SIMULATED, ids=lambda table: table.name)
def test_a_lost_row_is_found_in_every_table_that_the_simulation_fills(table: Table) -> None:
    seed = next(seed for seed in range(50) if filled(seed)[1].rows(table).num_rows > 8)
    log, sink = filled(seed)
    damaged(sink, table, lost)

    assert audited(log, sink).faults_by_table == {table.name: {"missing": 1}}


def test_a_poll_that_is_not_in_feed_messages_is_missing() -> None:
    log, sink = filled()
    damaged(sink, BY_NAME["feed_messages"], lost)

    assert audited(log, sink).missing == 1


def test_what_is_not_yet_committed_is_pending_and_no_fault() -> None:
    log, sink = filled()
    log.append("0", history(5)[:3])
    report = audited(log, sink)

    assert report.ok
    assert report.pending == 3


def test_captures_near_the_edge_of_retention_are_unverifiable_not_wrong() -> None:
    log, sink = filled()
    log.drop_below(9)
    report = audited(log, sink)

    assert report.faults == 0
    assert report.unverifiable > 0


def test_with_nothing_to_look_at_nothing_is_ok() -> None:
    log, sink = filled()
    log.drop_below(24)

    assert not audited(log, sink).ok


def test_rows_restored_by_a_replay_order_are_expected_and_counted() -> None:
    """M010 refused under the first settings passes under the second, by order."""
    log, sink = MemoryLog(), MemorySink()
    log.append("0", [(Settings(severities={"*": {"M010": "reject"}}), None)])
    body = two_entities_of_one_id()
    records = history(1)
    log.append("0", [(msgspec.structs.replace(records[0][0], body_sha256=None), body)])
    drain(log, sink)
    refused = sink.rows(BY_NAME["quarantine"]).to_pylist()
    assert [row["primary_rule_id"] for row in refused] == ["M010"]
    log.append("0", [(Settings(), None)])
    order = ReplayOrder(ordered_at=1, quarantine_ids=(refused[0]["quarantine_id"],), captures=(1,))
    log.append("0", [(order, None)])
    drain(log, sink)
    report = audited(log, sink)

    assert report.ok, report
    assert report.restored == 3
    assert sink.rows(STOPS).column("change_kind").to_pylist().count("restored") == 1
    damaged(sink, STOPS, lambda rows: rows.filter(pc.not_equal(rows.column("change_kind"), "restored")))
    assert audited(log, sink).missing == 1


def two_entities_of_one_id() -> bytes:
    feed = FeedMessage()
    feed.header.gtfs_realtime_version = "2.0"
    feed.header.timestamp = 1_780_000_000
    for trip in ("A", "B"):
        entity = feed.entity.add(id="1")
        entity.trip_update.trip.trip_id = trip
        entity.trip_update.trip.start_date = "20260528"
        entity.trip_update.stop_time_update.add(stop_id="S01").arrival.time = 1_780_000_100
    return feed.SerializeToString()
