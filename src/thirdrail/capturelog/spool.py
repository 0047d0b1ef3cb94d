"""The capture log on a disk: one SQLite file per UTC day of append time, one sequence of offsets over all.

Days only move forward: a clock that steps back stays in the newest file. One process appends, kept by a file
lock; readers use short transactions and are always welcome, on a read-only disk too.
"""

import fcntl
import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import msgspec

from thirdrail.capturelog.reading_back import within_reach
from thirdrail.capturelog.segment import Row, Segment, insertion, translated
from thirdrail.errors import LogBusy, LogDamaged
from thirdrail.model.ports import Clock
from thirdrail.model.records import Entry, Offset, Poll, Position, Record, Settings

LEAP = 1_000_000
"""How far a log jumps ahead after damage, so that no offset is ever given twice."""

PARTITION = "0"
KEEP_BELOW_ACKNOWLEDGED_US = 3_600_000_000
_DAY_US = 86_400_000_000


class SegmentFacts(NamedTuple):
    """What ``captures list --segments`` shows of one file."""

    path: Path
    first: Offset
    last: Offset | None
    bytes: int
    damage: str | None


class Spool:
    """A directory of day files. ``append`` blocks until the disk has the records; see the protocol for the rest."""

    partitions = (PARTITION,)

    def __init__(self, directory: Path, clock: Clock, log_id: str, lock: int | None) -> None:
        self._directory, self._clock, self.log_id, self._lock = directory, clock, log_id, lock
        self._writer: sqlite3.Connection | None = None
        self._newest: Segment | None = None
        self._next = 0

    @classmethod
    def open(cls, directory: Path, clock: Clock, *, writable: bool) -> "Spool":
        """Give the spool in a directory; ``writable`` makes it when missing and takes the append lock.

        Raises:
            LogBusy: another process appends, or there is no log and none may be made.
        """
        identity = directory / "log_id"
        lock = None
        if writable:
            directory.mkdir(parents=True, exist_ok=True)
            lock = _take_lock(directory / "append.lock")
            if not identity.exists():
                _write_durably(identity, uuid4().hex[:12])
        if not identity.exists():
            raise LogDamaged(
                f"{directory} holds no capture log", hint="give a data folder that replay or run has filled"
            )
        return cls(directory, clock, identity.read_text().strip(), lock)

    def segments(self) -> list[Segment]:
        """Give the day files in order of their first offset."""
        return sorted((Segment(path) for path in self._directory.glob("*_*.sqlite")), key=lambda found: found.first)

    def append(self, partition: str, records: Sequence[tuple[Record, bytes | None]]) -> list[Offset]:
        """Append in one transaction; see the protocol. Digest and size of a body are filled in."""
        _check(partition)
        now = self._clock.now()
        db = self._writing(now)
        segment = self._newest
        assert segment is not None  # noqa: S101 - _writing sets it
        whole = [(_with_digest(record, body), body) for record, body in records]
        rows = [insertion(self._next + place, record, body, now) for place, (record, body) in enumerate(whole)]
        with translated(segment.path):
            db.execute("BEGIN IMMEDIATE")
            try:
                db.executemany(f"INSERT INTO records VALUES ({','.join('?' * 11)})", rows)
                db.execute("COMMIT")
            except sqlite3.Error:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        offsets = list(range(self._next, self._next + len(rows)))
        self._next += len(rows)
        return offsets

    def first(self, partition: str) -> Position:
        """The lowest offset still held."""
        _check(partition)
        segments = self.segments()
        return segments[0].first if segments else 0

    def end(self, partition: str) -> Position:
        """One above the highest offset ever given; a new file's first offset counts as given up to."""
        _check(partition)
        for segment in reversed(self.segments()):
            last = segment.last()
            return segment.first if last is None else last + 1
        return 0

    def read(self, partition: str, position: Position, limit: int, max_bytes: int = 64 << 20) -> list[Entry]:
        """Entries from a position; see the protocol."""
        _check(partition)
        segments = self.segments()
        found: list[Entry] = []
        size = 0
        for place, segment in enumerate(segments):
            above = segments[place + 1].first if place + 1 < len(segments) else None
            if above is not None and position >= above:
                continue
            while len(found) < limit:
                rows = segment.rows("offset >= ? ORDER BY offset", (position,), min(64, limit - len(found)))
                if not rows:
                    break
                for entry in map(self._whole, rows):
                    size += len(entry.body or b"")
                    if found and size > max_bytes:
                        return found
                    found.append(entry)
                position = rows[-1].offset + 1
        return found

    def read_back(self, partition: str, feed_id: str, origin: str, below: Position, seconds: int) -> list[Entry]:
        """Polls of one feed and origin within reach below an offset; see the protocol."""
        _check(partition)
        without_bodies = within_reach(self._newest_first(feed_id, origin, below), seconds)
        return [self.entry(entry.offset) for entry in without_bodies]

    def _newest_first(self, feed_id: str, origin: str, below: Position) -> Iterator[Entry]:
        for segment in reversed(self.segments()):
            position = below
            while segment.first < position:
                where = "feed_id = ? AND origin = ? AND offset < ? ORDER BY offset DESC"
                rows = segment.rows(where, (feed_id, origin, position), 100, bodies=False)
                if not rows:
                    break
                yield from (Entry(row.offset, row.record, None) for row in rows)
                position = rows[-1].offset

    def settings_before(self, partition: str, position: Position) -> Settings | None:
        """The last settings record below a position, also when its day is gone."""
        _check(partition)
        for segment in reversed(self.segments()):
            if segment.first < position or segment.first == self.first(partition):
                return segment.settings_before(position)
        return None

    def acknowledge(self, reader: str, partition: str, position: Position) -> None:
        """Note a reader's position in a small file of its own; it never goes back."""
        _check(partition)
        path = self._directory / "acknowledged.sqlite"
        with translated(path), closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute("CREATE TABLE IF NOT EXISTS positions (reader TEXT PRIMARY KEY, position INTEGER NOT NULL)")
            db.execute(
                "INSERT INTO positions VALUES (?, ?) "
                "ON CONFLICT (reader) DO UPDATE SET position = max(position, excluded.position)",
                (reader, position),
            )

    def acknowledgements(self) -> dict[str, Position]:
        """Give each reader's acknowledged position."""
        path = self._directory / "acknowledged.sqlite"
        if not path.exists():
            return {}
        with translated(path), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as db:
            return dict(db.execute("SELECT reader, position FROM positions"))

    def find_body(self, feed_id: str, sha256: str) -> Offset | None:
        """Give the offset of a feed's capture that holds this body; None when the log has none."""
        for segment in reversed(self.segments()):
            found = segment.value(
                "SELECT offset FROM records WHERE sha256 = ? AND feed_id = ? AND body IS NOT NULL LIMIT 1",
                sha256,
                feed_id,
            )
            if found is not None:
                return int(str(found))
        return None

    def headers(self, position: Position, limit: int) -> list[Entry]:
        """Give records from a position without their bodies."""
        found: list[Entry] = []
        for segment in self.segments():
            rows = segment.rows("offset >= ? ORDER BY offset", (position,), limit - len(found), bodies=False)
            found += [Entry(row.offset, row.record, None) for row in rows]
            if len(found) >= limit:
                break
        return found

    def entry(self, offset: Offset) -> Entry:
        """Give one record with its body.

        Raises:
            LogDamaged: the log holds no such offset.
        """
        for segment in reversed(self.segments()):
            if segment.first <= offset:
                rows = segment.rows("offset = ?", (offset,), 1)
                if rows:
                    return self._whole(rows[0])
                break
        raise LogDamaged(f"the log holds no offset {offset}", hint="thirdrail captures list shows what it holds")

    def facts(self) -> list[SegmentFacts]:
        """Give what is known of each file; a damaged one is named, the others are read."""
        found = []
        for segment in self.segments():
            last, damage = None, None
            try:
                last = segment.last()
            except LogDamaged as error:
                damage = str(error)
            found.append(SegmentFacts(segment.path, segment.first, last, segment.path.stat().st_size, damage))
        return found

    def skip(self, at_least: Position) -> Position:
        """Go on one million offsets above the log's end or ``at_least``; give the next offset."""
        settings = self.settings_before(PARTITION, self.end(PARTITION))
        target = (max(self.end(PARTITION), at_least) // LEAP + 1) * LEAP
        self._roll(self._day(self._clock.now()), target, settings)
        return target

    def expire(self, now: int, *, days: float, size: int) -> list[Path]:
        """Delete whole day files that are too old or too many bytes and that nobody needs; give their paths.

        Never the newest, never one that reaches into the hour below an acknowledgement, never one whose body
        a kept duplicate names, and nothing at all while no reader has acknowledged anything.
        """
        acknowledged = self.acknowledgements()
        segments = self.segments()
        if not acknowledged:
            return []
        lowest = min(acknowledged.values())
        total = sum(segment.path.stat().st_size for segment in segments)
        deleted: list[Path] = []
        for segment, after in pairwise(segments):
            is_old = _last_append(segment) < now - days * _DAY_US
            if not (is_old or total > size) or self._is_needed(segment, after.first, lowest, segments):
                break
            total -= segment.path.stat().st_size
            segment.path.unlink()
            deleted.append(segment.path)
        return deleted

    def _is_needed(self, segment: Segment, above: Position, lowest: Position, segments: list[Segment]) -> bool:
        if lowest < above:
            return True
        at_lowest = next((s for s in reversed(segments) if s.first <= lowest), segments[0])
        appended = at_lowest.value("SELECT min(appended_at) FROM records WHERE offset >= ?", lowest)
        if appended is not None and _last_append(segment) > int(str(appended)) - KEEP_BELOW_ACKNOWLEDGED_US:
            return True
        query = "SELECT 1 FROM records WHERE duplicate_of >= ? AND duplicate_of < ? LIMIT 1"
        return any(s.value(query, segment.first, above) is not None for s in segments if s.first >= above)

    def close(self) -> None:
        """Release files and the lock; repeating is harmless."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _whole(self, row: Row) -> Entry:
        poll = row.record
        if isinstance(poll, Poll) and poll.duplicate_of is not None:
            return Entry(row.offset, poll, self.entry(poll.duplicate_of).body)
        return row.entry()

    def _day(self, now: int) -> str:
        return datetime.fromtimestamp(now / 1_000_000, UTC).strftime("%Y-%m-%d")

    def _writing(self, now: int) -> sqlite3.Connection:
        """Give the appending connection, in today's file; a day never moves back."""
        if self._lock is None:
            raise LogBusy("this log was opened for reading")
        if self._writer is None:
            segments = self.segments()
            if not segments:
                self._roll(self._day(now), 0, None)
            else:
                self._open_newest(segments[-1], now)
        assert self._newest is not None  # noqa: S101 - set by both branches
        if self._day(now) > self._newest.day:
            self._roll(self._day(now), self._next, self.settings_before(PARTITION, self._next))
        assert self._writer is not None  # noqa: S101 - set by _roll or _open_newest
        return self._writer

    def _open_newest(self, segment: Segment, now: int) -> None:
        """Go on in the newest file; when it is damaged, in a new one a million offsets above."""
        try:
            last = segment.last()
            self._writer, self._newest = segment.writer(), segment
            self._next = segment.first if last is None else last + 1
        except LogDamaged:
            self._roll(max(self._day(now), segment.day), (segment.first // LEAP + 2) * LEAP, None)

    def _roll(self, day: str, first: Offset, settings: Settings | None) -> None:
        if self._writer is not None and self._newest is not None:
            self._newest.close_day(self._writer)
            self._writer = None
        self._newest = Segment.create(self._directory, day, first, settings, self.log_id)
        _sync_directory(self._directory)
        self._writer, self._next = self._newest.writer(), first


def _last_append(segment: Segment) -> int:
    found = segment.value("SELECT max(appended_at) FROM records")
    return 0 if found is None else int(str(found))


def _with_digest(record: Record, body: bytes | None) -> Record:
    if body is None or not isinstance(record, Poll):
        return record
    digest = record.body_sha256 or hashlib.sha256(body).hexdigest()
    return msgspec.structs.replace(record, body_sha256=digest, body_bytes=len(body))


def _check(partition: str) -> None:
    if partition != PARTITION:
        raise ValueError(f"the spool has one partition, {PARTITION!r}, not {partition!r}")


def _take_lock(path: Path) -> int:
    """Take the append lock; the file says who holds it.

    Raises:
        LogBusy: naming the process and since when.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(descriptor, 200).decode(errors="replace").strip() or "another process"
        os.close(descriptor)
        raise LogBusy(f"already running: {holder}", hint="readers (sql, tables, audit) work beside it") from error
    os.ftruncate(descriptor, 0)
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    os.write(descriptor, f"process {os.getpid()} since {since}".encode())
    return descriptor


def _write_durably(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
