"""Recordings and quarantined rows into the log, and from there into the tables."""

import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from thirdrail.app.data_folder import check_disk
from thirdrail.app.totals import Totals
from thirdrail.app.writing import Writing, never
from thirdrail.capturelog.spool import Spool
from thirdrail.errors import NoInput
from thirdrail.model.feeds import Feed
from thirdrail.model.records import Poll, Record, ReplayOrder, Settled
from thirdrail.observe.clock import SystemClock
from thirdrail.pipeline.refusals import parse_quarantine_id
from thirdrail.sources.recordings import Recording, why_no_message

CHUNK_BYTES = 12 << 20
Progress = Callable[[int, int], None]


def _tell_nobody(_text: str) -> None:
    pass


def replay(
    work: Writing,
    found: list[Recording],
    feed: Feed,
    *,
    history: str | None,
    progress: Progress,
    note: Callable[[str], None] = _tell_nobody,
    is_stopped: Callable[[], bool] = never,
) -> tuple[str, Totals]:
    """Take recordings in as one origin, skipping bodies that the log has; give the origin and what was carried.

    ``progress(done, total)`` counts files, ``note`` is told of files that are no feed message or cannot be read.
    Ends early, between commits, once ``is_stopped`` says so. Can be cut off at any moment and repeated.

    Raises:
        DiskFull: below the reserve; what was committed stays.
    """
    origin = f"replay-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    totals = Totals()
    work.note_settings(history)
    work.drain(totals, is_stopped)
    for chunk in _chunks(work.log, found, feed, origin, totals, progress, note):
        if is_stopped():
            break
        check_disk(work.folder, work.config)
        work.append(chunk)
        work.drain(totals, is_stopped)
    return origin, totals


def _chunks(
    log: Spool,
    found: list[Recording],
    feed: Feed,
    origin: str,
    totals: Totals,
    progress: Progress,
    note: Callable[[str], None],
) -> Iterator[list[tuple[Record, bytes | None]]]:
    """Give the records to append, about 12 MB of bodies at a time, and count the files that give none."""
    chunk: list[tuple[Record, bytes | None]] = []
    digests: set[str] = set()
    size = 0
    for done, recording in enumerate(found, start=1):
        body = _body(recording, totals, note)
        digest = hashlib.sha256(body or b"").hexdigest()
        if body is not None and (digest in digests or log.find_body(feed.id, digest) is not None):
            totals.skipped += 1
        elif body is not None:
            if (reason := why_no_message(feed, body)) is not None:
                totals.no_message += 1
                note(f"{recording.path.name}: {reason}")
            source = f"file:{recording.path.name}"
            poll = Poll(feed_id=feed.id, fetched_at=recording.fetched_at, origin=origin, source_url=source)
            chunk.append((poll, body))
            digests.add(digest)
            size += len(body)
        if size >= CHUNK_BYTES or (chunk and done == len(found)):
            yield chunk
            chunk, size = [], 0
        progress(done, len(found))


def _body(recording: Recording, totals: Totals, note: Callable[[str], None]) -> bytes | None:
    try:
        return recording.body()
    except NoInput as error:
        totals.unreadable += 1
        note(str(error))
        return None


def _capture_of(text: str) -> int:
    try:
        return parse_quarantine_id(text)[1]
    except ValueError as error:
        raise NoInput(f"{text!r} is no quarantine id", hint="thirdrail quarantine list shows them") from error


def order_replay(work: Writing, quarantine_ids: list[str], settled: Sequence[Settled] = ()) -> Totals:
    """Ask that quarantined rows be judged again under today's settings, and settle rejections; give what was carried.

    Raises:
        NoInput: a text is no quarantine id.
    """
    captures = {_capture_of(text) for text in quarantine_ids}
    work.note_settings()
    if quarantine_ids:
        work.drain(Totals())  # not counted; a sink that waits for rejections to be settled would not come to its end
    order = ReplayOrder(
        ordered_at=SystemClock().now(),
        quarantine_ids=tuple(quarantine_ids),
        captures=tuple(sorted(captures)),
        settled=tuple(settled),
    )
    work.append([(order, None)])
    totals = Totals()
    work.drain(totals)
    return totals
