"""The feeds, declared as data: one entry per published endpoint.

Sources: the MTA's developer pages; versions and cadence measured on recordings (docs/decisions). Other agencies'
feeds are blocks of the configuration.
"""

from collections.abc import Iterable
from difflib import get_close_matches

import msgspec

from thirdrail.errors import UnknownFeed

_GATEWAY = "https://api-endpoint.mta.info/Dataservice/mtagtfsfeeds/"
_BUS = "https://gtfsrt.prod.obanyc.com/"
_SIRI = "https://bustime.mta.info/api/siri/"
_STATIC = "https://rrgtfsfeeds.s3.amazonaws.com/"
_BUS_KEY = "THIRDRAIL_BUSTIME_KEY"

GTFS_REALTIME = "gtfs-realtime"
GTFS_REALTIME_JSON = "gtfs-realtime-json"
OUTAGES_JSON = "elevator-outages-json"
EQUIPMENT_JSON = "elevator-equipment-json"
SIRI_JSON = "siri-json"
SIRI_FLAT = "siri-flat"
FORMATS = (GTFS_REALTIME, GTFS_REALTIME_JSON, OUTAGES_JSON, EQUIPMENT_JSON, SIRI_JSON, SIRI_FLAT)


class Feed(msgspec.Struct, frozen=True, kw_only=True):
    """One published endpoint. ``timezone`` is that of its service day; ``unit`` of time is the second.

    ``url`` is sent as it stands: its ``%2F`` must not become a slash. ``key_env`` names the environment
    variable whose value is sent as the query parameter ``key``, or as the header ``key_header``; a feed with
    ``needs_key`` gives nothing without it. ``covered_by`` names the feed that holds all of this one, which is then
    polled only when it is asked for by name. ``headers`` are sent with every request.
    """

    id: str
    family: str
    url: str
    meaning: str
    timezone: str = "America/New_York"
    format: str = GTFS_REALTIME
    interval_seconds: float = 30.0
    key_env: str = ""
    needs_key: bool = False
    key_header: str = ""
    headers: dict[str, str] = {}
    static_gtfs: str = ""
    covered_by: str = ""

    @property
    def is_whole_fleet(self) -> bool:
        """Whether it asks SIRI for every vehicle, which is allowed once in 30 s."""
        path, _, query = self.url.lower().partition("?")
        is_narrow = "vehicleref=" in query or "lineref=" in query
        return self.format == SIRI_JSON and "vehicle-monitoring" in path and not is_narrow


def _subway(name: str, path: str, meaning: str) -> Feed:
    return Feed(
        id=f"subway_{name}",
        family="subway",
        url=f"{_GATEWAY}nyct%2F{path}",
        meaning=meaning,
        interval_seconds=15.0,
        static_gtfs=f"{_STATIC}gtfs_subway.zip",
    )


def _railroad(name: str, meaning: str) -> Feed:
    return Feed(
        id=name,
        family=name,
        url=f"{_GATEWAY}{name}%2Fgtfs-{name}",
        meaning=meaning,
        static_gtfs=f"{_STATIC}gtfs{name}.zip",
    )


def _alerts(name: str, meaning: str) -> Feed:
    path = "all-alerts" if name == "all" else f"{name}-alerts"
    return Feed(
        id=f"alerts_{name}",
        family="alerts",
        url=f"{_GATEWAY}camsys%2F{path}",
        meaning=meaning,
        interval_seconds=60.0,
        covered_by="" if name == "all" else "alerts_all",
    )


def _elevators(name: str, path: str, meaning: str, interval_seconds: float) -> Feed:
    return Feed(
        id=f"ene_{name}",
        family="ene",
        url=f"{_GATEWAY}nyct%2F{path}",
        meaning=meaning,
        format=EQUIPMENT_JSON if name == "equipments" else OUTAGES_JSON,
        interval_seconds=interval_seconds,
    )


def _bus(name: str, path: str, meaning: str, interval_seconds: float) -> Feed:
    return Feed(
        id=f"bus_{name}",
        family="alerts" if name == "alerts" else "bus",
        url=f"{_BUS}{path}",
        meaning=meaning,
        interval_seconds=interval_seconds,
        key_env=_BUS_KEY,
    )


FEEDS: tuple[Feed, ...] = (
    _subway("1234567s", "gtfs", "subway 1 2 3 4 5 6 7 and 42 St shuttle"),
    _subway("ace", "gtfs-ace", "subway A C E, Rockaway and Franklin shuttles"),
    _subway("bdfm", "gtfs-bdfm", "subway B D F M"),
    _subway("g", "gtfs-g", "subway G"),
    _subway("jz", "gtfs-jz", "subway J Z"),
    _subway("l", "gtfs-l", "subway L"),
    _subway("nqrw", "gtfs-nqrw", "subway N Q R W"),
    _subway("si", "gtfs-si", "Staten Island Railway"),
    _railroad("lirr", "Long Island Rail Road"),
    _railroad("mnr", "Metro-North Railroad"),
    _alerts("all", "service alerts of everything"),
    _alerts("subway", "service alerts of the subway"),
    _alerts("bus", "service alerts of the buses"),
    _alerts("lirr", "service alerts of the Long Island Rail Road"),
    _alerts("mnr", "service alerts of the Metro-North Railroad"),
    _elevators("current", "nyct_ene.json", "elevators and escalators out of service", 120.0),
    _elevators("upcoming", "nyct_ene_upcoming.json", "planned outages of elevators and escalators", 300.0),
    _elevators("equipments", "nyct_ene_equipments.json", "every elevator and escalator", 1200.0),
    _bus("trip_updates", "tripUpdates", "bus predictions", 30.0),
    _bus("vehicle_positions", "vehiclePositions", "bus positions", 30.0),
    _bus("alerts", "alerts", "service alerts of the buses, from Bus Time", 60.0),
    Feed(
        id="siri_vehicles",
        family="siri",
        url=f"{_SIRI}vehicle-monitoring.json?version=2",
        meaning="every bus with its calls (SIRI Vehicle Monitoring); at most once in 30 s",
        format=SIRI_JSON,
        key_env=_BUS_KEY,
        needs_key=True,
    ),
)

BY_ID: dict[str, Feed] = {feed.id: feed for feed in FEEDS}


def feed(feed_id: str, known: Iterable[Feed] = FEEDS) -> Feed:
    """Give the feed of that id, taken in or not.

    Raises:
        UnknownFeed: with the nearest names that exist.
    """
    by_id = {each.id: each for each in known}
    found = by_id.get(feed_id)
    if found is None:
        near = get_close_matches(feed_id, by_id, n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else f"feeds: {', '.join(by_id)}"
        raise UnknownFeed(f"no feed is called {feed_id!r}", hint=hint)
    return found
