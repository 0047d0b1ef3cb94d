"""Durations, times and sizes, as a person writes and reads them."""

from datetime import UTC, datetime, timedelta

import pytest

from thirdrail.cli.options import duration, since_us
from thirdrail.cli.output import iso, new_york, size, utc
from thirdrail.errors import BadDuration, BadTime

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
NOON_US = 1_782_907_200_000_000


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("24h", 86_400), ("7d", 604_800), ("1.5h", 5_400), (" 2m ", 120)]
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "5 parsecs", "-1h", "1h30m", "h", "1e9d", "99999999999999d"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(BadDuration):
        duration(text)


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("2026-07-01T08:00-04:00", NOON_US),
        ("2026-07-01T12:00:00Z", NOON_US),
        ("2026-07-01T12:00:00.000001Z", NOON_US + 1),
        ("2026-07-01", NOON_US - 12 * 3_600_000_000),
        ("12h", NOON_US - 12 * 3_600_000_000),
        (None, None),
    ],
)
def test_since_is_a_time_with_zone_a_date_or_how_long_ago(text: str | None, microseconds: int | None) -> None:
    assert since_us(text, NOON) == microseconds


@pytest.mark.parametrize("text", ["2026-07-01T08:00", "yesterday", "2026-13-01", "", "08:00"])
def test_a_time_without_zone_or_sense_is_refused(text: str) -> None:
    with pytest.raises(BadTime):
        since_us(text, NOON)


@pytest.mark.parametrize("text", ["5parsecs", "5 parsecs", "-1h", "9999999d"])
def test_what_looks_like_a_duration_is_refused_as_one(text: str) -> None:
    with pytest.raises(BadDuration):
        since_us(text, NOON)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (999_960, "1.0 MB"),
        (1_234_567, "1.2 MB"),
        (5 * 10**9, "5.0 GB"),
        (7 * 10**15, "7,000.0 TB"),
    ],
)
def test_sizes_are_read_at_a_glance(number: int, text: str) -> None:
    assert size(number) == text


def test_instants_are_shown_in_utc_and_in_new_york() -> None:
    assert (utc(NOON_US), new_york(NOON_US)) == ("2026-07-01 12:00:00Z", "Wed 08:00:00")
    assert iso(NOON_US + 1) == "2026-07-01T12:00:00.000001Z"
    assert (utc(None), new_york(None), iso(None)) == ("", "", None)
