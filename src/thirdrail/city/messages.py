"""A feed's message at a moment, as the MTA publishes it."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from google.protobuf import message_factory

from thirdrail.city import buses, notices, railroads
from thirdrail.city.fleet import BUSES
from thirdrail.city.lines import A_DIVISION, ROUTES
from thirdrail.city.trains import City, Trip
from thirdrail.decode.wire_schema import feed_message

GRID_S = 15
VEHICLES, SIRI = "bus_vehicle_positions", "siri_vehicles"
REPLACED_S = 1_800
_NORTH, _SOUTH = 1, 3
_INCOMING_AT, _STOPPED_AT = 0, 1
_INCOMING_S = 20
_FEED_MESSAGE = message_factory.GetMessageClass(feed_message())
Message = Any
"""A generated protobuf class has no static type."""


_GRIDS = {BUSES: buses.GRID_S, VEHICLES: buses.GRID_S, SIRI: GRID_S, "lirr": railroads.GRID_S, "mnr": railroads.GRID_S}
"""Feed id → seconds between two editions; all others keep to the subway's."""

_OTHER_THAN_PROTOBUF: dict[str, Callable[[int, int], bytes]] = {
    SIRI: buses.siri_vehicles,
    "ene_current": lambda seed, at: notices.outages(seed, at, upcoming=False),
    "ene_upcoming": lambda seed, at: notices.outages(seed, at, upcoming=True),
    "ene_equipments": lambda _seed, _at: notices.equipment(),
}


def header_time(feed_id: str, at: int) -> int:
    """Give the time of the edition that is published at a moment: each producer keeps to a grid of its own."""
    grid_s = _GRIDS.get(feed_id, GRID_S)
    return at // grid_s * grid_s


def body(seed: int, feed_id: str, at: int) -> bytes:
    """Give the bytes of a feed at a moment (POSIX seconds); the same within one step of its grid."""
    return _body(seed, feed_id, header_time(feed_id, at))


@lru_cache(maxsize=48)
def _body(seed: int, feed_id: str, at: int) -> bytes:
    other = _OTHER_THAN_PROTOBUF.get(feed_id)
    return bytes(message(seed, feed_id, at).SerializeToString()) if other is None else other(seed, at)


def message(seed: int, feed_id: str, at: int) -> Message:
    """Give the message of the edition of this time, of a feed in protobuf."""
    return _subway(seed, feed_id, at) if feed_id in ROUTES else _other(seed, feed_id, at)


def _other(seed: int, feed_id: str, at: int) -> Message:
    """Give the message of a feed that is not the subway's."""
    found: Message = _FEED_MESSAGE()
    found.header.gtfs_realtime_version = {"mnr": "1", BUSES: "1.0", VEHICLES: "1.0"}.get(feed_id, "2.0")
    found.header.timestamp = railroads.header_at(feed_id, at) if feed_id in railroads.FEEDS else at
    if feed_id == BUSES:
        buses.add_trip_updates(found, seed, at)
    elif feed_id == VEHICLES:
        buses.add_vehicles(found, seed, at)
    elif feed_id in railroads.FEEDS:
        railroads.add_trains(found, feed_id, seed, at)
    else:
        found.header.mta.version = "1.0"
        notices.add_alerts(found, seed, at)
    return found


def _subway(seed: int, feed_id: str, at: int) -> Message:
    found: Message = _FEED_MESSAGE()
    found.header.gtfs_realtime_version = "1.0"
    found.header.timestamp = at
    found.header.mta.version = "1.0"
    for route_id in ROUTES[feed_id]:
        period = found.header.mta.trip_replacement_period.add(route_id=route_id)
        period.replacement_period.end = at + REPLACED_S
    for number, trip in enumerate(City(seed).trips(feed_id, at)):
        _add(found, trip, at, number)
    return found


def _add(feed: Message, trip: Trip, at: int, number: int) -> None:
    """Add a trip's update, and its vehicle where the division publishes one."""
    update = feed.entity.add(id=f"{2 * number + 1:06d}").trip_update
    _describe(update.trip, trip, at)
    is_a = trip.line.feed_id == A_DIVISION
    first = trip.next_stop(at)
    is_assigned = trip.is_assigned(at)
    for place, times in enumerate(trip.all_predicted(first, at), first):
        _add_stop(update, trip, place, times, is_a=is_a, is_tracked=is_assigned and (place == first or not is_a))
    if (trip.is_under_way(at) or not is_a) and first < len(trip.stations):
        _add_vehicle(feed.entity.add(id=f"{2 * number + 2:06d}").vehicle, trip, first, at)


def _describe(descriptor: Message, trip: Trip, at: int) -> None:
    descriptor.trip_id, descriptor.start_date = trip.trip_id, trip.start_date
    descriptor.route_id = trip.line.route_id
    if trip.line.feed_id != A_DIVISION:
        descriptor.start_time = trip.start_time
    descriptor.nyct.train_id = trip.train_id
    descriptor.nyct.direction = _NORTH if trip.direction == "N" else _SOUTH
    if trip.is_assigned(at):
        descriptor.nyct.is_assigned = True


def _add_stop(update: Message, trip: Trip, place: int, times: tuple[int, int], *, is_a: bool, is_tracked: bool) -> None:
    stop = update.stop_time_update.add(stop_id=trip.stop_id(place))
    arrival, departure = times
    if place > 0 or not is_a:
        stop.arrival.time = arrival
    if place < len(trip.stations) - 1 or not is_a:
        stop.departure.time = departure
    track = ("1" if trip.direction == "S" else "4") if is_a else f"{trip.line.route_id[0]}{1 + trip.seed % 4}"
    stop.nyct.scheduled_track = track
    if is_tracked:
        stop.nyct.actual_track = track if trip.seed % 29 else "2"


def _add_vehicle(vehicle: Message, trip: Trip, first: int, at: int) -> None:
    _describe(vehicle.trip, trip, at)
    vehicle.current_stop_sequence = first + 1
    vehicle.stop_id = trip.stop_id(first)
    vehicle.timestamp = trip.last_moved(at)
    arrival = trip.actual[first][0]
    if arrival <= at:
        vehicle.current_status = _STOPPED_AT
    elif arrival - at <= _INCOMING_S:
        vehicle.current_status = _INCOMING_AT
