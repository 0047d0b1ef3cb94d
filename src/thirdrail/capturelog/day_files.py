"""The day files of a capture log, as anybody may read them: in short transactions, on a read-only disk too."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from thirdrail.capturelog.holes import hole_after, refuse_hole
from thirdrail.capturelog.reading_back import within_reach
from thirdrail.capturelog.segment import Row, Segment
from thirdrail.errors import CapturesGone, LogDamaged
from thirdrail.model.records import Entry, Offset, Poll, Position, Settings, Span

PARTITION = "0"
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


class DayFiles:
    """One sequence of offsets over a directory of SQLite files; see the protocol of the capture log.

    Any thread may read, and any number of processes: every read opens its own connection.
    """

    partitions = (PARTITION,)

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def segments(self) -> list[Segment]:
        """Give the day files in order of their first offset."""
        return Segment.listed(self._directory)

    def first(self, partition: str) -> Position:
        """The lowest offset still held."""
        check_partition(partition)
        segments = self.segments()
        return segments[0].first if segments else 0

    def end(self, partition: str) -> Position:
        """One above the highest offset ever given; a new file's first offset counts as given up to."""
        check_partition(partition)
        for segment in reversed(self.segments()):
            last = segment.last()
            return segment.first if last is None else last + 1
        return 0

    def count(self, partition: str, position: Position) -> int:
        """How many records lie at or above a position."""
        check_partition(partition)
        return self._sum("SELECT count(*) FROM records WHERE offset >= ?", position)

    def stored_bytes(self, partition: str, position: Position) -> int:
        """Bytes of the records at or above a position as they lie on the disk, compressed."""
        check_partition(partition)
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
        check_partition(partition)
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
        check_partition(partition)
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
        check_partition(partition)
        segments = self.segments()
        place = max(0, sum(segment.first <= position for segment in segments) - 1)
        for segment in segments[place:]:
            try:
                return segment.settings_before(position)
            except FileNotFoundError:  # deleted meanwhile: the next file has them from it
                continue
        return None

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


def check_partition(partition: str) -> None:
    """Refuse a partition that there is not."""
    if partition != PARTITION:
        raise ValueError(f"the spool has one partition, {PARTITION!r}, not {partition!r}")
