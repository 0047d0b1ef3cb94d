"""The promised figures, over histories whose answers are known."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from tests.query.lake import arrow
from thirdrail.model.tables import COMMITS, FEED_MESSAGES
from thirdrail.query.report import (
    COLUMNS,
    COMMIT_COLUMNS,
    ICEBERG,
    MINUTE_US,
    Figure,
    Place,
    PromiseReport,
    Window,
    reported,
)

START = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
START_US = int(START.timestamp()) * 1_000_000
MINUTES = 60
Row = dict[str, Any]


def poll(minute: float, offset: int, feed: str = "a", **values: Any) -> Row:
    at = START + timedelta(minutes=minute)
    usual = {"body_sha256": str(offset), "outcome": "ok", "trip_updates_passed": 9_000, "trip_updates_written": 900}
    return {"feed_id": feed, "capture_offset": offset, "fetched_at": at, "received_at": at, **usual, **values}


def commit(minute: float, end: int, start: int | None = None, sequence: int = 1, *, after_s: float = 5.0) -> Row:
    at = START + timedelta(minutes=minute, seconds=after_s)
    start = end - 1 if start is None else start
    return {
        "capture_log": "log",
        "start_offset": start,
        "end_offset": end,
        "committed_at": at,
        "sequence_number": sequence,
    }


def report(
    polls: list[Row], commits: list[Row], intervals: dict[str, float] | None = None, **given: Any
) -> PromiseReport:
    messages = pl.DataFrame(arrow(FEED_MESSAGES, polls)).select(COLUMNS)
    blank = {"table_name": "feed_messages", "table_uuid": "u", "snapshot_id": 1, "operation": "append"}
    blank |= dict.fromkeys(("added_rows", "removed_rows", "added_files", "total_rows", "total_files"), 0)
    made = pa.Table.from_pylist([{**blank, **row} for row in commits], schema=COMMITS.arrow_schema)
    window = Window(START_US, START_US + MINUTES * MINUTE_US, intervals or {"a": 30.0}, given.get("severities", {}))
    elsewhere = {place: told(found) for place, found in given.get("elsewhere", {}).items()}
    return reported(messages, {ICEBERG: pl.DataFrame(made).select(COMMIT_COLUMNS), **elsewhere}, window)


def told(commits: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(commits, infer_schema_length=None).select(COMMIT_COLUMNS)


def figure(found: PromiseReport, name: str, sink: str | None = None) -> Figure:
    return next(each for each in found.figures if each.name == name and sink in (None, each.sink))


def steady(**values: Any) -> tuple[list[Row], list[Row]]:
    """Two polls a minute for an hour, each committed five seconds later."""
    polls = [poll(number / 2, number, **values) for number in range(2 * MINUTES)]
    return polls, [commit(number / 2, number + 1) for number in range(2 * MINUTES)]


def test_a_steady_hour_keeps_every_promise() -> None:
    found = report(*steady())
    assert found.all_met
    assert figure(found, "records a minute").value == 18_000
    assert figure(found, "body to row, half").value == 5.0
    assert figure(found, "availability").value == 1.0
    assert figure(found, "valid (profile)").value == figure(found, "valid (strict)").value == 1.0
    (minutes,) = found.feeds
    assert (minutes.minutes, minutes.published, minutes.in_time, minutes.not_run) == (60, 60, 60, 0)


def test_ten_minutes_without_us_are_exactly_ten_minutes_missed_also_after_a_restart() -> None:
    polls, commits = steady()
    kept = [number for number in range(len(polls)) if not 20 <= number / 2 < 30]
    found = report([polls[n] for n in kept], [commits[n] for n in kept])
    (minutes,) = found.feeds
    assert (minutes.published, minutes.not_run, minutes.quiet) == (50, 10, 0)
    availability = figure(found, "availability")
    assert availability.value == pytest.approx(50 / 60)
    assert availability.met is False
    assert figure(found, "records a minute").value == 15_000


def test_minutes_before_commits_were_written_down_are_neither_kept_nor_missed() -> None:
    polls, commits = steady()
    kept = [n for n in range(len(polls)) if n < 10 or n >= 20]  # five minutes before it, in which nothing ran
    polls, commits = [polls[n] for n in kept], [commits[n] for n in kept]
    for began, not_recorded in ((20, 20), (19.01, 20), (0, 0), (-5, 0)):
        place = Place("snowflake", 10.0, START_US + int(began * MINUTE_US))
        told_of = [each for each in commits if each["committed_at"] >= START + timedelta(minutes=began)]
        found = report(polls, commits, elsewhere={place: told_of})
        availability = figure(found, "availability", "snowflake")
        assert availability.not_recorded == not_recorded
        assert availability.value == pytest.approx(1.0 if began > 0 else 55 / 60)
        ours = figure(found, "availability", "iceberg")
        assert (ours.value, ours.not_recorded) == (pytest.approx(55 / 60), 0)


def test_what_stands_still_since_commits_are_written_down_is_missed() -> None:
    polls, commits = steady()
    place = Place("snowflake", 10.0, START_US + 20 * MINUTE_US)
    for last, kept in ((40, 0.0), (80, 0.5)):
        found = report(polls, commits, elsewhere={place: commits[:last]})
        availability = figure(found, "availability", "snowflake")
        assert (availability.value, availability.not_recorded) == (kept, 20)
        assert availability.met is False
    nothing = report(polls, commits, elsewhere={place._replace(recorded_from=START_US + 61 * MINUTE_US): commits[:40]})
    assert figure(nothing, "availability", "snowflake").value is None
    assert figure(nothing, "availability", "snowflake").not_recorded == MINUTES


def test_rows_that_come_after_thirty_seconds_are_late_and_one_makes_its_minute_late() -> None:
    polls, commits = steady()
    commits[40]["committed_at"] = polls[40]["received_at"] + timedelta(seconds=30)
    commits[50]["committed_at"] = polls[50]["received_at"] + timedelta(seconds=30, microseconds=1)
    (minutes,) = report(polls, commits).feeds
    assert (minutes.in_time, minutes.late) == (59, 1)


def test_a_capture_whose_commit_nobody_knows_is_not_in_time_and_no_age() -> None:
    polls, commits = steady()
    found = report(polls, commits[10:])
    (minutes,) = found.feeds
    assert (minutes.in_time, minutes.late) == (55, 5)
    assert figure(found, "body to row, half").value == 5.0


def test_a_source_that_is_silent_or_repeats_itself_is_quiet_and_one_that_does_not_answer_is_missed() -> None:
    polls, commits = steady()
    for number in range(20, 30):
        polls[number] |= {"outcome": "duplicate"}
    for number in range(40, 44):
        polls[number] |= {"outcome": "http_error", "body_sha256": None}
    found = report(polls, commits)
    (minutes,) = found.feeds
    assert (minutes.quiet, minutes.unanswered, minutes.published) == (5, 2, 53)
    assert figure(found, "availability").value == pytest.approx(53 / 55)


def test_a_feed_that_is_asked_every_five_minutes_is_not_missed_in_between() -> None:
    polls = [poll(5 * number, number, "elevators") for number in range(12)]
    commits = [commit(5 * number, number + 1) for number in range(12)]
    (minutes,) = report(polls, commits, {"elevators": 300.0}).feeds
    assert (minutes.published, minutes.in_time, minutes.quiet, minutes.not_run) == (12, 12, 48, 0)


def test_a_feed_that_was_never_polled_in_that_time_is_missed_throughout() -> None:
    found = report(*steady(), {"a": 30.0, "b": 30.0})
    assert [each.not_run for each in found.feeds] == [0, 60]
    assert figure(found, "availability").value == 0.5


def test_the_99th_percentile_is_one_of_rows_not_of_polls() -> None:
    polls, commits = steady(trip_updates_written=10)
    polls[7] |= {"trip_updates_written": 1_000}
    commits[7]["committed_at"] = polls[7]["received_at"] + timedelta(seconds=45)
    found = report(polls, commits)
    assert figure(found, "body to row, half").value == 5.0
    assert figure(found, "body to row, 99 %").value == 45.0
    assert figure(found, "body to row, 99 %").met is False


def test_valid_records_by_profile_and_by_the_validators_own_severity() -> None:
    polls, commits = steady(quarantined_count=10, rule_counts=["E001=4", "E038=50", "M012=999", "W001=70"])
    found = report(polls, commits)
    assert figure(found, "valid (profile)").value == pytest.approx(1 - 10 / 9_010)
    # E001 refuses by default, and is among the ten; M… and W… are no errors of the validator.
    assert figure(found, "valid (strict)").value == pytest.approx(1 - 60 / 9_010)
    found = report(polls, commits, severities={"a": {"E001": "flag"}})
    assert figure(found, "valid (strict)").value == pytest.approx(1 - 64 / 9_010)


def test_replayed_polls_say_nothing_of_us() -> None:
    polls, commits = steady()
    replayed = [poll(n / 2, 1_000 + n, origin="replay-1", trip_updates_passed=1_000_000) for n in range(20)]
    assert report(polls + replayed, commits) == report(polls, commits)


def test_an_hour_of_which_nothing_is_known_says_unknown_and_misses_nothing_that_it_cannot_see() -> None:
    found = report([poll(-90, 0)], [commit(-90, 1)])
    assert figure(found, "body to row, half").met is None
    assert figure(found, "availability").value == 0.0


def test_every_sink_has_its_own_freshness_and_availability_against_its_own_promise() -> None:
    polls, commits = steady()
    place = Place("snowflake (v2)", 10.0)
    slow = [commit(n / 2, n + 1, after_s=12.0 if n % 2 else 8.0) for n in range(2 * MINUTES)]
    slow[40] = commit(20, 41, after_s=31.0)
    found = report(polls, commits, elsewhere={place: slow})
    assert [each.sink for each in found.figures if each.name == "availability"] == ["iceberg", "snowflake (v2)"]
    assert figure(found, "availability", "iceberg").value == 1.0
    assert figure(found, "availability", "snowflake (v2)").value == pytest.approx(59 / 60)
    assert figure(found, "body to row, 99 %", "iceberg").value == 5.0
    half, nearly_all = (figure(found, f"body to row, {share}", "snowflake (v2)") for share in ("half", "99 %"))
    assert (half.value, half.met, nearly_all.value, nearly_all.met) == (12.0, False, 12.0, False)
    assert not found.all_met
