"""The buses as Bus Time publishes them: trip updates, vehicle positions, and SIRI Vehicle Monitoring."""

from datetime import datetime
from functools import lru_cache
from math import atan2, cos, degrees, radians
from typing import Any, NamedTuple

import msgspec

from thirdrail.city.fleet import BUSES, Place, places
from thirdrail.city.trains import NEW_YORK, City, Trip

GRID_S = 10
"""Bus Time's own cache: what it says changes no more often."""

_REPORTS_EVERY_S = 30
_AGENCY = "MTA NYCT"
_CAPACITY = 80
_MS = 1_000_000


class _Fix(NamedTuple):
    """A vehicle's last report: when, where, and the stop ahead."""

    at: int
    place: Place
    bearing: float
    next_stop: int


def vehicle_id(trip: Trip) -> str:
    """Give the vehicle that runs a trip."""
    return f"{_AGENCY}_{1000 + trip.seed % 8000}_{trip.seed % 1_000_003}"


def _fix(trip: Trip, at: int) -> _Fix:
    """Give the last report before a moment: vehicles report every half minute, each at its own second."""
    reported = (at - trip.seed % _REPORTS_EVERY_S) // _REPORTS_EVERY_S * _REPORTS_EVERY_S + trip.seed % _REPORTS_EVERY_S
    reported = max(reported, trip.actual[0][1] - 60)
    ahead = min(trip.next_stop(reported), len(trip.stations) - 1)
    stops = _stops(trip)
    behind = max(0, ahead - 1)
    left, comes = trip.actual[behind][1], trip.actual[ahead][0]
    share = 0.0 if comes <= left else min(1.0, max(0.0, (reported - left) / (comes - left)))
    a, b = stops[behind], stops[ahead]
    place = Place(
        round(a.latitude + (b.latitude - a.latitude) * share, 6),
        round(a.longitude + (b.longitude - a.longitude) * share, 6),
    )
    east = (b.longitude - a.longitude) * cos(radians(a.latitude))
    return _Fix(reported, place, round(degrees(atan2(east, b.latitude - a.latitude)) % 360, 1), ahead)


def _stops(trip: Trip) -> tuple[Place, ...]:
    where = dict(zip(trip.line.stations, places(trip.line), strict=True))
    return tuple(where[station] for station in trip.stations)


@lru_cache(maxsize=4)
def running(seed: int, at: int) -> tuple[tuple[Trip, _Fix], ...]:
    """Give every bus trip that is published at a moment, with its vehicle's last report."""
    return tuple((trip, _fix(trip, at)) for trip in City(seed).trips(BUSES, at))


def _describe(descriptor: Any, trip: Trip) -> None:  # noqa: ANN401 - a generated class
    descriptor.trip_id, descriptor.start_date = trip.trip_id, trip.start_date
    descriptor.route_id, descriptor.direction_id = trip.line.route_id, int(trip.line.direction)


def add_trip_updates(feed: Any, seed: int, at: int) -> None:  # noqa: ANN401
    """Add a trip update per bus: arrival and departure at every stop ahead."""
    for trip, fix in running(seed, at):
        update = feed.entity.add(id=trip.trip_id).trip_update
        _describe(update.trip, trip)
        update.vehicle.id = vehicle_id(trip)
        update.timestamp = fix.at
        update.delay = trip.actual[fix.next_stop][0] - trip.scheduled[fix.next_stop][0]
        # Predictions follow the vehicle's report, not the clock: two polls of one report say the same.
        for place, times in enumerate(trip.all_predicted(fix.next_stop, fix.at), fix.next_stop):
            stop = update.stop_time_update.add(stop_id=trip.stations[place], stop_sequence=place)
            stop.arrival.time, stop.departure.time = times


def add_vehicles(feed: Any, seed: int, at: int) -> None:  # noqa: ANN401
    """Add a vehicle per bus: where it is, the stop ahead, and for two of five how full."""
    for trip, fix in running(seed, at):
        vehicle = feed.entity.add(id=vehicle_id(trip)).vehicle
        _describe(vehicle.trip, trip)
        vehicle.vehicle.id = vehicle_id(trip)
        vehicle.position.latitude, vehicle.position.longitude = fix.place
        vehicle.position.bearing = fix.bearing
        vehicle.timestamp = fix.at
        vehicle.stop_id = trip.stations[fix.next_stop]
        if trip.seed % 5 < 2:  # noqa: PLR2004 - two of five
            vehicle.occupancy_status = trip.seed % 3
            vehicle.crowding.estimated_count = (trip.seed + fix.next_stop) % _CAPACITY
            vehicle.crowding.estimated_capacity = _CAPACITY


def siri_vehicles(seed: int, at: int) -> bytes:
    """Give the whole fleet as SIRI Vehicle Monitoring, version 2."""
    stamp = _iso(at)
    delivery = {
        "VehicleActivity": [_activity(trip, fix) for trip, fix in running(seed, at)],
        "ResponseTimestamp": stamp,
        "ValidUntil": _iso(at + 60),
    }
    document = {"ServiceDelivery": {"ResponseTimestamp": stamp, "VehicleMonitoringDelivery": [delivery]}}
    return msgspec.json.encode({"Siri": document})


def _activity(trip: Trip, fix: _Fix) -> dict[str, object]:
    arrival, _ = trip.predicted(fix.next_stop, fix.at)
    line = f"{_AGENCY}_{trip.line.route_id}"
    return {
        "RecordedAtTime": _iso(fix.at),
        "MonitoredVehicleJourney": {
            "LineRef": line,
            "DirectionRef": trip.line.direction,
            "FramedVehicleJourneyRef": {
                "DataFrameRef": f"{trip.start_date[:4]}-{trip.start_date[4:6]}-{trip.start_date[6:]}",
                "DatedVehicleJourneyRef": f"{_AGENCY}_{trip.trip_id}",
            },
            "JourneyPatternRef": f"MTA_{trip.line.route_id}{trip.line.direction}",
            "PublishedLineName": [trip.line.route_id],
            "OperatorRef": _AGENCY,
            "OriginRef": f"MTA_{trip.stations[0]}",
            "DestinationRef": f"MTA_{trip.stations[-1]}",
            "DestinationName": [f"STOP {trip.stations[-1]}"],
            "SituationRef": [],
            "Monitored": True,
            "VehicleLocation": {"Longitude": fix.place.longitude, "Latitude": fix.place.latitude},
            "Bearing": (90 - fix.bearing) % 360,
            "ProgressRate": "normalProgress",
            "VehicleRef": vehicle_id(trip),
            "MonitoredCall": {
                "StopPointRef": f"MTA_{trip.stations[fix.next_stop]}",
                "StopPointName": [f"STOP {trip.stations[fix.next_stop]}"],
                "VisitNumber": 1,
                "AimedArrivalTime": _iso(trip.scheduled[fix.next_stop][0]),
                "ExpectedArrivalTime": _iso(arrival),
                "ExpectedDepartureTime": _iso(arrival),
                "ArrivalProximityText": "approaching",
                "DistanceFromStop": 100 + trip.seed % 400,
                "NumberOfStopsAway": 0,
                "Extensions": {"Capacities": {"EstimatedPassengerCount": trip.seed % _CAPACITY}},
            },
            "OnwardCalls": {},
        },
    }


@lru_cache(maxsize=20_000)
def _iso(at: int) -> str:
    return datetime.fromtimestamp(at, NEW_YORK).isoformat(timespec="milliseconds")
