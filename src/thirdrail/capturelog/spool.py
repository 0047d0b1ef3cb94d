"""The capture log on a disk: one SQLite file per UTC day of append time, one sequence of offsets over all.

Days only move forward: a clock that steps back stays in the newest file. One process appends, kept by a file
lock; how the files are read stands in ``day_files.py``.
"""

import os
import sqlite3
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from thirdrail.capturelog import append_lock, retention
from thirdrail.capturelog.acknowledged import Acknowledged
from thirdrail.capturelog.birth import ensure_identity, identity
from thirdrail.capturelog.day_files import DayFiles, check_partition
from thirdrail.capturelog.filling_in import filled_in
from thirdrail.capturelog.holes import accept_hole, hole_after
from thirdrail.capturelog.opening import remove
from thirdrail.capturelog.segment import NEWBORN, Finished, Segment, columns
from thirdrail.errors import LogBusy, LogDamaged
from thirdrail.model.ports import Clock
from thirdrail.model.records import Offset, Position, Record, Settings

LEAP = 1_000_000
"""How far a log jumps ahead after damage, so that no offset is ever given twice."""

_ABOVE_ALL = 2**62


class Spool(DayFiles):
    """Day files that may be appended to. ``append`` blocks until the disk has the records; see the protocol.

    Any thread may append, one at a time; other processes may read meanwhile.
    """

    def __init__(self, directory: Path, clock: Clock, log_id: str, lock: int | None) -> None:
        super().__init__(directory)
        self._clock, self.log_id, self._lock = clock, log_id, lock
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

    def append(self, partition: str, records: Sequence[tuple[Record, bytes | None]]) -> list[Offset]:
        """Append in one transaction; see the protocol. Digest and size of a body are filled in.

        When the newest file cannot be written any more, goes on in a new one a million offsets above.

        Raises:
            ValueError: a duplicate with a body, or a digest that is not the body's.
            LogDamaged: nor can a new file; nothing was appended.
        """
        check_partition(partition)
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

    def acknowledge(self, reader: str, partition: str, position: Position) -> None:
        """Note a reader's position in a small file of its own; it never goes back."""
        check_partition(partition)
        self._acknowledged.note(reader, position)

    def acknowledgements(self) -> dict[str, Position]:
        """Give each reader's acknowledged position."""
        return self._acknowledged.positions()

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


def _day(now: int) -> str:
    return datetime.fromtimestamp(now / 1_000_000, UTC).strftime("%Y-%m-%d")
