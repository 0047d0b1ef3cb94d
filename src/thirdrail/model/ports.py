"""The protocols between the rooms: clock, files, capture log, sink, writer.

Implementations live at the edges (``capturelog``, ``sinks``); tests bring their own. Each protocol has
one contract suite under ``tests/contract`` that every implementation inherits.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, Protocol, runtime_checkable

import pyarrow as pa

from thirdrail.model.records import Entry, Offset, Position, Record, Settings, Span
from thirdrail.model.tables import Table


class Clock(Protocol):
    """Time as a parameter. ``now`` is wall time in microseconds since 1970 UTC; it may jump."""

    def now(self) -> int:
        """Microseconds since 1970 UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block for that long."""
        ...


class CaptureLog(Protocol):
    """A durable, ordered log of records; the only queue between the poller and the pipelines.

    Offsets rise and need not be dense. Readers never block the appender.
    """

    @property
    def log_id(self) -> str:
        """Written at the log's birth; another log has another id."""
        ...

    @property
    def partitions(self) -> Sequence[str]:
        """Names of the partitions; a feed always maps to the same one."""
        ...

    def append(self, partition: str, records: Sequence[tuple[Record, bytes | None]]) -> list[Offset]:
        """Append in one transaction; once it returns, neither kill -9 nor a power cut can lose them.

        Raises:
            DiskFull: nothing was appended.
            LogBusy: another process appends.
        """
        ...

    def first(self, partition: str) -> Position:
        """The lowest offset still held (or :meth:`end` of an empty log)."""
        ...

    def end(self, partition: str) -> Position:
        """One above the highest offset ever given (0 for a new log)."""
        ...

    def count(self, partition: str, position: Position) -> int:
        """How many records lie at or above a position: a reader's lag (offsets need not be dense)."""
        ...

    def read(self, partition: str, position: Position, limit: int, max_bytes: int = 64 << 20) -> list[Entry]:
        """At most ``limit`` entries at or above ``position`` in order, at least one if there is one.

        Stops before the bodies exceed ``max_bytes``. A duplicate's body is that of the offset it names.

        Raises:
            LogDamaged: the offsets that could not be read are named.
        """
        ...

    def read_back(self, partition: str, feed_id: str, origin: str, below: Position, seconds: int) -> Iterator[Entry]:
        """The polls of one feed and origin below an offset that are at most ``seconds`` older than its newest.

        In order of offset, a few bodies in memory at a time; ends where ``fetched_at`` steps back (an earlier run of
        the clock).
        """
        ...

    def settings_before(self, partition: str, position: Position) -> Settings | None:
        """The last settings record below a position, also when retention has dropped its day."""
        ...

    def acknowledge(self, reader: str, partition: str, position: Position) -> None:
        """This reader needs nothing below ``position`` any more; only permits deletion."""
        ...

    def close(self) -> None:
        """Release files and locks; harmless when repeated."""
        ...


class Writer(Protocol):
    """One table of one destination, for one log and partition.

    ``commit`` makes rows and the span's end visible together or not at all; repeating it is harmless.
    """

    @property
    def position(self) -> Position | None:
        """How far this destination is, asked of it; None for a table that never had one."""
        ...

    def commit(self, rows: pa.Table, span: Span, offsets: pa.Array | None = None) -> None:
        """Write the rows of the span and move the position to its end.

        ``rows`` has exactly the table's columns. ``offsets`` (int64, one per row, in any order) names
        the log record that produced each row, so that rows below the position can be left out; by default
        ``capture_offset``.

        Raises:
            PositionGap: the span starts above the position.
            CommitConflict: after bounded retries.
            CommitOutcomeUnknown: re-open and ask.
        """
        ...

    def close(self) -> None:
        """Release what is held; repeating is harmless."""
        ...


class Sink(Protocol):
    """A destination that holds tables."""

    @property
    def name(self) -> str:
        """As in the configuration and in metrics: ``iceberg``, ``memory``."""
        ...

    def open(self, table: Table, log_id: str, partition: str) -> Writer:
        """Give the one writer for this table and partition, creating the table when it is missing."""
        ...


class Prepared(Protocol):
    """Rows that are durable at a destination and not visible yet; can be sent from process to process."""

    @property
    def rows(self) -> int:
        """How many."""
        ...


class Preparing(Protocol):
    """A sink whose rows can be made durable by other processes than the one that commits them."""

    def prepare(self, table: Table, rows: pa.Table) -> Sequence[Prepared]:
        """Make rows durable without showing them; the table exists."""
        ...


@runtime_checkable
class EvolvingWriter(Protocol):
    """A writer of a table that knows when it got which columns: a version before had written and compared fewer."""

    @property
    def since(self) -> Mapping[str, Mapping[tuple[str, str], Position]]:
        """Column → (log, partition) → the position at which it came; columns of the first day are not in."""
        ...


@runtime_checkable
class PreparedWriter(Protocol):
    """A writer of such a sink."""

    def commit_prepared(self, prepared: Sequence[Prepared], span: Span, made_from: Position = 0) -> None:
        """As :meth:`Writer.commit`, for all rows of the span; of offsets below ``made_from`` there are none.

        Raises:
            PositionGap: the span starts above the position.
            CommitConflict: after bounded retries, or another process has written rows of these since.
        """
        ...


class DeferredWriter(Protocol):
    """A writer of a destination where rows are durable some time after they were handed over.

    Spans are submitted in order, each beginning where the last one ended. The first one begins at the writer's
    position, or above it where the table had no rows since: the pipeline knows, from ``feed_messages``.
    """

    @property
    def position(self) -> Position | None:
        """How far the destination durably is, as :meth:`settle` last heard; None for a table that never had one."""
        ...

    @property
    def trouble(self) -> str:
        """What is wrong and may pass by itself, in a sentence; empty when all is well."""
        ...

    @property
    def rows_rejected(self) -> int:
        """Rows that the destination refused, or would: the log was told of each."""
        ...

    def submit(self, rows: pa.Table, span: Span, offsets: pa.Array | None = None) -> None:
        """Hand over the rows of a span, as :meth:`Writer.commit` is given them; blocks while nothing more fits.

        Rows that the destination has are left out. An empty span gives a new table its position, durably.

        Raises:
            PositionGap: the span starts above the end of the last one.
            SinkError: hand over again from the position, with a new writer (REOPEN), or stop (HALT).
        """
        ...

    def settle(self) -> Position | None:
        """Ask the destination how far it is, and do what is due; give :attr:`position`. Blocks for a call at most.

        Raises:
            SinkError: as ``submit``.
        """
        ...

    def flush(self) -> None:
        """Send now what is gathered still."""
        ...

    def close(self) -> None:
        """Release what is held, without waiting; what was not durable is handed over again. Repeating is harmless."""
        ...


@runtime_checkable
class DeferredSink(Protocol):
    """A destination that holds tables, and takes its time."""

    deferred: ClassVar[bool]

    @property
    def name(self) -> str:
        """As in the configuration and in metrics: ``snowflake``."""
        ...

    def open(self, table: Table, log_id: str, partition: str) -> DeferredWriter:
        """Give the one writer for this table and partition; the table exists."""
        ...

    def close(self) -> None:
        """Release what all writers share; repeating is harmless."""
        ...


Bodies = Mapping[Offset, bytes]
Entries = Iterable[Entry] | Iterator[Entry]
