"""With every fault at 5 %, what was injected is what is found, fault by fault, and the tables still are the log."""

import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event

import duckdb
import pytest

from tests.fakes.clock import FakeClock
from tests.live.configured import configured
from thirdrail import app
from thirdrail.app.data_folder import SIMULATED
from thirdrail.app.running import Run
from thirdrail.city.faults import BACK_S, FAULTS, FROZEN_S, FUTURE_S, REPLICA_S, applies, delivered
from thirdrail.city.fleet import BUSES
from thirdrail.city.lines import ROUTES
from thirdrail.city.messages import SIRI, header_time
from thirdrail.city.railroads import header_at
from thirdrail.city.server import SERVED, CityServer
from thirdrail.config.feeds import polled
from thirdrail.config.reading import load
from thirdrail.config.settings import Config
from thirdrail.model.records import Poll
from thirdrail.observe.clock import SystemClock
from thirdrail.query.warehouse import open_warehouse
from thirdrail.sinks.iceberg.catalog import open_catalog

RATE = 0.05
LONG = int(os.environ.get("THIRDRAIL_FAULT_SECONDS", "30"))
Row = Mapping[str, object]
Sign = Callable[[Row, str, int], bool]


class CityClock(SystemClock):
    """Wall time as fast as the city's, so that its headers are of now."""

    def __init__(self, speed: float) -> None:
        self._began, self._speed = time.time(), speed

    def now(self) -> int:
        """Microseconds since 1970 UTC, by the city's watch."""
        return int((self._began + (time.time() - self._began) * self._speed) * 1_000_000)

    def seconds(self) -> float:
        """The wall clock that the city starts from."""
        return time.time()


def header(feed_id: str, at: int) -> int | None:
    """Give the header's time of what a feed publishes at a moment; elevators have none."""
    if feed_id.startswith("ene_"):
        return None
    edition = header_time(feed_id, at)
    return header_at(feed_id, edition) if feed_id in ("lirr", "mnr") else edition


def has_rule(rule: str) -> Sign:
    return lambda row, _feed, _at: any(str(text).startswith(f"{rule}=") for text in row["rule_counts"])  # type: ignore[attr-defined]


def has_header(seconds_of: Callable[[int], int]) -> Sign:
    return lambda row, feed_id, at: row["header"] == header(feed_id, seconds_of(at))


def has(column: str, value: object) -> Sign:
    return lambda row, _feed, _at: row[column] == value


def says(words: str) -> Sign:
    return lambda row, _feed, _at: words in str(row["error_detail"])


FOUND: dict[str, Sign] = {
    "hollow": has("outcome", "hollow"),
    "header_backwards": has_header(lambda at: at - BACK_S),
    "stale_replica": has_header(lambda at: at - REPLICA_S),
    "frozen": has_header(lambda at: at // FROZEN_S * FROZEN_S),
    "twin_trip_ids": has_rule("M011"),
    "zombie": has_rule("M016"),
    "future_vehicle": has("ahead", FUTURE_S),
    "millisecond_stamps": has_rule("M026"),
    "odd_start_date": has_rule("M028"),
    "loop_stop": has("loops", 1),
    "twin_alerts": has_rule("M011"),
    "odd_item": has_rule("M009"),
    "spooking": has("spooks", 1),
    "siri_error_200": says("API key is not authorized"),
    "asked_too_often": has("http_status", 417),
    "xml_200": says("NoSuchKey"),
    "html_200": says("DOCTYPE"),
    "http_503": has("http_status", 503),
    "empty_body": has("error_class", "Empty"),
    "truncated": has("outcome", "decode_error"),
    "short_body": has("error_class", "ShortBody"),
    "slow_drip": has("error_class", "TotalTimeout"),
    "gzip_bomb": has("error_class", "TooBig"),
}
"""Fault → how a row of ``feed_messages`` shows it, given the feed and when it was served (POSIX seconds)."""

OF_MANY = ("odd_item", "hollow", "truncated", "twin_trip_ids")
OF_ONE_FEED = {name for name in FAULTS if sum(applies(name, feed) for feed in SERVED) == 1}
WELL = {"ok", "duplicate"}


@pytest.mark.parametrize(
    ("feeds", "speed", "seconds", "patience"),
    [(tuple(ROUTES), 15.0, 25, 10), (SERVED, 4.0, LONG, 20)],
    ids=["subway", "all_of_new_york"],
)
def test_every_fault_that_was_injected_is_found_under_its_name_and_nowhere_else(
    tmp_path: Path, feeds: tuple[str, ...], speed: float, seconds: int, patience: int
) -> None:
    assert set(FOUND) == set(FAULTS)
    clock = CityClock(speed)
    journal = tmp_path / "journal.jsonl"
    said: list[object] = []
    rates = dict.fromkeys(FAULTS, RATE)
    wanted = {name for name in FAULTS if any(applies(name, feed) for feed in feeds)} - {"frozen"} - OF_ONE_FEED
    stopping, began = Event(), time.monotonic()

    def look() -> None:
        """Let it end after its time; on a slow machine, once every fault has happened."""
        spent = time.monotonic() - began
        if spent > 4 * seconds or (spent > seconds and wanted <= happened(journal)):
            stopping.set()

    with CityServer(seed=11, speed=speed, faults=rates, journal=journal, clock=clock.seconds) as city:
        path = tmp_path / "run.toml"
        config = load(
            configured(path, city, feeds=feeds, patience=patience, history="every_poll", commit_interval_seconds=1)
        )
        with app.writing(tmp_path / "data", config, clock, kinds=(SIMULATED,)) as work:
            run = Run(work, polled(config, environment={}), clock, said.append, trust_environment=False)
            run.until_stopped(stopping, look)
            polls = [(e.offset, e.record) for e in work.log.headers(0, 100_000) if isinstance(e.record, Poll)]
            work.drain(app.Totals())

    rows = {row["capture_offset"]: row for row in messages(tmp_path / "data")}
    injected, found, strange = compared(journal, polls, rows)
    assert strange == []
    assert injected == found
    assert set(injected) >= wanted, "too few polls for every fault to happen"
    report = app.audit(app.DataFolder.existing(tmp_path / "data"), None)
    assert report.ok, report
    assert (report.captures, report.pending) == (len(polls), 0)


@pytest.mark.parametrize("feed_id", [SIRI, BUSES, "ene_current", "ene_upcoming", "alerts_all"])
def test_faults_of_feeds_that_are_seldom_asked_are_found_one_by_one(tmp_path: Path, feed_id: str) -> None:
    at = 1_790_000_000
    names = {name for name in (*OF_ONE_FEED, *OF_MANY) if applies(name, feed_id)}
    bodies = {name: delivered(name, 0, feed_id, at + 30) for name in names}
    judged = {name: each.body for name, each in bodies.items() if each.status == 200 and not each.packed}
    assert judged
    for name, judged_body in judged.items():
        data = tmp_path / name
        with app.writing(data, Config(), FakeClock(), kinds=(SIMULATED,)) as work:
            polls = [(at, delivered(None, 0, feed_id, at).body), (at + 30, judged_body)]
            work.append([(Poll(feed_id=feed_id, fetched_at=when * 1_000_000), body) for when, body in polls])
            work.drain(app.Totals())
        before, after = sorted(messages(data), key=lambda row: str(row["capture_offset"]))
        assert before["outcome"] == "ok"
        assert not FOUND[name](before, feed_id, at), name
        assert FOUND[name](after, feed_id, at + 30), (name, after)


def happened(journal: Path) -> set[str]:
    """Give the faults that were served so far."""
    return set(re.findall(r'"fault": ?"(\w+)"', journal.read_text()))


def messages(data: Path) -> list[dict[str, object]]:
    connection: duckdb.DuckDBPyConnection = open_warehouse(open_catalog(data, create=False)).connect()
    found = connection.sql(
        f"""
        SELECT capture_offset, outcome, error_class, error_detail, http_status, rule_counts, quarantined_count,
            epoch(feed_timestamp)::BIGINT AS header,
            (SELECT max(epoch(vehicle_at - feed_timestamp)) FROM vehicle_positions v
             WHERE v.capture_offset = m.capture_offset AND epoch(vehicle_at - feed_timestamp) >= {FUTURE_S}) AS ahead,
            (SELECT count(*) FROM stop_time_updates s
             WHERE s.capture_offset = m.capture_offset AND s.stop_occurrence = 2) AS loops,
            (SELECT count(*) FROM siri_vehicle_activity s
             WHERE s.capture_offset = m.capture_offset AND s.is_spooking AND change_kind <> 'removed') AS spooks
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
                if row["outcome"] not in WELL or row["header"] != header(feed_id, at):
                    strange.append(f"{feed_id} {offset}: {row}")
                continue
            injected[str(fault)] += 1
            found[str(fault)] += FOUND[str(fault)](row, feed_id, at)
    return injected, found, strange
