"""Service dates and the instants that count from them.

GTFS times count from noon minus twelve hours of the service date in the agency's zone, so that a night
with a clock change is right (GTFS reference, "Time"). A service day begins at 03:00 here; it matters only
where a trip has no start date of its own.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SERVICE_DAY_STARTS_AT = 3
_COMPACT, _DASHED = 8, 10


@lru_cache(maxsize=1024)
def midnight_us(day: date, zone: str) -> int:
    """Noon of the day minus twelve hours, in microseconds since 1970 UTC."""
    noon = datetime.combine(day, time(12), tzinfo=ZoneInfo(zone))
    return (noon - EPOCH) // timedelta(microseconds=1) - 12 * 3_600_000_000


def service_date_at(instant_us: int, zone: str) -> date:
    """Give the service date that an instant falls in; the day begins at 03:00 local wall time."""
    local = (EPOCH + timedelta(microseconds=instant_us)).astimezone(ZoneInfo(zone))
    return local.date() - timedelta(days=local.hour < SERVICE_DAY_STARTS_AT)


def parse_start_date(text: str) -> tuple[date | None, bool]:
    """Give the date of a ``start_date`` and whether it was well formed (``YYYYMMDD``).

    The old producer bug ``YYYY-MM-DD HH:MM:SS`` still gives its date, as malformed.
    """
    well_formed = len(text) == _COMPACT and text.isascii() and text.isdigit()
    try:
        if well_formed:
            return date(int(text[:4]), int(text[4:6]), int(text[6:])), True
        return date.fromisoformat(text[:_DASHED]), False
    except ValueError:
        return None, False
