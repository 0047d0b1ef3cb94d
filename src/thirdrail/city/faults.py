"""What can go wrong with a feed, by name. Whether it does is a hash of seed, fault, feed and poll: a rerun repeats it.

At most one fault a poll. The functions that change a body are pure.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec

from thirdrail.city.fleet import BUSES
from thirdrail.city.lines import ROUTES
from thirdrail.city.messages import SIRI, VEHICLES, Message, body, header_time, message

FROZEN_S = 600
BACK_S = 120
REPLICA_S = 30
FUTURE_S = 3_000
ZOMBIE_S = 7_200
BOMB_BYTES = 80 << 20
NO_SUCH_KEY = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code>'
    b"<Message>The specified key does not exist.</Message></Error>"
)
_HTML = b"<!DOCTYPE html><html><body><h1>We will be back shortly</h1></body></html>"
_ALL = 2**64
_JSON = frozenset({SIRI, "ene_current", "ene_upcoming", "ene_equipments"})


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the server does: status, body, and how it goes over the wire.

    ``packed`` says that the body is gzip already; ``promised`` is a Content-Length other than the true one;
    ``is_dripped`` sends a byte a second.
    """

    body: bytes
    status: int = 200
    content_type: str = "application/octet-stream"
    packed: bool = False
    promised: int | None = None
    is_dripped: bool = False


ASKED_TOO_OFTEN = Delivery(b"<Siri><ErrorCondition/></Siri>", status=417, content_type="application/xml")

Fault = Callable[[int, str, int], Delivery]
"""Seed, feed id and moment (POSIX seconds) → what is served."""


def chosen(rates: Mapping[str, float], seed: int, feed_id: str, poll: int, at: int) -> str | None:
    """Give the fault of a poll: the first of those whose chance falls; None for most polls."""
    for name, rate in rates.items():
        if not applies(name, feed_id):
            continue
        # A feed stays frozen for ten minutes, so the chance is of those, not of the poll.
        turn = at // FROZEN_S if name == "frozen" else poll
        digest = blake2b(repr((seed, name, feed_id, turn)).encode(), digest_size=8).digest()
        if int.from_bytes(digest, "big") < rate * _ALL:
            return name
    return None


def _changed(change: Callable[[Message, int], None]) -> Fault:
    def fault(seed: int, feed_id: str, at: int) -> Delivery:
        edition = header_time(feed_id, at)
        found = message(seed, feed_id, edition)
        change(found, edition)
        return Delivery(found.SerializeToString())

    return fault


def _hollow(seed: int, feed_id: str, at: int) -> Delivery:
    """Nothing in it: no entities, no vehicles, no outages."""
    if feed_id in _JSON:
        empty = _edited(feed_id, body(seed, feed_id, at), lambda items: items.clear())
        return Delivery(empty)
    return _changed(lambda feed, _at: feed.ClearField("entity"))(seed, feed_id, at)


def _edited(feed_id: str, content: bytes, edit: Callable[[list[Any]], object]) -> bytes:
    """Give a JSON body whose items were changed in place."""
    document = msgspec.json.decode(content)
    edit(_delivery(document)["VehicleActivity"] if feed_id == SIRI else document)
    return msgspec.json.encode(document)


def _delivery(document: Any) -> Any:  # noqa: ANN401 - JSON
    return document["Siri"]["ServiceDelivery"]["VehicleMonitoringDelivery"][0]


def _odd_item(seed: int, feed_id: str, at: int) -> Delivery:
    """The first vehicle or outage is no object; the rest is as ever."""
    return Delivery(_edited(feed_id, body(seed, feed_id, at), lambda items: items.insert(0, "odd")))


def _spooking(seed: int, feed_id: str, at: int) -> Delivery:
    """A bus that its schedule alone puts on the street."""

    def edit(items: list[Any]) -> None:
        items[0]["MonitoredVehicleJourney"]["ProgressStatus"] = "spooking"

    return Delivery(_edited(feed_id, body(seed, feed_id, at), edit))


def _siri_error(seed: int, feed_id: str, at: int) -> Delivery:
    """What Bus Time says to a key it does not know: an error, with status 200."""
    document = msgspec.json.decode(body(seed, feed_id, at))
    delivery = _delivery(document)
    delivery.pop("VehicleActivity")
    delivery["ErrorCondition"] = {"OtherError": {"ErrorText": "API key is not authorized"}}
    return Delivery(msgspec.json.encode(document))


def _twin(feed: Message, _at: int) -> None:
    """A second entity of the same trip and train."""
    twin = feed.entity.add()
    twin.CopyFrom(feed.entity[0])
    twin.id = "twin"


def _zombie(feed: Message, at: int) -> None:
    """A train of two hours ago that nobody took out."""
    added = feed.entity.add(id="zombie")
    update = added.trip_update
    update.trip.CopyFrom(_with_stops(feed).trip)
    update.trip.nyct.train_id = "00 0000 ZOM/BIE"
    update.trip.nyct.is_assigned = True
    for number, listed in enumerate(_with_stops(feed).stop_time_update[:5]):
        stop = update.stop_time_update.add(stop_id=listed.stop_id)
        stop.arrival.time = at - ZOMBIE_S + 60 * number


def _with_stops(feed: Message) -> Message:
    """Give the first trip update that lists a stop."""
    return next(entity.trip_update for entity in feed.entity if len(entity.trip_update.stop_time_update))


def _future_vehicle(feed: Message, at: int) -> None:
    for entity in feed.entity:
        if entity.HasField("vehicle"):
            entity.vehicle.timestamp = at + FUTURE_S
            return


def _milliseconds(feed: Message, _at: int) -> None:
    for stop in _with_stops(feed).stop_time_update:
        for event in (stop.arrival, stop.departure):
            if event.time:
                event.time *= 1000


def _loop_stop(feed: Message, _at: int) -> None:
    """A bus that ends where it began."""
    stops = _with_stops(feed).stop_time_update
    stops[-1].stop_id = stops[0].stop_id


def _odd_start_date(feed: Message, _at: int) -> None:
    trip = _with_stops(feed).trip
    trip.start_date = f"{trip.start_date[:4]}-{trip.start_date[4:6]}-{trip.start_date[6:]} 00:00:00"


def _twin_alerts(feed: Message, _at: int) -> None:
    """The same alert listed twice."""
    feed.entity.add().CopyFrom(feed.entity[0])


def _backwards(seed: int, feed_id: str, at: int) -> Delivery:
    return Delivery(body(seed, feed_id, at - BACK_S))


def _replica(seed: int, feed_id: str, at: int) -> Delivery:
    return Delivery(body(seed, feed_id, at - REPLICA_S))


def _frozen(seed: int, feed_id: str, at: int) -> Delivery:
    return Delivery(body(seed, feed_id, at // FROZEN_S * FROZEN_S))


def _truncated(seed: int, feed_id: str, at: int) -> Delivery:
    """Cut within an entity, the length rewritten: only a parser can tell."""
    whole = body(seed, feed_id, at)
    return Delivery(whole[: len(whole) * 2 // 3 + 1])


def _short(seed: int, feed_id: str, at: int) -> Delivery:
    whole = body(seed, feed_id, at)
    return Delivery(whole[: len(whole) // 2], promised=len(whole))


def _dripped(seed: int, feed_id: str, at: int) -> Delivery:
    return Delivery(body(seed, feed_id, at), is_dripped=True)


@lru_cache(maxsize=1)
def _bomb_bytes() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(BOMB_BYTES >> 20)), packer.flush()])


FAULTS: dict[str, Fault] = {
    "hollow": _hollow,
    "header_backwards": _backwards,
    "stale_replica": _replica,
    "frozen": _frozen,
    "twin_trip_ids": _changed(_twin),
    "zombie": _changed(_zombie),
    "future_vehicle": _changed(_future_vehicle),
    "millisecond_stamps": _changed(_milliseconds),
    "odd_start_date": _changed(_odd_start_date),
    "loop_stop": _changed(_loop_stop),
    "twin_alerts": _changed(_twin_alerts),
    "odd_item": _odd_item,
    "spooking": _spooking,
    "siri_error_200": _siri_error,
    "asked_too_often": lambda *_: ASKED_TOO_OFTEN,
    "xml_200": lambda *_: Delivery(NO_SUCH_KEY, content_type="application/xml"),
    "html_200": lambda *_: Delivery(_HTML, content_type="text/html"),
    "http_503": lambda *_: Delivery(b"busy", status=503, content_type="text/plain"),
    "empty_body": lambda *_: Delivery(b""),
    "truncated": _truncated,
    "short_body": _short,
    "slow_drip": _dripped,
    "gzip_bomb": lambda *_: Delivery(_bomb_bytes(), packed=True),
}
"""Name → what it serves instead of the feed."""


_SUBWAY = frozenset(ROUTES)
_TRAINS = _SUBWAY | {BUSES, "lirr"}
_FLEET = frozenset({SIRI})
_ONLY: dict[str, frozenset[str]] = {
    "twin_trip_ids": _TRAINS,
    "zombie": _SUBWAY,
    "future_vehicle": _SUBWAY | {VEHICLES, "lirr"},
    "millisecond_stamps": _TRAINS,
    "odd_start_date": _TRAINS,
    "loop_stop": frozenset({BUSES}),
    "twin_alerts": frozenset({"alerts_all"}),
    "odd_item": _JSON - {"ene_equipments"},
    "spooking": _FLEET,
    "siri_error_200": _FLEET,
    "asked_too_often": _FLEET,
}
"""Fault → the feeds that it can be made of; what stands not here can happen to every one."""

_WITH_A_HEADER = ("header_backwards", "stale_replica", "frozen")


def applies(name: str, feed_id: str) -> bool:
    """Tell whether a fault can be made of a feed: what sets a header back or holds it needs one."""
    if name in _ONLY:
        return feed_id in _ONLY[name]
    return name not in _WITH_A_HEADER or not feed_id.startswith("ene_")


def delivered(name: str | None, seed: int, feed_id: str, at: int) -> Delivery:
    """Give what a poll gets under a fault, or under none."""
    return Delivery(body(seed, feed_id, at)) if name is None else FAULTS[name](seed, feed_id, at)
