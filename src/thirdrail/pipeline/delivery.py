"""How the rows of a span reach a destination: committed at once, or handed over and durable some time later.

Either way ``feed_messages`` comes last: a capture listed there is complete in every table.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import pyarrow as pa

from thirdrail.model.ports import DeferredSink, DeferredWriter, EvolvingWriter, PreparedWriter, Sink, Writer
from thirdrail.model.records import Position, Span
from thirdrail.model.tables import FEED_MESSAGES, TABLES, Table
from thirdrail.pipeline.transform import Rows

SPANS_ABROAD = 64
ROWS_ABROAD = 2_000_000
"""Handed over and not durable yet: beyond either, the log is not read further, and grows instead of memory."""


Passed = Callable[[Position], None]
"""Told when every table but ``feed_messages`` durably has all below a position."""

Since = Mapping[str, Mapping[str, Mapping[tuple[str, str], Position]]]


class Delivery(Protocol):
    """The way into one destination for one partition of the log."""

    def open(self) -> dict[str, Position]:
        """Ask every table how far it is; tables that never had a position are left out."""
        ...

    def begin(self, new: list[Table], position: Position) -> None:
        """Give new tables a durable position."""
        ...

    def deliver(self, rows: Rows, span: Span) -> dict[str, int]:
        """Bring the rows of a span on their way; give how many by table."""
        ...

    def settle(self) -> None:
        """Learn what has become durable."""
        ...

    @property
    def is_full(self) -> bool:
        """Whether the log should not be read further until something has become durable."""
        ...

    @property
    def trouble(self) -> str:
        """What is wrong and may pass by itself; empty when all is well."""
        ...

    @property
    def rejected(self) -> int:
        """Rows that the destination refused, or would, since this process began."""
        ...

    @property
    def settled(self) -> Position | None:
        """Every table durably has all below; None while that is unknown."""
        ...

    @property
    def since(self) -> Since:
        """Table → column → (log, partition) → the position at which it came, of tables that had to get it."""
        ...

    @property
    def lowest(self) -> Position | None:
        """The lowest position that a table has made durable: the log may forget what lies below."""
        ...

    @property
    def positions(self) -> Mapping[str, Position]:
        """How far each table is."""
        ...

    def flush(self) -> None:
        """Send now what is gathered still."""
        ...

    def close(self) -> None:
        """Close every writer in order."""
        ...


def told_nobody(_position: Position) -> None:
    """Nobody writes down when rows are durable."""


def delivery(
    sink: Sink | DeferredSink, log_id: str, partition: str, *, prepared: bool, passed: Passed = told_nobody
) -> Delivery:
    """Give the way into a sink; ``prepared`` where a team makes its rows durable beforehand."""
    if isinstance(sink, DeferredSink):
        return HandedOver(sink, log_id, partition, passed)
    return CommittedAtOnce(sink, log_id, partition, prepared=prepared)


def batch_of(table: Table, rows: Rows) -> tuple[pa.Table, pa.Array | None]:
    """Give a table's rows as one batch, and the log record that produced each."""
    parts = rows.tables.get(table.name, [])
    if not parts:
        return table.arrow_schema.empty_table(), None
    return pa.concat_tables(parts), pa.concat_arrays(rows.offsets[table.name])


class CommittedAtOnce:
    """Table by table, each commit durable when it returns."""

    def __init__(self, sink: Sink, log_id: str, partition: str, *, prepared: bool) -> None:
        self._sink, self._log_id, self._partition, self._prepared = sink, log_id, partition, prepared
        self._writers: dict[str, Writer] = {}
        self._settled: Position | None = None

    def open(self) -> dict[str, Position]:
        """Ask every table."""
        self._writers = {table.name: self._sink.open(table, self._log_id, self._partition) for table in TABLES}
        self._settled = None
        return dict(self.positions)

    def begin(self, new: list[Table], position: Position) -> None:
        """Commit an empty span."""
        for table in new:
            self._writers[table.name].commit(table.arrow_schema.empty_table(), Span(position, position))

    def deliver(self, rows: Rows, span: Span) -> dict[str, int]:
        """Commit every table, ``feed_messages`` last."""
        written = {table.name: self._commit(table, rows, span) for table in TABLES}
        self._settled = span.end
        return written

    def _commit(self, table: Table, rows: Rows, span: Span) -> int:
        writer = self._writers[table.name]
        if self._prepared:
            assert isinstance(writer, PreparedWriter)  # noqa: S101 - whoever gives a team, gives such a sink
            prepared = rows.prepared.get(table.name, [])
            writer.commit_prepared(prepared, span, rows.made_from.get(table.name, 0))
            return sum(each.rows for each in prepared)
        batch, offsets = batch_of(table, rows)
        writer.commit(batch, span, offsets)
        return len(batch)

    def settle(self) -> None:
        """All is settled."""

    is_full = False
    trouble = ""
    rejected = 0

    @property
    def since(self) -> Since:
        """As the writers found it when they were opened."""
        return {name: writer.since for name, writer in self._writers.items() if isinstance(writer, EvolvingWriter)}

    @property
    def settled(self) -> Position | None:
        """The end of the last span."""
        return self._settled

    @property
    def lowest(self) -> Position | None:
        """Quiet tables note theirs on disk now and then, so this may lag."""
        return min(self.positions.values(), default=None)

    @property
    def positions(self) -> Mapping[str, Position]:
        """As the writers know."""
        return {name: writer.position for name, writer in self._writers.items() if writer.position is not None}

    def flush(self) -> None:
        """Nothing is gathered."""

    def close(self) -> None:
        """Quiet tables note their position."""
        for writer in self._writers.values():
            writer.close()


class _Abroad(NamedTuple):
    """A span whose rows are on their way, and its ``feed_messages``, which wait for them."""

    span: Span
    rows: int
    messages: pa.Table
    offsets: pa.Array | None


class HandedOver:
    """All tables at once, ``feed_messages`` of a span when all of them have it; spans follow each other meanwhile."""

    def __init__(self, sink: DeferredSink, log_id: str, partition: str, tell_passed: Passed = told_nobody) -> None:
        self._tell_passed, self._passed = tell_passed, -1
        self._sink, self._log_id, self._partition = sink, log_id, partition
        self._writers: dict[str, DeferredWriter] = {}
        self._waiting: deque[_Abroad] = deque()
        self._abroad: deque[_Abroad] = deque()
        self._floor: Position | None = None
        self._rejected = 0
        self.since: Since = {}

    def open(self) -> dict[str, Position]:
        """Ask every table. One without rows for long is as far as ``feed_messages``, which comes after all others."""
        self.close()
        self._waiting.clear()
        self._abroad.clear()
        self._writers = {table.name: self._sink.open(table, self._log_id, self._partition) for table in TABLES}
        self._floor = self._writers[FEED_MESSAGES.name].position
        return dict(self.positions)

    def begin(self, new: list[Table], position: Position) -> None:
        """Hand over an empty span, which is durable when it returns."""
        for table in new:
            self._writers[table.name].submit(table.arrow_schema.empty_table(), Span(position, position))
        self._floor = self._writers[FEED_MESSAGES.name].position

    def deliver(self, rows: Rows, span: Span) -> dict[str, int]:
        """Hand over what the tables get; ``feed_messages`` wait."""
        written = {}
        for table in TABLES:
            batch, offsets = batch_of(table, rows)
            written[table.name] = len(batch)
            if table is FEED_MESSAGES:
                self._waiting.append(_Abroad(span, sum(written.values()), batch, offsets))
            else:
                self._writers[table.name].submit(batch, span, offsets)
        self.settle()
        return written

    def settle(self) -> None:
        """Ask every table; hand over the ``feed_messages`` that all others have passed."""
        last = self._writers[FEED_MESSAGES.name]
        reached = [writer.settle() for writer in self._writers.values() if writer is not last]
        passed = min((position for position in reached if position is not None), default=None)
        while self._waiting and passed is not None and self._waiting[0].span.end <= passed:
            next_one = self._waiting.popleft()
            last.submit(next_one.messages, next_one.span, next_one.offsets)
            self._abroad.append(next_one)
        self._floor = last.settle()
        while self._abroad and self._floor is not None and self._abroad[0].span.end <= self._floor:
            self._abroad.popleft()
        self._note_passed()

    def _note_passed(self) -> None:
        """Say how far all rows are durable: those of ``feed_messages`` come later, and are about them."""
        positions = self.positions
        passed = min((positions.get(table.name, -1) for table in TABLES if table is not FEED_MESSAGES), default=-1)
        if passed > self._passed:
            self._passed = passed
            self._tell_passed(passed)

    @property
    def is_full(self) -> bool:
        """Too much is on its way."""
        spans = len(self._waiting) + len(self._abroad)
        return spans >= SPANS_ABROAD or sum(each.rows for each in (*self._waiting, *self._abroad)) >= ROWS_ABROAD

    @property
    def trouble(self) -> str:
        """The first that a writer has."""
        return next((writer.trouble for writer in self._writers.values() if writer.trouble), "")

    @property
    def rejected(self) -> int:
        """Of the writers at hand and of those before."""
        return self._rejected + sum(writer.rows_rejected for writer in self._writers.values())

    @property
    def settled(self) -> Position | None:
        """As far as ``feed_messages``."""
        return self._floor

    @property
    def lowest(self) -> Position | None:
        """As far as ``feed_messages``: nobody needs anything below again."""
        return min(self.positions.values(), default=None)

    @property
    def positions(self) -> Mapping[str, Position]:
        """The higher of a table's own and that of ``feed_messages``."""
        floor = self._floor
        known = {name: writer.position for name, writer in self._writers.items()}
        if floor is None:
            return {name: position for name, position in known.items() if position is not None}
        return {name: max(position, floor) for name, position in known.items() if position is not None}

    def flush(self) -> None:
        """Send now what writers gather."""
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Let go of the writers; what is not durable is handed over again."""
        for writer in self._writers.values():
            self._rejected += writer.rows_rejected
            writer.close()
        self._writers = {}
