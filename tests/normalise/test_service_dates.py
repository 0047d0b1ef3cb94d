"""Service dates count from noon minus twelve hours, whatever the clocks do at night."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thirdrail.normalise.service_date import EPOCH, midnight_us, parse_start_date, service_date_at

NEW_YORK = "America/New_York"


def instant(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("day", "first_train_at_six", "subway_28_02"),
    [
        (date(2026, 3, 8), "2026-03-08T06:00:00-04:00", "2026-03-09T04:02:00-04:00"),
        (date(2026, 11, 1), "2026-11-01T06:00:00-05:00", "2026-11-02T04:02:00-05:00"),
        (date(2026, 7, 1), "2026-07-01T06:00:00-04:00", "2026-07-02T04:02:00-04:00"),
    ],
)
def test_six_in_the_morning_and_28_02_are_right_on_both_dst_nights(
    day: date, first_train_at_six: str, subway_28_02: str
) -> None:
    start = midnight_us(day, NEW_YORK)

    assert start + 6 * 3_600_000_000 == instant(first_train_at_six)
    assert start + (28 * 3600 + 2 * 60) * 1_000_000 == instant(subway_28_02)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-07-02T00:30:00-04:00", date(2026, 7, 1)),
        ("2026-07-02T02:59:59-04:00", date(2026, 7, 1)),
        ("2026-07-02T03:00:00-04:00", date(2026, 7, 2)),
        ("2026-11-01T01:30:00-04:00", date(2026, 10, 31)),
        ("2026-11-01T01:30:00-05:00", date(2026, 10, 31)),
        ("2026-03-08T03:00:00-04:00", date(2026, 3, 8)),
    ],
)
def test_the_service_day_begins_at_three(moment: str, day: date) -> None:
    assert service_date_at(instant(moment), NEW_YORK) == day


@given(st.datetimes(datetime(2006, 1, 1), datetime(2032, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - as hypothesis wants them
def test_every_instant_lies_within_a_day_of_its_service_date(moment: datetime) -> None:
    microseconds = (moment - EPOCH) // timedelta(microseconds=1)
    day = service_date_at(microseconds, NEW_YORK)

    local = moment.astimezone(ZoneInfo(NEW_YORK))
    assert day in (local.date(), local.date() - timedelta(days=1))
    assert 2 * 3_600_000_000 <= microseconds - midnight_us(day, NEW_YORK) < 28 * 3_600_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20230529", (date(2023, 5, 29), True)),
        ("2023-05-29 04:00:00", (date(2023, 5, 29), False)),
        ("20231345", (None, False)),
        ("soon", (None, False)),
        ("²0230529", (None, False)),
    ],
)
def test_a_start_date_is_parsed_and_a_malformed_one_is_told(text: str, expected: tuple[date | None, bool]) -> None:
    assert parse_start_date(text) == expected
