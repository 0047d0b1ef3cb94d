"""The railroads' messages: Long Island's in entities apart, Metro-North's trip and vehicle in one, under two ids."""

from typing import Any

from thirdrail.city.fleet import Place, places
from thirdrail.city.trains import City, Trip

GRID_S = 30
ELSEWHERE = "elsewhere"
"""Another agency, with a clock of its own and no extension: not the MTA's."""

FEEDS = ("lirr", "mnr", ELSEWHERE)
MNR_LAG_S = 150
"""Metro-North's header is minutes late, always."""

_LATE_S = 120


def header_at(feed_id: str, at: int) -> int:
    """Give the header's time of what is published at a moment."""
    return at // GRID_S * GRID_S - (MNR_LAG_S if feed_id == "mnr" else 0)


def trip_id_of(feed_id: str, trip: Trip) -> str:
    """Give the id under which a feed publishes a trip's update."""
    return str(3_000_000 + trip.seed % 999_983) if feed_id == "mnr" else trip.trip_id


def add_trains(feed: Any, feed_id: str, seed: int, at: int) -> None:  # noqa: ANN401 - a generated class
    """Add the trains of a railroad at a moment."""
    for trip in City(seed).trips("lirr" if feed_id == ELSEWHERE else feed_id, at):
        first = trip.next_stop(at)
        if first >= len(trip.stations):
            continue
        if feed_id == "mnr":
            entity = feed.entity.add(id=str(1000 + trip.seed % 9000))
            update, vehicle, ids = entity.trip_update, entity.vehicle, (trip_id_of(feed_id, trip), entity.id)
        else:
            update = feed.entity.add(id=f"{trip.trip_id}_T").trip_update
            is_under_way = trip.is_under_way(at)
            vehicle = feed.entity.add(id=f"{trip.trip_id}_V").vehicle if is_under_way else None
            ids = (trip.trip_id, trip.trip_id)
        _describe(update.trip, trip, ids[0])
        for place in range(first, len(trip.stations)):
            _add_stop(update, trip, place, at, feed_id)
        if vehicle is not None:
            _add_vehicle(vehicle, trip, first, at, feed_id, ids[1])


def _describe(descriptor: Any, trip: Trip, trip_id: str) -> None:  # noqa: ANN401
    descriptor.trip_id, descriptor.route_id = trip_id, trip.line.route_id
    descriptor.start_date, descriptor.start_time = trip.start_date, trip.start_time


def _add_stop(update: Any, trip: Trip, place: int, at: int, feed_id: str) -> None:  # noqa: ANN401
    stop = update.stop_time_update.add(stop_id=trip.stations[place])
    arrival, departure = trip.predicted(place, at)
    late = arrival - trip.scheduled[place][0]
    if feed_id != ELSEWHERE:
        stop.rail.track = str(1 + (trip.seed + place) % 4)
    if feed_id == "mnr":
        stop.rail.train_status = "Late" if late > _LATE_S else "On-Time"
    else:
        stop.stop_sequence = place + 1
        stop.arrival.delay = stop.departure.delay = late
    stop.arrival.time, stop.departure.time = arrival, departure


def _add_vehicle(vehicle: Any, trip: Trip, first: int, at: int, feed_id: str, trip_id: str) -> None:  # noqa: ANN401
    vehicle.trip.trip_id = trip_id
    vehicle.trip.route_id = trip.line.route_id
    if feed_id != "mnr":
        vehicle.trip.start_date = trip.start_date
        vehicle.vehicle.label = str(trip.seed % 10_000)
    vehicle.timestamp = header_at(feed_id, at)
    vehicle.stop_id = trip.stations[first]
    place: Place = places(trip.line)[trip.line.stations.index(trip.stations[first])]
    vehicle.position.latitude, vehicle.position.longitude = place
    if feed_id == "lirr":
        for number in range(6):
            vehicle.carriage.add(label=str(7000 + trip.seed % 900 + number), occupancy_status=trip.seed % 3)
