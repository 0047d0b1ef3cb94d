"""The feeds, declared as data: one entry per published endpoint.

Sources: the MTA's developer pages; versions and cadence measured on recordings (docs/decisions).
"""

from dataclasses import dataclass
from difflib import get_close_matches

from thirdrail.errors import UnknownFeed

_GATEWAY = "https://api-endpoint.mta.info/Dataservice/mtagtfsfeeds/"


@dataclass(frozen=True, slots=True)
class Feed:
    """One published endpoint. ``timezone`` is that of its service day; ``unit`` of time is the second."""

    id: str
    family: str
    url: str
    meaning: str
    timezone: str = "America/New_York"


def _subway(name: str, path: str, meaning: str) -> Feed:
    return Feed(f"subway_{name}", "subway", f"{_GATEWAY}nyct%2F{path}", meaning)


FEEDS: tuple[Feed, ...] = (
    _subway("1234567s", "gtfs", "subway 1 2 3 4 5 6 7 and 42 St shuttle"),
    _subway("ace", "gtfs-ace", "subway A C E, Rockaway and Franklin shuttles"),
    _subway("bdfm", "gtfs-bdfm", "subway B D F M"),
    _subway("g", "gtfs-g", "subway G"),
    _subway("jz", "gtfs-jz", "subway J Z"),
    _subway("l", "gtfs-l", "subway L"),
    _subway("nqrw", "gtfs-nqrw", "subway N Q R W"),
    _subway("si", "gtfs-si", "Staten Island Railway"),
)

BY_ID: dict[str, Feed] = {feed.id: feed for feed in FEEDS}


def feed(feed_id: str) -> Feed:
    """Give the feed of that id.

    Raises:
        UnknownFeed: with the nearest names that exist.
    """
    found = BY_ID.get(feed_id)
    if found is None:
        near = get_close_matches(feed_id, BY_ID, n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else f"feeds: {', '.join(BY_ID)}"
        raise UnknownFeed(f"no feed is called {feed_id!r}", hint=hint)
    return found
