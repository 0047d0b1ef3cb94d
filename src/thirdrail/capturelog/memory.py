"""A capture log in memory: for tests and simulations; same contract as the spool."""

from collections.abc import Iterator, Sequence

from thirdrail.capturelog.filling_in import filled_in
from thirdrail.capturelog.reading_back import within_reach
from thirdrail.model.records import Entry, Offset, Poll, Position, Record, Settings


class MemoryLog:
    """Holds everything until the process ends; ``drop_below`` plays retention."""

    def __init__(self, log_id: str = "memory") -> None:
        self.log_id = log_id
        self.partitions = ("0",)
        self.acknowledged: dict[tuple[str, str], Position] = {}
        self._entries: list[Entry] = []
        self._first = 0

    def append(self, partition: str, records: Sequence[tuple[Record, bytes | None]]) -> list[Offset]:
        """Append; offsets count from 0. Digest and size of a body are filled in."""
        self._check(partition)
        whole = [(filled_in(record, body), body) for record, body in records]
        first = len(self._entries)
        self._entries += [Entry(first + place, record, body) for place, (record, body) in enumerate(whole)]
        return list(range(first, len(self._entries)))

    def first(self, partition: str) -> Position:
        """The lowest offset still held."""
        self._check(partition)
        return self._first

    def end(self, partition: str) -> Position:
        """One above the highest offset."""
        self._check(partition)
        return len(self._entries)

    def count(self, partition: str, position: Position) -> int:
        """How many records lie at or above a position."""
        self._check(partition)
        return max(0, len(self._entries) - max(position, self._first))

    def read(self, partition: str, position: Position, limit: int, max_bytes: int = 64 << 20) -> list[Entry]:
        """Entries from a position; bodies of duplicates resolved."""
        self._check(partition)
        found: list[Entry] = []
        size = 0
        for entry in self._entries[max(position, self._first) :][:limit]:
            whole = self._whole(entry)
            size += len(whole.body or b"")
            if found and size > max_bytes:
                break
            found.append(whole)
        return found

    def read_back(self, partition: str, feed_id: str, origin: str, below: Position, seconds: int) -> Iterator[Entry]:
        """Polls of one feed and origin within reach below an offset."""
        self._check(partition)
        mine = (
            entry
            for entry in reversed(self._entries[self._first : below])
            if isinstance(entry.record, Poll) and (entry.record.feed_id, entry.record.origin) == (feed_id, origin)
        )
        return iter([self._whole(entry) for entry in within_reach(mine, seconds)])

    def settings_before(self, partition: str, position: Position) -> Settings | None:
        """The last settings record below a position."""
        self._check(partition)
        for entry in reversed(self._entries[:position]):
            if isinstance(entry.record, Settings):
                return entry.record
        return None

    def acknowledge(self, reader: str, partition: str, position: Position) -> None:
        """Note a reader's position; it never goes back."""
        self._check(partition)
        name = (reader, partition)
        self.acknowledged[name] = max(position, self.acknowledged.get(name, 0))

    def drop_below(self, position: Position) -> None:
        """Forget what lies below a position, as retention does."""
        self._first = position

    def close(self) -> None:
        """Nothing to release."""

    def _whole(self, entry: Entry) -> Entry:
        if isinstance(entry.record, Poll) and entry.record.duplicate_of is not None:
            return entry._replace(body=self._entries[entry.record.duplicate_of].body)
        return entry

    def _check(self, partition: str) -> None:
        if partition not in self.partitions:
            raise ValueError(f"this log has the partitions {self.partitions}, not {partition!r}")
