"""The capture log on a disk: one SQLite file per UTC day of append time, one sequence of offsets over all.

Days only move forward: a clock that steps back stays in the newest file. One process appends, kept by a file
lock; readers use short transactions and are always welcome, on a read-only disk too.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from thirdrail.capturelog import append_lock, retention
from thirdrail.capturelog.acknowledged import Acknowledged
from thirdrail.capturelog.birth import ensure_identity, identity
from thirdrail.capturelog.filling_in import filled_in
from thirdrail.capturelog.holes import accept_hole, hole_after, refuse_hole
from thirdrail.capturelog.opening import remove
from thirdrail.capturelog.reading_back import within_reach
from thirdrail.capturelog.segment import NEWBORN, Finished, Row, Segment, columns
from thirdrail.errors import CapturesGone, LogBusy, LogDamaged
from thirdrail.model.ports import Clock
from thirdrail.model.records import Entry, Offset, Poll, Position, Record, Settings, Span

LEAP = 1_000_000
"""How far a log jumps ahead after damage, so that no offset is ever given twice."""

PARTITION = "0"
_ABOVE_ALL = 2**62
_BACK_PAGE = 8  # bodies in memory while reading back, of which a bus message has megabytes
_PAGE = 64  # rows per transaction: at 120 kB a body, a few megabytes and about ten milliseconds
_BODIES_KEPT = 64  # of those that duplicates name, while one call reads


class SegmentFacts(NamedTuple):
    """What there is to know of one file; ``closed`` means one plain file that may be copied."""

    path: Path
    first: Offset
    last: Offset | None
    bytes: int
    damage: str | None
    closed: bool


class Spool:
    """A directory of day files. ``append`` blocks until the disk has the records; see the protocol for the rest.

    Any thread may append, one at a time, or read; in other processes any number may read: every read opens its
    own connection.
    """

    partitions = (PARTITION,)

    def __init__(self, directory: Path, clock: Clock, log_id: str, lock: int | None) -> None:
        self._directory, self._clock, self.log_id, self._lock = directory, clock, log_id, lock
        self._acknowledged = Acknowledged(directory / "acknowledged.sqlite")
        self._writer: sqlite3.Connection | None = None
        self._newest: Segment | None = None
        self._next = 0
        self._to_close: list[Segment] = []
        self._appending = threading.RLock()

    @classmethod
    def open(cls, directory: Path, clock: Clock, *, writable: bool) -> "Spool":
        """Give the spool in a directory; ``writable`` makes it when missing and takes the append lock.

        When the newest file is damaged, a writable spool goes on in a new one a million offsets above.

        Raises:
            LogBusy: another process appends.
            LogDamaged: there is no log and none may be made.
        """
        if not writable:
            return cls(directory, clock, identity(directory), None)
        directory.mkdir(parents=True, exist_ok=True)
        lock = append_lock.take(directory / "append.lock", clock.now())
        try:
            spool = cls(directory, clock, ensure_identity(directory), lock)
            spool._resume()
        except BaseException:
            os.close(lock)
            raise
        return spool

    def segments(self) -> list[Segment]:
        """Give the day files in order of their first offset."""
        return Segment.listed(self._directory)

    def append(self, partition: str, records: Sequence[tuple[Record, bytes | None]]) -> list[Offset]:
        """Append in one transaction; see the protocol. Digest and size of a body are filled in.

        When the newest file cannot be written any more, goes on in a new one a million offsets above.

        Raises:
            ValueError: a duplicate with a body, or a digest that is not the body's.
            LogDamaged: nor can a new file; nothing was appended.
        """
        _check(partition)
        now = self._clock.now()
        rows = [columns(filled_in(record, body), body, now) for record, body in records]
        with self._appending:
            try:
                first = self._insert(rows, now)
            except LogDamaged:
                if self._newest is None or self._next == self._newest.first:
                    raise  # a file that never held anything: another one would fare no better
                self._leap(self._newest)
                first = self._insert(rows, now)
        return list(range(first, first + len(rows)))

    def _insert(self, rows: list[tuple[object, ...]], now: int) -> Offset:
        while True:
            segment, db = self._writing(now)
            try:
                first = segment.append(db, rows)
            except Finished as finished:
                self._follow(segment, finished.above)
            else:
                self._next = first + len(rows)
                return first

    def _follow(self, left: Segment, above: Position) -> None:
        """Go on where another process has, or was about to when it was killed."""
        newest = self.segments()[-1]
        self._leave()
        if newest.first >= above:
            self._newest, self._next = newest, newest.first
        else:
            self._begin(max(_day(self._clock.now()), left.day), above)

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

    def count(self, partition: str, position: Position) -> int:
        """How many records lie at or above a position."""
        _check(partition)
        return self._sum("SELECT count(*) FROM records WHERE offset >= ?", position)

    def stored_bytes(self, partition: str, position: Position) -> int:
        """Bytes of the records at or above a position as they lie on the disk, compressed."""
        _check(partition)
        query = "SELECT sum(length(record) + ifnull(length(body), 0)) FROM records WHERE offset >= ?"
        return self._sum(query, position)

    def _sum(self, query: str, position: Position) -> int:
        found = 0
        for segment in self.segments():
            if segment.above is None or segment.above > position:
                with suppress(FileNotFoundError):  # deleted meanwhile
                    found += segment.number(query, position) or 0
        return found

    def read(self, partition: str, position: Position, limit: int, max_bytes: int = 64 << 20) -> list[Entry]:
        """Entries from a position; see the protocol. What lies before damage is given first, then it is raised.

        Raises:
            LogDamaged: the offsets that could not be read are named.
            CapturesGone: a file before others has been taken away.
        """
        _check(partition)
        found: list[Entry] = []
        size = 0
        try:
            for entry in self._entries(position, limit):
                size += len(entry.body or b"")
                if found and size > max_bytes:
                    break
                found.append(entry)
        except (LogDamaged, CapturesGone):
            if not found:
                raise
        return found

    def _entries(self, position: Position, limit: int) -> Iterator[Entry]:
        named: dict[Offset, bytes | None] = {}
        for segment, rows in self._pages(position, limit):
            for row in rows:
                yield self._whole(segment, row, named)

    def _pages(self, position: Position, limit: int, *, bodies: bool = True) -> Iterator[tuple[Segment, list[Row]]]:
        """Give rows from a position, a page per transaction; up to damage one by one."""
        left = limit
        for segment in self.segments():
            if segment.above is not None and position >= segment.above:
                continue
            while left > 0 and (rows := _page(segment, position, min(_PAGE, left), bodies=bodies)):
                yield segment, rows
                left -= len(rows)
                position = rows[-1].offset + 1
            if bodies and left > 0:
                refuse_hole(segment)

    def read_back(self, partition: str, feed_id: str, origin: str, below: Position, seconds: int) -> Iterator[Entry]:
        """Polls of one feed and origin within reach below an offset; see the protocol."""
        _check(partition)
        reached = within_reach(self._newest_first(feed_id, origin, below), seconds)
        if not reached:
            return
        named: dict[Offset, bytes | None] = {}
        position, last = reached[0].offset, reached[-1].offset
        for segment in self.segments():
            if segment.first > last or (segment.above is not None and position >= segment.above):
                continue
            where = "feed_id = ? AND origin = ? AND offset BETWEEN ? AND ? ORDER BY offset"
            while rows := _rows(segment, where, (feed_id, origin, position, last), _BACK_PAGE):
                yield from (self._whole(segment, row, named) for row in rows)
                position = rows[-1].offset + 1

    def _newest_first(self, feed_id: str, origin: str, below: Position) -> Iterator[Entry]:
        for segment in reversed(self.segments()):
            position = below
            while segment.first < position:
                where = "feed_id = ? AND origin = ? AND offset < ? ORDER BY offset DESC"
                rows = _rows(segment, where, (feed_id, origin, position), 100, bodies=False)
                if not rows:
                    break
                yield from (Entry(row.offset, row.record, None) for row in rows)
                position = rows[-1].offset

    def settings_before(self, partition: str, position: Position) -> Settings | None:
        """The last settings record below a position, also when its day is gone."""
        _check(partition)
        segments = self.segments()
        place = max(0, sum(segment.first <= position for segment in segments) - 1)
        for segment in segments[place:]:
            try:
                return segment.settings_before(position)
            except FileNotFoundError:  # deleted meanwhile: the next file has them from it
                continue
        return None

    def acknowledge(self, reader: str, partition: str, position: Position) -> None:
        """Note a reader's position in a small file of its own; it never goes back."""
        _check(partition)
        self._acknowledged.note(reader, position)

    def acknowledgements(self) -> dict[str, Position]:
        """Give each reader's acknowledged position."""
        return self._acknowledged.positions()

    def find_body(self, feed_id: str, sha256: str) -> Offset | None:
        """Give the offset of a feed's capture, of any origin, that holds this body; None when the log has none."""
        query = "SELECT offset FROM records WHERE sha256 = ? AND feed_id = ? AND body IS NOT NULL LIMIT 1"
        for segment in reversed(self.segments()):
            try:
                found = segment.number(query, sha256, feed_id)
            except FileNotFoundError:
                continue
            if found is not None:
                return found
        return None

    def headers(self, position: Position, limit: int) -> list[Entry]:
        """Give records from a position without their bodies."""
        pages = self._pages(position, limit, bodies=False)
        return [Entry(row.offset, row.record, None) for _, rows in pages for row in rows]

    def orders(self, position: Position) -> list[Entry]:
        """Give the records from a position on that are no polls; of a damaged file those that can be read: none."""
        found: list[Entry] = []
        for segment in self.segments():
            if segment.above is None or segment.above > position:
                with suppress(LogDamaged):
                    rows = _rows(
                        segment, "kind != 'poll' AND offset >= ? ORDER BY offset", (position,), -1, bodies=False
                    )
                    found += [Entry(row.offset, row.record, None) for row in rows]
        return found

    def entry(self, offset: Offset) -> Entry:
        """Give one record with its body.

        Raises:
            LogDamaged: the log holds no such offset, or cannot read it.
        """
        for segment in reversed(self.segments()):
            if segment.first <= offset:
                for row in _rows(segment, "offset = ?", (offset,), 1):
                    return self._whole(segment, row, {})
                break
        raise LogDamaged(f"the log holds no offset {offset}", hint="thirdrail captures list shows what it holds")

    def facts(self) -> list[SegmentFacts]:
        """Give what is known of each file; a damaged one is named, the others are read."""
        found = []
        for segment in self.segments():
            last, damage, closed = None, None, False
            try:
                last, closed = segment.last(), segment.is_plain()
            except LogDamaged as error:
                damage = str(error)
            except FileNotFoundError:
                continue
            found.append(SegmentFacts(segment.path, segment.first, last, segment.space(), damage, closed))
        return found

    def holes(self) -> list[Span]:
        """Give the offsets of files before others that have been taken away."""
        return [hole for segment in self.segments() if (hole := hole_after(segment)) is not None]

    def skip(self, at_least: Position) -> Position:
        """Go on at the next full million above the log's end and ``at_least``, and across holes; give the next offset.

        Durable when it returns: a new file begins there.
        """
        with self._appending:
            for segment in self.segments():
                if hole_after(segment) is not None:
                    accept_hole(segment)
            self._writing(self._clock.now())
            target = (max(self._next, at_least) // LEAP + 1) * LEAP
            self._roll(self._clock.now(), target)
            return target

    def expire(self, now: int, *, days: float, size: int) -> list[Path]:
        """Delete whole day files that are too old or too many bytes and that nobody needs; give their paths.

        See :func:`retention.expired`; nothing at all while no reader has acknowledged anything.

        Raises:
            LogBusy: this log was opened for reading.
        """
        self._require_lock()
        with self._appending:
            return self._expire(now, days, size)

    def _expire(self, now: int, days: float, size: int) -> list[Path]:
        acknowledged = self.acknowledgements()
        if not acknowledged:
            return []
        gone = retention.expired(self.segments(), min(acknowledged.values()), now, days=days, size=size)
        for segment in gone:
            remove(segment.path)
        return [segment.path for segment in gone]

    def close(self) -> None:
        """Release files and the lock, leaving plain files if nobody reads them; repeating is harmless."""
        with self._appending:
            if self._writer is not None:
                self._leave()
                self._close_days()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _whole(self, segment: Segment, row: Row, named: dict[Offset, bytes | None]) -> Entry:
        """Give a row's entry; ``named`` remembers the bodies that duplicates name, while one call reads."""
        poll = row.record
        if not isinstance(poll, Poll) or poll.duplicate_of is None:
            return Entry(row.offset, row.record, segment.body(row))
        if poll.duplicate_of not in named:
            if len(named) >= _BODIES_KEPT:
                named.clear()
            named[poll.duplicate_of] = self.entry(poll.duplicate_of).body
        return Entry(row.offset, poll, named[poll.duplicate_of])

    def _require_lock(self) -> None:
        if self._lock is None:
            raise LogBusy("this log was opened for reading, or is closed")

    def _resume(self) -> None:
        """Go on in the newest file, if there is one; in a new one above it when it is damaged."""
        for half_born in self._directory.glob(f"{NEWBORN.format('*')}*"):
            half_born.unlink(missing_ok=True)  # of processes that were killed
        segments = self.segments()
        self._to_close = segments[:-1]
        self._close_days()
        for segment in segments[-1:]:
            try:
                last = segment.last()
                self._writer, self._newest = segment.writer(), segment
                self._next = segment.first if last is None else last + 1
            except LogDamaged:
                self._leap(segment)

    def _writing(self, now: int) -> tuple[Segment, sqlite3.Connection]:
        """Give today's file and the connection that appends to it; a day never moves back."""
        self._require_lock()
        if self._newest is None or _day(now) > self._newest.day:
            self._roll(now)
        elif self._to_close:
            self._close_days()
        assert self._newest is not None  # noqa: S101 - set by _roll
        if self._writer is None:
            self._writer = self._newest.writer()
        return self._newest, self._writer

    def _leap(self, damaged: Segment) -> None:
        """Leave a file that cannot be written; go on above every offset that it can hold, known or not."""
        given = max(self._next, damaged.end_at_most())
        self._newest = damaged
        day = max(_day(self._clock.now()), damaged.day)
        self._leave()
        self._begin(day, (given // LEAP + 2) * LEAP)

    def _roll(self, now: int, above: Position | None = None) -> None:
        """Go on in a new file, at the next offset or far above it."""
        if self._newest is None:
            self._begin(_day(now), above or 0)
            return
        if self._writer is None:
            self._writer = self._newest.writer()
        left = self._newest
        try:
            first = left.finish(self._writer, above)
        except Finished as finished:
            self._follow(left, finished.above)
        else:
            self._leave()
            self._begin(max(_day(now), left.day), first)

    def _begin(self, day: str, first: Offset) -> None:
        """Make a new file, or take the one that another process has just made there."""
        try:
            new = Segment.create(self._directory, day, first, self._settings_so_far(), self.log_id)
        except FileExistsError:
            new = self.segments()[-1]
        self._newest, self._next = new, first
        self._close_days()

    def _leave(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._newest is not None:
            self._to_close.append(self._newest)

    def _settings_so_far(self) -> Settings | None:
        """Give the last settings that can be read, past damaged files: each file knows those before it."""
        for segment in reversed(self.segments()):
            try:
                return segment.settings_before(_ABOVE_ALL)
            except LogDamaged:
                continue
        return None

    def _close_days(self) -> None:
        """Make left files plain; one that is being read is tried again at the next append."""
        self._to_close = [segment for segment in self._to_close if not _is_closed(segment)]


def _is_closed(segment: Segment) -> bool:
    try:
        return segment.is_plain() or segment.make_plain()
    except (LogDamaged, FileNotFoundError):
        return True  # nothing more can be done about it


def _page(segment: Segment, position: Position, limit: int, *, bodies: bool) -> list[Row]:
    where = "offset >= ? ORDER BY offset"
    try:
        return _rows(segment, where, (position,), limit, bodies=bodies)
    except LogDamaged:
        return _rows(segment, where, (position,), 1, bodies=bodies)


def _rows(
    segment: Segment, where: str, parameters: tuple[object, ...], limit: int, *, bodies: bool = True
) -> list[Row]:
    """Give a segment's rows; none when retention has deleted it meanwhile."""
    try:
        return segment.rows(where, parameters, limit, bodies=bodies)
    except FileNotFoundError:
        return []


def _day(now: int) -> str:
    return datetime.fromtimestamp(now / 1_000_000, UTC).strftime("%Y-%m-%d")


def _check(partition: str) -> None:
    if partition != PARTITION:
        raise ValueError(f"the spool has one partition, {PARTITION!r}, not {partition!r}")
