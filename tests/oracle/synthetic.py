"""Synthetic messages of the size of the real ones, from the stock bindings; seeded."""

from functools import lru_cache
from random import Random

from google.transit.gtfs_realtime_pb2 import FeedMessage

HEADER_AT = 1_780_000_000
_NYCT_TAG = b"\xca\x3e"
"""Field 1001, length-delimited."""


def _field(number: int, text: str) -> bytes:
    data = text.encode()
    return bytes([number << 3 | 2, len(data)]) + data


def _extension(*fields: bytes) -> bytes:
    data = b"".join(fields)
    return _NYCT_TAG + bytes([len(data)]) + data


def _message(header_at: int) -> FeedMessage:
    feed = FeedMessage()
    feed.header.gtfs_realtime_version = "1.0"
    feed.header.timestamp = header_at
    return feed


@lru_cache(maxsize=64)
def subway_message(seed: int = 0, trips: int = 300, later: int = 0) -> bytes:
    """Give a subway message with NYCT extensions: 20 stops a trip, two vehicles for three trips.

    ``later`` moves the header and a third of the predictions by that many seconds.
    """
    random = Random(seed)
    feed = _message(HEADER_AT + later)
    feed.header.MergeFromString(_extension(_field(1, "1.0")))
    for trip in range(trips):
        entity = feed.entity.add(id=f"{trip * 2:06d}")
        update = entity.trip_update
        route = random.choice("123456")
        update.trip.trip_id = f"{random.randrange(60_000, 120_000):06d}_{route}..{random.choice('NS')}03R"
        update.trip.start_date = "20260528"
        update.trip.route_id = route
        train = _extension(_field(1, f"0{route} {trip:04d}+ |T{trip}|"), b"\x10\x01")
        update.trip.MergeFromString(train)
        at = HEADER_AT + random.randrange(0, 900)
        for stop in range(20):
            at += random.randrange(60, 180)
            moved = later if random.random() < 0.34 else 0
            listed = update.stop_time_update.add(stop_id=f"{100 + trip % 60 + stop}{random.choice('NS')}")
            listed.arrival.time = at + moved
            listed.departure.time = at + 20 + moved
            listed.MergeFromString(_extension(_field(1, random.choice("1234"))))
        if trip % 3:
            vehicle = feed.entity.add(id=f"{trip * 2 + 1:06d}").vehicle
            vehicle.trip.CopyFrom(update.trip)
            vehicle.stop_id = update.stop_time_update[0].stop_id
            vehicle.current_stop_sequence = random.randrange(1, 30)
            vehicle.timestamp = HEADER_AT + later - random.randrange(0, 100)
    return feed.SerializeToString()


@lru_cache(maxsize=8)
def bus_message(seed: int = 0, trips: int = 4_000, stops: int = 35, later: int = 0) -> bytes:
    """Give a bus-sized message of trip updates: 140,000 stop times, about 4.5 MB."""
    random = Random(seed)
    feed = _message(HEADER_AT + later)
    for trip in range(trips):
        entity = feed.entity.add(id=f"MV_C6-Weekday-{trip:06d}_M{trip % 120}_{trip % 500}")
        update = entity.trip_update
        update.trip.trip_id = entity.id
        update.trip.start_date = "20260528"
        update.trip.route_id = f"M{trip % 120}"
        update.trip.direction_id = trip % 2
        update.vehicle.id = f"MTA NYCT_{4000 + trip}"
        update.timestamp = HEADER_AT + later - random.randrange(0, 60)
        at = HEADER_AT + random.randrange(0, 600)
        moved = later if random.random() < 0.34 else 0
        for stop in range(stops):
            at += random.randrange(30, 120)
            listed = update.stop_time_update.add(stop_sequence=stop + 1, stop_id=str(400_000 + trip % 300 * 40 + stop))
            listed.arrival.time = at + moved
            listed.departure.time = at + moved
    return feed.SerializeToString()
