"""What the capture log holds: polls, settings, replay orders, rejections.

Whatever changes rows enters through the log, so that processing it again gives the same rows.
All instants are microseconds since 1970 UTC (``int``).
"""

from typing import NamedTuple

import msgspec

LIVE = "live"
"""Origin of what the poller fetched; a replay run's origin is ``replay-<id>``."""

Offset = int
Position = int


class Poll(msgspec.Struct, frozen=True, kw_only=True, tag="poll", omit_defaults=True):
    """One poll of one feed, whether or not it gave a body.

    The body lies beside the record (``Entry.body``), never inside. ``duplicate_of`` names the offset
    whose body was received again; such a poll has no body of its own, and ``Entry.body`` of it is the
    body of that offset.
    """

    feed_id: str
    fetched_at: int
    origin: str = LIVE
    outcome: str = "ok"
    duplicate_of: Offset | None = None
    received_at: int | None = None
    http_status: int | None = None
    error_class: str | None = None
    error_detail: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    body_bytes: int | None = None
    wire_bytes: int | None = None
    body_sha256: str | None = None
    fetch_duration_ms: int | None = None
    attempt: int = 1
    source_url: str = ""


class FeedSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What of a feed decides its rows, where it is configured and not declared."""

    family: str
    format: str
    timezone: str


class Settings(msgspec.Struct, frozen=True, kw_only=True, tag="settings"):
    """What decides rows besides the bytes; records after it are processed under it.

    ``severities`` maps feed id (``*`` for all) to rule id to ``reject``, ``flag`` or ``info``. ``feeds`` holds those
    that differ from their declaration or have none.
    """

    history: str = "changes"
    severities: dict[str, dict[str, str]] = {}
    pipeline_version: int = 1
    feeds: dict[str, FeedSettings] = {}


class Settled(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person wants done with one rejection: its rows sent again to the sink that refused them, or given up.

    ``spans`` are the first and the last place (both included) of what is sent again; none: accepted as lost. ``but``
    are places in them that were refused for themselves, before they were sent.
    """

    quarantine_id: str
    sink: str = ""
    feed_id: str = ""
    spans: tuple[tuple[str, str], ...] = ()
    but: tuple[str, ...] = ()


class ReplayOrder(msgspec.Struct, frozen=True, kw_only=True, tag="replay_order"):
    """A person asks that these quarantined rows be judged again under today's settings, and rejections be settled.

    ``captures`` are the offsets that the ids lie in, so that processing needs no look-up. ``settled`` holds all that
    it takes: a rejection may be older than what the log keeps.
    """

    ordered_at: int
    quarantine_ids: tuple[str, ...]
    captures: tuple[Offset, ...]
    settled: tuple[Settled, ...] = ()


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """Where rows lie that a destination refused: ``count`` of the ``rows`` that were sent from first to last.

    Both ends are places in the order of rows (``model/tokens.py``). ``rows`` is None where nobody knows it:
    the process that sent them was killed before it heard of them. ``file`` names the staged file that they were sent
    in; of one that was left out whole nobody counts them, and ``count`` and ``rows`` are 0.
    """

    first: str
    last: str
    count: int = 1
    rows: int | None = 1
    file: str = ""


class Rejection(msgspec.Struct, frozen=True, kw_only=True, tag="rejection"):
    """Rows that a destination refused although we had checked them; each becomes a quarantine row.

    ``places`` says where each of ``rows`` lies (a row here may stand for a span of them); records of older versions
    have none. ``counted`` is how many rows the ``channel`` had refused in all by then: whoever is killed before it
    has noted that, reads it here.
    """

    rejected_at: int
    sink: str
    table: str
    feed_id: str
    reason: str
    rows: tuple[dict[str, object], ...]
    places: tuple[Refused, ...] = ()
    channel: str = ""
    counted: int = 0


Record = Poll | Settings | ReplayOrder | Rejection

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[Poll | Settings | ReplayOrder | Rejection] = msgspec.msgpack.Decoder(
    Poll | Settings | ReplayOrder | Rejection
)


def pack(record: Record) -> bytes:
    """Give the record as MessagePack, for a log to keep."""
    return _ENCODER.encode(record)


def unpack(data: bytes) -> Record:
    """Give the record that :func:`pack` packed."""
    return _DECODER.decode(data)


class Entry(NamedTuple):
    """A record as read from a log: its place, itself, and the body if it has or names one."""

    offset: Offset
    record: Record
    body: bytes | None


class Span(NamedTuple):
    """A half-open run of offsets ``[start, end)`` of one partition."""

    start: Position
    end: Position
