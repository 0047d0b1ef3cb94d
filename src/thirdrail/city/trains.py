"""Every train of a simulated New York, as a function of seed and time: no state between calls.

Times are POSIX seconds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

from thirdrail.city.fleet import BUSES, fleet
from thirdrail.city.lines import A_DIVISION, DWELL_S, PLANNED_AHEAD_S, Line, lines

NEW_YORK = ZoneInfo("America/New_York")
ASSIGNED_AHEAD_S = 120
REESTIMATED_EVERY_S = 30
LINGERS_S = 20
BUS_AHEAD_S = 60
_SLOWEST, _HELD_S = 1.3, 1_800
_HOLD_CHANCE, _HOLD_S = 0.012, (60, 400)
_REROUTED, _SHORT = 0.03, 0.05


@dataclass(frozen=True, slots=True)
class Trip:
    """One train's run. Per stop: scheduled and actual arrival and departure; the ends lack one of them."""

    line: Line
    trip_id: str
    start_date: str
    start_time: str
    train_id: str
    origin_s: int
    stations: tuple[str, ...]
    scheduled: tuple[tuple[int, int], ...]
    actual: tuple[tuple[int, int], ...]
    seed: int

    @property
    def ahead_s(self) -> int:
        """How long before its departure the trip is listed."""
        return _ahead_s(self.line)

    @property
    def direction(self) -> str:
        """``N`` or ``S``."""
        return self.line.direction

    def stop_id(self, place: int) -> str:
        """The platform of a stop."""
        is_subway = self.line.direction in "NS"
        return f"{self.stations[place]}{self.line.direction}" if is_subway else self.stations[place]

    def next_stop(self, at: int) -> int:
        """Place of the first stop that the train has not left."""
        for place, (_, departure) in enumerate(self.actual):
            if departure > at:
                return place
        return len(self.actual)

    def is_assigned(self, at: int) -> bool:
        """Whether a physical train has been attached to the trip."""
        return at >= self.actual[0][1] - ASSIGNED_AHEAD_S

    def is_under_way(self, at: int) -> bool:
        """Whether it has left its first stop."""
        return at >= self.actual[0][1]

    def predicted(self, place: int, at: int) -> tuple[int, int]:
        """Arrival and departure at a stop as expected at a moment (:meth:`all_predicted`)."""
        return self.all_predicted(place, at, place + 1)[0]

    def all_predicted(self, first: int, at: int, end: int | None = None) -> Sequence[tuple[int, int]]:
        """Arrival and departure at the stops from ``first`` on (before ``end``) as expected at a moment.

        The plan, while no train is assigned; then what will be, off by an error that shrinks as the train nears
        and is estimated anew every half minute.
        """
        if not self.is_assigned(at):
            return self.scheduled[first:end]
        error = _misjudged(self.seed, (at + self.seed % REESTIMATED_EVERY_S) // REESTIMATED_EVERY_S)
        offs = [round(error * min(1.0, max(0, arrival - at) / 1_800)) for arrival, _ in self.actual[first:end]]
        return [(a + off, d + off) for (a, d), off in zip(self.actual[first:end], offs, strict=True)]

    def last_moved(self, at: int) -> int:
        """When movement was last detected; the future departure, of a train that has not left."""
        place = self.next_stop(at)
        if not self.is_under_way(at):
            return self.actual[0][1]
        if place < len(self.actual) and self.actual[place][0] <= at:
            return self.actual[place][0]
        return at - self.seed % 20


class City:
    """A seed's New York."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def trips(self, feed_id: str, at: int) -> list[Trip]:
        """Give the trips that a feed lists at a moment, in a stable order."""
        return [trip for line in _lines_of(feed_id) for trip in self._of_line(line, at)]

    def ran(self, feed_id: str, start: int, end: int) -> Iterator[Trip]:
        """Give the trips with anything to tell between two moments."""
        for line in _lines_of(feed_id):
            for number in _numbers(line, start, end):
                yield _trip(self.seed, line, number)

    def _of_line(self, line: Line, at: int) -> Iterator[Trip]:
        for number in _numbers(line, at, at):
            trip = _trip(self.seed, line, number)
            if trip.origin_s - trip.ahead_s <= at < trip.actual[-1][0] + LINGERS_S:
                yield trip


def _lines_of(feed_id: str) -> tuple[Line, ...]:
    return lines()[feed_id] if feed_id in lines() else fleet()[feed_id]


def _ahead_s(line: Line) -> int:
    """Give how long before its departure a trip is listed: a bus just before, a train by the half hour."""
    return BUS_AHEAD_S if line.feed_id == BUSES else PLANNED_AHEAD_S


def _numbers(line: Line, start: int, end: int) -> range:
    """Give the numbers of the trips that could be known in a time."""
    longest = int(line.run_s * _SLOWEST) + _HELD_S
    return range((start - longest) // line.headway_s - 1, (end + _ahead_s(line)) // line.headway_s + 1)


@lru_cache(maxsize=40_000)
def _misjudged(trip_seed: int, step: int) -> float:
    """Give by how many seconds, half an hour ahead, a trip's predictions of one estimate are off."""
    return Random(trip_seed * 1_000_003 + step).gauss(0, 45)


def _number_of(*parts: object) -> int:
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=6).digest(), "big")


@lru_cache(maxsize=40_000)
def _trip(seed: int, line: Line, number: int) -> Trip:
    """Give a trip by its number: the same for ever."""
    own = _number_of(seed, line.route_id, line.direction, number)
    chances = Random(own)
    phase = _number_of(seed, line.route_id, line.direction) % line.headway_s // 30 * 30
    origin_s = number * line.headway_s + phase
    stations, hops = _served(line, chances)
    scheduled = _schedule(origin_s, hops)
    service_date, second = _service_time(origin_s)
    start_time = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    lead = "0" if line.feed_id == A_DIVISION else "1"
    half = "+" if second % 60 >= 30 else " "  # noqa: PLR2004 - half a minute
    clock = f"{second // 3600 % 24:02d}{second // 60 % 60:02d}{half}"
    return Trip(
        line=line,
        trip_id=_trip_id(line, second, chances),
        start_date=service_date,
        start_time=start_time,
        train_id=f"{lead}{line.route_id[0]} {clock.strip()} {stations[0]}/{stations[-1]}",
        origin_s=origin_s,
        stations=stations,
        scheduled=scheduled,
        actual=_actual(scheduled, chances),
        seed=own,
    )


def _served(line: Line, chances: Random) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Give stations and hops of one trip: a few are rerouted past some stations, or end early."""
    chance = chances.random()
    count = len(line.stations)
    if chance < _REROUTED and count > 12:  # noqa: PLR2004 - long enough to leave some out
        out = count // 2
        stations = line.stations[:out] + line.stations[out + 3 :]
        joined = sum(line.hops[out - 1 : out + 3])
        return stations, (*line.hops[: out - 1], joined, *line.hops[out + 3 :])
    if chance < _REROUTED + _SHORT and count > 12:  # noqa: PLR2004
        kept = count * 2 // 3
        return line.stations[:kept], line.hops[: kept - 1]
    return line.stations, line.hops


def _schedule(origin_s: int, hops: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    found = [(origin_s, origin_s)]
    for place, hop in enumerate(hops, start=1):
        arrival = found[-1][1] + hop
        found.append((arrival, arrival if place == len(hops) else arrival + DWELL_S))
    return tuple(found)


def _actual(scheduled: tuple[tuple[int, int], ...], chances: Random) -> tuple[tuple[int, int], ...]:
    """Give what really happens: a late start, slower or faster hops, now and then a hold."""
    departure = scheduled[0][1] + round(max(0.0, chances.gauss(20, 40)))
    found = [(departure, departure)]
    for (_, left), (due, leaving) in pairwise(scheduled):
        arrival = departure + round((due - left) * chances.uniform(0.93, 1.16))
        hold = chances.randint(*_HOLD_S) if chances.random() < _HOLD_CHANCE else chances.randint(-8, 20)
        departure = arrival + max(8, leaving - due + hold) if leaving > due else arrival
        found.append((arrival, departure))
    return tuple(found)


def _service_time(origin_s: int) -> tuple[str, int]:
    """Give the service date in New York (YYYYMMDD) and seconds since its noon less 12 hours."""
    day = datetime.fromtimestamp(origin_s, NEW_YORK).date()
    noon = datetime.combine(day, time(12), NEW_YORK).astimezone(UTC)
    return f"{day:%Y%m%d}", origin_s - int((noon - timedelta(hours=12)).timestamp())


def _trip_id(line: Line, second: int, chances: Random) -> str:
    """Give the id as the MTA writes it: hundredths of a minute, route padded with dots, direction, path."""
    if line.direction not in "NS":
        return f"{line.feed_id[:4].upper()}_{line.route_id}_{line.direction}_{second:06d}"
    shown = {"6X": "6", "W": "N"}.get(line.route_id, line.route_id)
    path = f"{chances.randint(1, 4):02d}R" if line.feed_id == A_DIVISION else ""
    return f"{round(second / 0.6):06d}_{shown.ljust(3, '.')}{line.direction}{path}"
