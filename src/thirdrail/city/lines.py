"""The subway's lines with their stations, running times and how often a train leaves."""

from functools import lru_cache
from itertools import pairwise
from math import asin, cos, radians, sin, sqrt
from typing import NamedTuple

from thirdrail.schedule.stations import subway_table

PLANNED_AHEAD_S = 1_800
"""A trip is published so long before it leaves."""

DWELL_S = 25
_START_AND_STOP_S = 35
_METRES_A_SECOND = 12.0
_EARTH_M = 6_371_000
_MOST_STOPS = 36

ROUTES: dict[str, tuple[str, ...]] = {
    "subway_1234567s": ("1", "2", "3", "4", "5", "6", "6X", "7", "7X", "GS"),
    "subway_ace": ("A", "C", "E", "H", "FS"),
    "subway_bdfm": ("B", "D", "F", "FX", "M"),
    "subway_g": ("G",),
    "subway_jz": ("J", "Z"),
    "subway_l": ("L",),
    "subway_nqrw": ("N", "Q", "R", "W"),
    "subway_si": ("SI",),
}
"""Feed id → the routes that it carries."""

TRIPS: dict[str, int] = {
    "subway_1234567s": 305,
    "subway_ace": 156,
    "subway_bdfm": 150,
    "subway_g": 52,
    "subway_jz": 24,
    "subway_l": 58,
    "subway_nqrw": 130,
    "subway_si": 14,
}
"""Feed id → trips that one message lists at a weekday's peak, as measured on recordings; holds add a tenth."""

A_DIVISION = "subway_1234567s"


class Line(NamedTuple):
    """One route in one direction: its stations in order of running, and seconds from each to the next."""

    feed_id: str
    route_id: str
    direction: str
    stations: tuple[str, ...]
    hops: tuple[int, ...]
    headway_s: int

    @property
    def run_s(self) -> int:
        """Scheduled seconds from first departure to last arrival."""
        return sum(self.hops) + DWELL_S * max(0, len(self.hops) - 1)


@lru_cache(maxsize=1)
def lines() -> dict[str, tuple[Line, ...]]:
    """Give the lines of each feed, both directions of every route."""
    return {feed_id: _of_feed(feed_id) for feed_id in ROUTES}


def _of_feed(feed_id: str) -> tuple[Line, ...]:
    """Give lines whose common headway makes the feed list as many trips as it does at the peak."""
    found = []
    for route_id in ROUTES[feed_id]:
        southbound = _fewer(_stations_of(route_id))
        for direction, stations in (("S", southbound), ("N", southbound[::-1])):
            hops = tuple(_hop_s(a, b) for a, b in pairwise(stations))
            found.append(Line(feed_id, route_id, direction, stations, hops, 0))
    seconds = sum(line.run_s + PLANNED_AHEAD_S for line in found)
    headway_s = max(60, round(seconds / TRIPS[feed_id] / 30) * 30)
    return tuple(line._replace(headway_s=headway_s) for line in found)


def _fewer(stations: tuple[str, ...]) -> tuple[str, ...]:
    """Let long lines run express in their middle: the table lists every station that any of their trips serves."""
    surplus = len(stations) - _MOST_STOPS
    if surplus <= 0:
        return stations
    begin = (len(stations) - 2 * surplus) // 2 if 2 * surplus < len(stations) else 1
    skipped = set(range(begin, len(stations) - 1, 2)[:surplus])
    return tuple(station for place, station in enumerate(stations) if place not in skipped)


@lru_cache(maxsize=1)
def _tables() -> tuple[dict[str, list[tuple[int, str]]], dict[str, tuple[float, float]]]:
    order: dict[str, list[tuple[int, str]]] = {}
    for row in subway_table("route_stations").to_pylist():
        order.setdefault(row["route_id"], []).append((row["southbound_order"], row["station_id"]))
    places = {row["station_id"]: (row["latitude"], row["longitude"]) for row in subway_table("stations").to_pylist()}
    return order, places


def _stations_of(route_id: str) -> tuple[str, ...]:
    return tuple(station for _, station in sorted(_tables()[0][route_id]))


def _hop_s(a: str, b: str) -> int:
    (north_a, east_a), (north_b, east_b) = (map(radians, _tables()[1][station]) for station in (a, b))
    half = sin((north_b - north_a) / 2) ** 2 + cos(north_a) * cos(north_b) * sin((east_b - east_a) / 2) ** 2
    return _START_AND_STOP_S + round(2 * _EARTH_M * asin(sqrt(half)) / _METRES_A_SECOND)
