"""Seeded histories of one feed: good, bad, hollow, regressing and duplicate captures, and gaps."""

import hashlib
from dataclasses import dataclass
from random import Random

from google.transit.gtfs_realtime_pb2 import FeedMessage

from thirdrail.model.records import Poll, Record

SECOND = 1_000_000
START = 1_780_000_000 * SECOND
STOPS = [f"S{number:02d}" for number in range(12)]


@dataclass
class Train:
    """A train that passes stops; predictions slide now and then."""

    trip_id: str
    stops: list[str]
    arrivals: list[int]


class Line:
    """A small line whose trains move; ``message`` is what its feed says at a time."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._trains: list[Train] = []
        self._number = 0

    def move(self, now: int) -> None:
        """Let trains pass stops, shift predictions, appear and vanish."""
        random = self._random
        while len(self._trains) < 3 or random.random() < 0.15:
            self._number += 1
            first = random.randrange(4)
            stops = STOPS[first : first + random.randint(2, 6)]
            self._trains.append(Train(f"T{self._number}", stops, [now + 60 * (n + 1) for n in range(len(stops))]))
        for train in self._trains:
            if random.random() < 0.4 and train.stops:
                train.stops, train.arrivals = train.stops[1:], train.arrivals[1:]
            if random.random() < 0.4:
                shift = random.randint(-20, 40)
                train.arrivals = [arrival + shift for arrival in train.arrivals]
        self._trains = [train for train in self._trains if train.stops and random.random() > 0.05][-6:]

    def message(self, header: int, *, twins: bool) -> bytes:
        """Give the feed message; with ``twins`` one trip appears twice, which the gate refuses."""
        feed = FeedMessage()
        feed.header.gtfs_realtime_version = "2.0"
        feed.header.timestamp = header
        listed = [*self._trains, self._trains[0]] if twins and self._trains else self._trains
        for number, train in enumerate(listed):
            entity = feed.entity.add(id=str(number))
            entity.trip_update.trip.trip_id = train.trip_id
            entity.trip_update.trip.start_date = "20260528"
            for stop, arrival in zip(train.stops, train.arrivals, strict=True):
                update = entity.trip_update.stop_time_update.add(stop_id=stop)
                update.arrival.time = arrival
            if self._random.random() < 0.5:
                vehicle = feed.entity.add(id=f"v{number}").vehicle
                vehicle.trip.CopyFrom(entity.trip_update.trip)
                vehicle.stop_id = train.stops[0]
                vehicle.timestamp = header
        return feed.SerializeToString()


def history(seed: int, length: int = 24) -> list[tuple[Record, bytes | None]]:
    """Give the records of one seed, in order of offset from 0."""
    random = Random(seed)
    line, now, clock = Line(random), START // SECOND, START
    records: list[tuple[Record, bytes | None]] = []
    bodies: list[tuple[int, str]] = []
    for offset in range(length):
        step = random.choice((15, 15, 15, 60, 60, 240, 500, 700, 2000))
        now += step
        clock += step * SECOND
        if random.random() < 0.02:
            clock -= random.choice((90, 4000)) * SECOND
        line.move(now)
        kind = random.random()
        body: bytes | None = line.message(now, twins=random.random() < 0.1)
        if kind < 0.06:
            body = b"<html>busy</html>"
        elif kind < 0.10:
            body = body[: len(body) * 2 // 3] if body else body
        elif kind < 0.20:
            body = _header_only(now)
        elif kind < 0.28:
            body = line.message(now - random.choice((30, 200)), twins=False)
        elif kind < 0.31:
            body = line.message(now + 900, twins=False)
        elif kind < 0.36:
            records.append((Poll(feed_id="line", fetched_at=clock, outcome="network_error"), None))
            continue
        if kind > 0.85 and bodies:
            of, digest = bodies[-1]
            poll = Poll(feed_id="line", fetched_at=clock, outcome="duplicate", duplicate_of=of, body_sha256=digest)
            records.append((poll, None))
            continue
        digest = hashlib.sha256(body or b"").hexdigest()
        bodies.append((offset, digest))
        records.append((Poll(feed_id="line", fetched_at=clock, body_sha256=digest), body))
    return records


def _header_only(header: int) -> bytes:
    feed = FeedMessage()
    feed.header.gtfs_realtime_version = "2.0"
    feed.header.timestamp = header
    return feed.SerializeToString()
