"""What really happened: arrivals and departures of every train and bus, and the life of every alert and outage."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from thirdrail.city.fleet import BUSES
from thirdrail.city.lines import ROUTES
from thirdrail.city.notices import alert_id, alerts_alive, equipment_id, outages_alive
from thirdrail.city.railroads import trip_id_of
from thirdrail.city.trains import City

_SECOND = pa.timestamp("us", "UTC")
_TEXTS = ("feed_id", "trip_id", "start_date", "route_id", "train_id", "stop_id")
PASSAGES = pa.schema([*((name, pa.string()) for name in _TEXTS), ("arrival_at", _SECOND), ("departure_at", _SECOND)])
LIVES = pa.schema([("kind", pa.string()), ("id", pa.string()), ("start_at", _SECOND), ("end_at", _SECOND)])
FEEDS = (*ROUTES, "lirr", "mnr", BUSES)
"""The feeds whose vehicles keep to a truth."""


def passages(city: City, feed_id: str, start: int, end: int) -> pa.Table:
    """Give the arrivals and departures within ``[start, end)`` (POSIX seconds), in order of trip and stop.

    The first stop has no arrival, the last no departure; what lies outside is null. ``train_id`` is the subway's.
    """
    rows = []
    for trip in city.ran(feed_id, start, end):
        last = len(trip.stations) - 1
        for place, (arrival, departure) in enumerate(trip.actual):
            came = arrival if place > 0 and start <= arrival < end else None
            left = departure if place < last and start <= departure < end else None
            if came is not None or left is not None:
                line = trip.line
                trip_id = trip_id_of(feed_id, trip)
                names = (feed_id, trip_id, trip.start_date, line.route_id, trip.train_id, trip.stop_id(place))
                rows.append((*names, *(None if at is None else at * 1_000_000 for at in (came, left))))
    return _table(rows, PASSAGES)


def lives(seed: int, start: int, end: int) -> pa.Table:
    """Give the alerts and outages that were published within ``[start, end)``, each from its first to its last second.

    An outage is current for that long; before, it may be listed as upcoming. Two of one elevator may overlap.
    """
    alerts = (("alert", alert_id(seed, life), life) for life in alerts_alive(seed, start, end))
    outages = (("outage", equipment_id(seed, life), life) for life in outages_alive(seed, start, end))
    rows = [(kind, name, life.start * 1_000_000, life.end * 1_000_000) for kind, name, life in (*alerts, *outages)]
    return _table(rows, LIVES)


def _table(rows: Sequence[tuple[str | int | None, ...]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema)


def write_truth(city: City, start: int, end: int, folder: Path) -> dict[str, int]:
    """Write ``passages.parquet`` and ``lives.parquet`` into a folder, made when missing; give the rows of each."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {
        "passages": pa.concat_tables([passages(city, feed_id, start, end) for feed_id in FEEDS]),
        "lives": lives(city.seed, start, end),
    }
    for name, table in found.items():
        pq.write_table(table, folder / f"{name}.parquet")
    return {name: len(table) for name, table in found.items()}
