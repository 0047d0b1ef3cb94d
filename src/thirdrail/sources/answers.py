"""What came of one poll, judged from the answer alone: the outcome, and which bytes are kept.

Pure. XML, HTML, JSON, empty and short bodies are told from a feed message here, before any parser sees them.
"""

import hashlib
from dataclasses import dataclass
from http import HTTPStatus

from thirdrail.model.feeds import GTFS_REALTIME, SIRI_FLAT, SIRI_JSON, Feed
from thirdrail.model.records import Poll
from thirdrail.observe.redaction import Redaction

OK = "ok"
BAD_BODY = "bad_body"
HTTP_ERROR = "http_error"
NETWORK_ERROR = "network_error"
DETAIL_LIMIT = 300
_SHOWN = 80
_LOOKED_INTO = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP exchange. Times are µs UTC; ``body`` is decompressed; ``failure`` says why there is no whole one."""

    fetched_at: int
    received_at: int
    duration_ms: int
    status: int | None = None
    body: bytes | None = None
    wire_bytes: int | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    date_us: int | None = None
    failure: "Failure | None" = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no whole body: the outcome, a short class for counting, and a sentence."""

    outcome: str
    error_class: str
    detail: str


def judged(feed: Feed, answer: Answer, *, attempt: int, key: str = "") -> tuple[Poll, bytes | None]:
    """Give the poll and the body that the log keeps; the key is in neither."""
    failure = answer.failure or _failure(feed, answer, key)
    has_no_use = failure is not None and failure.outcome != BAD_BODY
    body = None if has_no_use else (answer.body or None)
    poll = Poll(
        feed_id=feed.id,
        fetched_at=answer.fetched_at,
        outcome=OK if failure is None else failure.outcome,
        received_at=answer.received_at,
        http_status=answer.status,
        error_class=failure.error_class if failure else None,
        error_detail=redacted(failure.detail, key)[:DETAIL_LIMIT] if failure else None,
        content_type=answer.content_type,
        content_encoding=answer.content_encoding,
        wire_bytes=answer.wire_bytes,
        body_sha256=None if body is None else hashlib.sha256(body).hexdigest(),
        fetch_duration_ms=answer.duration_ms,
        attempt=attempt,
        source_url=redacted(feed.url, key),
    )
    return poll, body


def redacted(text: str, key: str) -> str:
    """Give the text without the key, however it is spelt."""
    return Redaction((key,)).known(text)


def _failure(feed: Feed, answer: Answer, key: str) -> Failure | None:
    body = answer.body or b""
    if answer.status != HTTPStatus.OK:
        return _status_failure(feed, answer.status, body, key)
    if not body:
        return Failure(BAD_BODY, "Empty", "status 200 with an empty body")
    named = text_kind(body)
    if feed.format == GTFS_REALTIME and named is not None:
        return Failure(BAD_BODY, named, f"status 200, but the body is {named}: {_start(body, key)}")
    if feed.format not in (GTFS_REALTIME, SIRI_FLAT) and named != "JSON":
        kind = named or "neither JSON nor XML"
        return Failure(BAD_BODY, named or "NotJson", f"status 200, but the body is {kind}: {_start(body, key)}")
    return None


def text_kind(body: bytes) -> str | None:
    """Give ``XML`` or ``JSON`` for text that was served as a message; None for anything else.

    No protobuf message begins with these bytes: ``<`` ends a group that nothing began, ``{`` and ``[`` begin
    groups of numbers that GTFS-Realtime does not have. A line feed is also a header's first byte, so it is
    looked behind only when all that follows is ASCII, which a header's time is not.
    """
    if body.startswith(b"\n") and not body[:_SHOWN].isascii():
        return None
    start = body[:_SHOWN].removeprefix(b"\xef\xbb\xbf").lstrip()
    return {b"<": "XML", b"{": "JSON", b"[": "JSON"}.get(start[:1])


def _status_failure(feed: Feed, status: int | None, body: bytes, key: str) -> Failure:
    name, start = f"Http{status}", _start(body, key)
    if status == HTTPStatus.FORBIDDEN and b"Missing Authentication Token" in body:
        return Failure(
            HTTP_ERROR, "WrongPath", "status 403: no feed at this path (%2F must not become a slash); no key"
        )
    if status == HTTPStatus.EXPECTATION_FAILED and feed.format == SIRI_JSON:
        return Failure(
            HTTP_ERROR,
            "Throttled",
            f"status 417: asked too often for this key; asked less often now. {start}".rstrip(),
        )
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        wanted = f"; set {feed.key_env} to a valid key" if feed.key_env else ""
        return Failure(HTTP_ERROR, name, f"status {status}: refused{wanted}. {start}".rstrip())
    return Failure(HTTP_ERROR, name, f"status {status}: {start}".rstrip(": "))


def _start(body: bytes, key: str) -> str:
    """Give how a body begins; the key is hidden before anything is cut off, or its first half would stay."""
    return " ".join(redacted(body[:_LOOKED_INTO].decode("utf-8", "replace"), key)[:_SHOWN].split())
