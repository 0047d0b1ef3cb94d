"""What really happened: arrivals and departures of every train."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from thirdrail.city.trains import City

_SECOND = pa.timestamp("us", "UTC")
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("feed_id", "trip_id", "start_date", "route_id", "train_id", "stop_id")),
        ("arrival_at", _SECOND),
        ("departure_at", _SECOND),
    ]
)


def truth(city: City, feed_id: str, start: int, end: int) -> pa.Table:
    """Give the arrivals and departures within ``[start, end)`` (POSIX seconds), in order of trip and stop.

    The first stop has no arrival, the last no departure; what lies outside is null.
    """
    rows = []
    for trip in city.ran(feed_id, start, end):
        last = len(trip.stations) - 1
        for place, (arrival, departure) in enumerate(trip.actual):
            came = arrival if place > 0 and start <= arrival < end else None
            left = departure if place < last and start <= departure < end else None
            if came is not None or left is not None:
                line = trip.line
                names = (feed_id, trip.trip_id, trip.start_date, line.route_id, trip.train_id, trip.stop_id(place))
                rows.append((*names, *(None if at is None else at * 1_000_000 for at in (came, left))))
    columns = list(zip(*rows, strict=True)) or [()] * len(SCHEMA)
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)], SCHEMA)


def write_truth(city: City, feed_ids: list[str], start: int, end: int, path: Path) -> int:
    """Write the truth of some feeds as Parquet; give its rows."""
    found = pa.concat_tables([truth(city, feed_id, start, end) for feed_id in feed_ids])
    pq.write_table(found, path)
    return len(found)
