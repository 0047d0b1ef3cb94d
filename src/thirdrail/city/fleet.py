"""Lines of the buses and railroads: made up, in the shape of the real ones.

A weekday's peak of the buses is 4,000 vehicles on 280 routes. Stop ids are numbers, as at the MTA; where a stop lies
is a function of its line, within the city's limits.
"""

from functools import lru_cache
from math import cos, radians, sin
from random import Random
from typing import NamedTuple

from thirdrail.city.lines import Line

BUSES = "bus_trip_updates"
BUS_ROUTES = 280
STOPS_ON_A_BUS_LINE = (30, 58)
BUS_HOP_S = (45, 110)
BUSES_ON_A_LINE = 7.1
"""Vehicles of one route and direction: 4,000 in all."""

RAILROADS: dict[str, tuple[int, int, int]] = {"lirr": (11, 14, 110), "mnr": (6, 18, 245)}
"""Feed id → routes, stops of a route, trips that a message lists at the peak (measured on recordings)."""

_BOROUGHS = (
    ("B", 40.65, -73.95),
    ("M", 40.78, -73.97),
    ("Q", 40.72, -73.82),
    ("BX", 40.85, -73.88),
    ("S", 40.58, -74.15),
)
_STEP_DEGREES = 0.0026


class Place(NamedTuple):
    """Degrees north and east."""

    latitude: float
    longitude: float


@lru_cache(maxsize=1)
def fleet() -> dict[str, tuple[Line, ...]]:
    """Give the lines of the buses and of each railroad, both directions of every route."""
    return {BUSES: _buses(), **{name: _railroad(name, *facts) for name, facts in RAILROADS.items()}}


def _buses() -> tuple[Line, ...]:
    found = []
    for number in range(BUS_ROUTES):
        chances = Random(f"bus {number}")
        borough = _BOROUGHS[number % len(_BOROUGHS)][0]
        count = chances.randint(*STOPS_ON_A_BUS_LINE)
        hops = tuple(chances.randint(*BUS_HOP_S) for _ in range(count - 1))
        for direction in "01":
            stations = tuple(str(300_000 + number * 200 + int(direction) * 100 + place) for place in range(count))
            line = Line(BUSES, f"{borough}{number // len(_BOROUGHS) + 1}", direction, stations, hops, 0)
            found.append(line._replace(headway_s=max(60, round(line.run_s / BUSES_ON_A_LINE / 30) * 30)))
    return tuple(found)


def _railroad(name: str, routes: int, stops: int, trips: int) -> tuple[Line, ...]:
    found = []
    for number in range(1, routes + 1):
        chances = Random(f"{name} {number}")
        hops = tuple(chances.randint(150, 480) for _ in range(stops - 1))
        stations = tuple(str(number * 100 + place) for place in range(stops))
        for direction, served in (("0", stations), ("1", stations[::-1])):
            found.append(Line(name, str(number), direction, served, hops, 0))
    seconds = sum(line.run_s for line in found)
    headway_s = max(60, round(seconds / trips / 30) * 30)
    return tuple(line._replace(headway_s=headway_s) for line in found)


@lru_cache(maxsize=2_000)
def places(line: Line) -> tuple[Place, ...]:
    """Give where the stops of a line lie: along a bent street of a borough."""
    chances = Random(f"{line.feed_id} {line.route_id}")
    _, latitude, longitude = _BOROUGHS[chances.randrange(len(_BOROUGHS))]
    angle = chances.uniform(0, 360)
    latitude, longitude = latitude + chances.uniform(-0.05, 0.05), longitude + chances.uniform(-0.05, 0.05)
    found = []
    for _ in line.stations:
        found.append(Place(round(latitude, 6), round(longitude, 6)))
        angle += chances.uniform(-25, 25)
        latitude += _STEP_DEGREES * cos(radians(angle)) * 0.6
        longitude += _STEP_DEGREES * sin(radians(angle)) * 0.6
    return tuple(found) if line.direction == "0" else tuple(found[::-1])
