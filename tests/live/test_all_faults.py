"""With every fault at 5 %, what was injected is what is found, fault by fault, and the tables still are the log."""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event

import duckdb

from tests.live.configured import configured
from thirdrail import app
from thirdrail.app.data_folder import SIMULATED
from thirdrail.app.running import Run
from thirdrail.city.faults import BACK_S, FAULTS, FROZEN_S, FUTURE_S, REPLICA_S
from thirdrail.city.messages import header_time
from thirdrail.city.server import CityServer
from thirdrail.config import load, polled
from thirdrail.model.records import Poll
from thirdrail.observe.clock import SystemClock
from thirdrail.query.warehouse import open_warehouse
from thirdrail.sinks.iceberg.catalog import open_catalog

SPEED = 15.0
SECONDS = 25.0
RATE = 0.05
Row = Mapping[str, object]


class CityClock(SystemClock):
    """Wall time as fast as the city's, so that its headers are of now."""

    def __init__(self) -> None:
        self._began = time.time()

    def now(self) -> int:
        """Microseconds since 1970 UTC, by the city's watch."""
        return int((self._began + (time.time() - self._began) * SPEED) * 1_000_000)

    def seconds(self) -> float:
        """The wall clock that the city starts from."""
        return time.time()


def has_rule(rule: str) -> Callable[[Row, int], bool]:
    return lambda row, _at: any(str(text).startswith(f"{rule}=") for text in row["rule_counts"])  # type: ignore[attr-defined]


def has_header(seconds_of: Callable[[int], int]) -> Callable[[Row, int], bool]:
    return lambda row, at: row["header"] == seconds_of(at)


def is_class(name: str) -> Callable[[Row, int], bool]:
    return lambda row, _at: row["error_class"] == name


FOUND: dict[str, Callable[[Row, int], bool]] = {
    "hollow": lambda row, _at: row["outcome"] == "hollow",
    "header_backwards": has_header(lambda at: header_time(at) - BACK_S),
    "stale_replica": has_header(lambda at: header_time(at) - REPLICA_S),
    "frozen": has_header(lambda at: header_time(at // FROZEN_S * FROZEN_S)),
    "twin_trip_ids": has_rule("M011"),
    "zombie": has_rule("M016"),
    "future_vehicle": lambda row, _at: row["ahead"] == FUTURE_S,
    "millisecond_stamps": has_rule("M026"),
    "xml_200": lambda row, _at: "NoSuchKey" in str(row["error_detail"]),
    "html_200": lambda row, _at: "DOCTYPE" in str(row["error_detail"]),
    "http_503": lambda row, _at: row["http_status"] == 503,
    "empty_body": is_class("Empty"),
    "truncated": lambda row, _at: row["outcome"] == "decode_error",
    "short_body": is_class("ShortBody"),
    "slow_drip": is_class("TotalTimeout"),
    "gzip_bomb": is_class("TooBig"),
}
"""Fault → how a row of ``feed_messages`` shows it; ``at`` is when it was served (POSIX seconds)."""

WELL = {"ok", "duplicate"}


def test_every_fault_that_was_injected_is_found_under_its_name_and_nowhere_else(tmp_path: Path) -> None:
    assert set(FOUND) == set(FAULTS)
    clock = CityClock()
    journal = tmp_path / "journal.jsonl"
    said: list[str] = []
    with CityServer(
        seed=11, speed=SPEED, faults=dict.fromkeys(FAULTS, RATE), journal=journal, clock=clock.seconds
    ) as city:
        config = load(configured(tmp_path / "run.toml", city, history="every_poll", commit_interval_seconds=1))
        with app.writing(tmp_path / "data", config, clock, kinds=(SIMULATED,)) as work:
            run = Run(work, polled(config, environment={}), clock, said.append, trust_environment=False)
            stopping, began = Event(), time.monotonic()
            run.until_stopped(stopping, lambda: stopping.set() if time.monotonic() - began > SECONDS else None)
            polls = [(e.offset, e.record) for e in work.log.headers(0, 100_000) if isinstance(e.record, Poll)]

    rows = {row["capture_offset"]: row for row in messages(tmp_path / "data")}
    injected, found, strange = compared(journal, polls, rows)
    assert strange == []
    assert injected == found
    assert set(injected) >= set(FAULTS) - {"frozen"}, "too few polls for every fault to happen"
    report = app.audit(app.DataFolder.existing(tmp_path / "data"), None)
    assert report.ok, report
    assert (report.captures, report.pending) == (len(polls), 0)


def messages(data: Path) -> list[dict[str, object]]:
    connection: duckdb.DuckDBPyConnection = open_warehouse(open_catalog(data, create=False)).connect()
    found = connection.sql(
        f"""
        SELECT capture_offset, outcome, error_class, error_detail, http_status, rule_counts, quarantined_count,
            epoch(feed_timestamp)::BIGINT AS header,
            (SELECT max(epoch(vehicle_at - feed_timestamp)) FROM vehicle_positions v
             WHERE v.capture_offset = m.capture_offset AND epoch(vehicle_at - feed_timestamp) >= {FUTURE_S}) AS ahead
        FROM feed_messages m
        """
    )
    return found.to_arrow_table().to_pylist()


def compared(
    journal: Path, polls: list[tuple[int, Poll]], rows: Mapping[object, Row]
) -> tuple[Counter[str], Counter[str], list[str]]:
    """Match the nth answer of a feed with its nth capture; give faults injected, found, and well polls that are not."""
    served: dict[str, list[dict[str, object]]] = {}
    for line in journal.read_text().splitlines():
        fact = json.loads(line)
        served.setdefault(fact["feed_id"], []).append(fact)
    injected, found = Counter[str](), Counter[str]()
    strange = []
    for feed_id, facts in served.items():
        captures = [offset for offset, poll in polls if poll.feed_id == feed_id]
        for fact, offset in zip(facts, captures, strict=False):
            row, fault, at = rows[offset], fact["fault"], int(str(fact["served_at"])) // 1_000_000
            if fault is None:
                if row["outcome"] not in WELL or row["header"] != header_time(at):
                    strange.append(f"{feed_id} {offset}: {row}")
                continue
            injected[str(fault)] += 1
            found[str(fault)] += FOUND[str(fault)](row, at)
    return injected, found, strange
