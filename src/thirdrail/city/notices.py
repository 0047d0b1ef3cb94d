"""What is said beside the trains: service alerts with Mercury's fields, outages of elevators, and the equipment.

An alert or outage is a number: its life, its words and what it concerns follow from seed and number, so what was in
force at a time can be asked (:func:`alerts_alive`, :func:`outages_alive`).
"""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple

import msgspec

from thirdrail.city.lines import ROUTES
from thirdrail.city.trains import NEW_YORK
from thirdrail.schedule.stations import subway_table

ALERT_EVERY_S, OUTAGE_EVERY_S = 150, 700
ALERT_LIFE_S, OUTAGE_LIFE_S = (900, 90_000), (3_600, 90_000)
EQUIPMENT = 704
_TYPES = (
    ("Delays", 26),
    ("Planned - Part Suspended", 20),
    ("Station Notice", 3),
    ("Reduced Service", 13),
    ("Reroute", 32),
)
_REASONS = ("REPAIR", "MAINTENANCE", "INSPECTION", "Capital Replacement")


class Life(NamedTuple):
    """Something published from ``start`` until ``end`` (POSIX seconds), the end excluded."""

    number: int
    start: int
    end: int


def alerts_alive(seed: int, start: int, end: int) -> list[Life]:
    """Give the alerts of which anything is published within ``[start, end)``."""
    return list(_alive("alert", seed, ALERT_EVERY_S, ALERT_LIFE_S, start, end))


def outages_alive(seed: int, start: int, end: int) -> list[Life]:
    """Give the outages that exist within ``[start, end)``."""
    return list(_alive("outage", seed, OUTAGE_EVERY_S, OUTAGE_LIFE_S, start, end))


def _alive(kind: str, seed: int, every_s: int, life_s: tuple[int, int], start: int, end: int) -> Iterator[Life]:
    for number in range((start - life_s[1]) // every_s, end // every_s + 1):
        life = Random(f"{kind} {seed} {number}").triangular(*life_s, life_s[0])
        begin = number * every_s
        if begin < end and begin + int(life) > start:
            yield Life(number, begin, begin + int(life))


def alert_id(seed: int, life: Life) -> str:
    """Give the id under which an alert is published."""
    kind = "planned_work" if _nature(seed, life)[1].startswith("Planned") else "alert"
    return f"lmm:{kind}:{500_000 + life.number % 400_000}"


def _nature(seed: int, life: Life) -> tuple[Random, str, int]:
    """Give what is left of an alert's chances, its type and its rank."""
    chances = Random(f"words {seed} {life.number}")
    return (chances, *chances.choice(_TYPES))


def equipment_id(seed: int, life: Life) -> str:
    """Give the elevator or escalator that is out."""
    return _equipment(_piece(seed, life)[1])["equipmentno"]


def _piece(seed: int, life: Life) -> tuple[Random, int]:
    chances = Random(f"outage {seed} {life.number}")
    return chances, chances.randrange(EQUIPMENT)


@lru_cache(maxsize=1)
def _stations() -> tuple[tuple[str, str], ...]:
    return tuple((row["station_id"], row["name"]) for row in subway_table("stations").to_pylist())


def add_alerts(feed: Any, seed: int, at: int) -> None:  # noqa: ANN401 - a generated class
    """Add the alerts of a moment; now and then one is touched, and its text stays."""
    routes = [route for listed in ROUTES.values() for route in listed]
    for life in alerts_alive(seed, at, at + 1):
        chances, kind, rank = _nature(seed, life)
        is_planned = kind.startswith("Planned")
        alert = feed.entity.add(id=alert_id(seed, life)).alert
        touched = life.start + (at - life.start) // 900 * 900
        period = alert.active_period.add(start=life.start if is_planned else touched)
        if is_planned:
            period.end = life.end
        route = chances.choice(routes)
        selector = alert.informed_entity.add(agency_id="MTASBWY", route_id=route)
        selector.mercury.sort_order = f"MTASBWY:{route}:{rank}"
        for station, _ in chances.sample(_stations(), 3):
            alert.informed_entity.add(agency_id="MTASBWY", stop_id=station)
        step = min(2, (at - life.start) // 3_600)
        words = f"[{route}] trains: {kind.lower()} near {chances.choice(_stations())[1]} (update {step})"
        alert.header_text.translation.add(text=words, language="en")
        alert.header_text.translation.add(text=f"<p>{words}</p>", language="en-html")
        alert.mercury.created_at, alert.mercury.updated_at, alert.mercury.alert_type = life.start, touched, kind


def outages(seed: int, at: int, *, upcoming: bool) -> bytes:
    """Give the outages of a moment as the MTA writes them; the current feed also lists a few to come."""
    soon = [life for life in outages_alive(seed, at, at + 86_400) if life.start > at]
    now = outages_alive(seed, at, at + 1)
    listed = (
        [(life, True) for life in soon]
        if upcoming
        else [*((life, False) for life in now), *((life, True) for life in soon[:3])]
    )
    return msgspec.json.encode([_outage(seed, life, is_upcoming=is_upcoming) for life, is_upcoming in listed])


def _outage(seed: int, life: Life, *, is_upcoming: bool) -> dict[str, str]:
    chances, number = _piece(seed, life)
    piece = _equipment(number)
    names = ("station", "borough", "trainno", "equipmenttype", "serving", "ADA")
    return {
        **{name: piece[name] for name in names},
        "equipment": piece["equipmentno"],
        "outagedate": _local(life.start),
        "estimatedreturntoservice": _local(life.end) if life.number % 9 else "",
        "reason": chances.choice(_REASONS),
        "isupcomingoutage": "Y" if is_upcoming else "N",
        "ismaintenanceoutage": "N",
    }


def equipment() -> bytes:
    """Give every elevator and escalator."""
    return msgspec.json.encode([_equipment(number) for number in range(EQUIPMENT)])


def _equipment(number: int) -> dict[str, str]:
    station, name = _stations()[number % len(_stations())]
    is_elevator = number % 3 > 0
    return {
        "station": name,
        "borough": "",
        "trainno": "/".join(Random(number).sample(["1", "2", "3", "A", "C", "E", "N", "Q"], 2)),
        "equipmentno": f"{'EL' if is_elevator else 'ES'}{100 + number}",
        "equipmenttype": "EL" if is_elevator else "ES",
        "serving": "Street to mezzanine",
        "ADA": "Y" if is_elevator else "N",
        "isactive": "Y",
        "nonNYCT": "N",
        "shortdescription": f"{name} {number}",
        "linesservedbyelevator": "1/2",
        "elevatorsgtfsstopid": station,
        "elevatormrn": str(number),
        "stationcomplexid": str(number),
        "nextadanorth": "",
        "nextadasouth": "",
        "redundant": str(number % 2),
        "busconnections": "",
        "alternativeroute": "",
    }


def _local(at: int) -> str:
    return datetime.fromtimestamp(at, NEW_YORK).strftime("%m/%d/%Y %I:%M:%S %p")
