"""The loop: read a span of the log, make its rows, commit them table by table, acknowledge.

One pipeline is one partition and one sink, pulling, single-threaded. It keeps no offsets of its own: on
open it asks the destination how far it is, and checks that log and destination agree.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa

from thirdrail.errors import CapturesGone, LogBehindDestination
from thirdrail.model import feeds as declared
from thirdrail.model.feeds import Feed
from thirdrail.model.ports import CaptureLog, Clock, DeferredSink, Sink
from thirdrail.model.records import Entry, Poll, Span
from thirdrail.model.tables import FEED_MESSAGES, TABLES
from thirdrail.pipeline.columns import ColumnsSince
from thirdrail.pipeline.delivery import Passed, delivery, told_nobody
from thirdrail.pipeline.processor import Processor
from thirdrail.pipeline.told import Told, told
from thirdrail.pipeline.transform import Rows
from thirdrail.pipeline.workers import Team, Workers

READ_BYTES = 6 << 20
"""Bodies read and transformed at a time: about 200,000 rows, so that memory stays bounded."""

_ENDLESS = 1 << 62


def give_memory_back() -> None:
    """Let Arrow take memory from the system, which gets it back after each batch, not from a pool that keeps it.

    Process-wide; costs no CPU that could be measured, and a sixth of the peak (decision 0007).
    """
    pa.set_memory_pool(pa.system_memory_pool())


@dataclass(frozen=True, slots=True)
class Limits:
    """When a batch closes; whichever comes first, also while catching up (design, "Batch")."""

    rows: int = 500_000
    bytes: int = 40 << 20
    seconds: float = 5.0
    entries: int = 256
    """Records read at a time."""


@dataclass(slots=True)
class StepResult:
    """What one batch carried. ``written`` counts rows by table; ``decoded`` rows that came in.

    ``newest_fetched_at`` (µs UTC) is that of its captures; None when it held none.
    """

    span: Span
    captures: int = 0
    decoded: int = 0
    newest_fetched_at: int | None = None
    written: dict[str, int] = field(default_factory=dict)
    told: Told = field(default_factory=Told)


class Pipeline:
    """Carries one partition of a log into one sink. Not thread-safe; ``step`` blocks while it commits."""

    def __init__(
        self,
        log: CaptureLog,
        sink: Sink | DeferredSink,
        partition: str,
        clock: Clock,
        *,
        limits: Limits | None = None,
        feeds: Mapping[str, Feed] = declared.BY_ID,
        team: Team | None = None,
        passed: Passed = told_nobody,
    ) -> None:
        """Carry with rows made here, or by a team of processes for a sink whose rows can be prepared.

        ``passed`` is told as rows become durable at a destination that takes its time.
        """
        self._log, self._partition, self._clock, self.reader = log, partition, clock, sink.name
        self._limits = limits or Limits()
        self._feeds = feeds
        self._delivery = delivery(sink, log.log_id, partition, prepared=team is not None, passed=passed)
        self._is_open = False
        self._team = team
        self._maker: Workers | _Alone | None = None
        self._ahead: _Page | None = None
        self._position, self._acknowledged = 0, -1
        self._columns, self._until = ColumnsSince({}), _ENDLESS
        self._end_before = log.end(partition)

    @property
    def position(self) -> int:
        """The next offset that this pipeline will read."""
        return self._position

    @property
    def settled(self) -> int:
        """The destination durably has every row of the records below."""
        settled = self._delivery.settled
        return self._position if settled is None else min(settled, self._position)

    @property
    def trouble(self) -> str:
        """What is wrong at the destination and may pass by itself; empty when all is well."""
        return self._delivery.trouble

    @property
    def rejected(self) -> int:
        """Rows that the destination refused, or would: the log has been told of each."""
        return self._delivery.rejected

    @property
    def positions(self) -> Mapping[str, int]:
        """How far each table durably is."""
        return self._delivery.positions

    def open(self) -> None:
        """Ask every table for its position and check that the log can go on from there.

        Raises:
            LogBehindDestination: a table is further than the log.
            CapturesGone: the log has dropped what a table still needs.
        """
        known = self._delivery.open()
        first, end = self._log.first(self._partition), self._log.end(self._partition)
        if not self._is_open:
            # A log restored from an older copy must be found out, however much was polled until a destination answered.
            end = self._end_before
        for name, position in known.items():
            check_agreement(name, position, first, end)
        self._position = min(known.values(), default=first)
        # Without a durable position before the first batch, a crash within it would leave tables behind that have none
        # beside neighbours that have moved on, and their rows would be lost.
        self._delivery.begin([table for table in TABLES if table.name not in known], self._position)
        self._columns = ColumnsSince.of(self._delivery.since, (self._log.log_id, self._partition))
        self._is_open = True
        self.forget()

    def step(self) -> StepResult | None:
        """Carry one batch; None when the log holds nothing new, or the destination cannot take more yet.

        Repeating after a failure is harmless.
        """
        try:
            if not self._is_open:
                self.open()
            self._delivery.settle()
            self._acknowledge()
            return None if self._delivery.is_full else self._step()
        except BaseException:
            self.forget()  # what was made is ahead of what is committed
            raise

    def _step(self) -> StepResult | None:
        if self._position >= self._until:
            self.forget()  # a table got columns here: rows from here on are compared with them
        start = end = self._position
        deadline = self._clock.monotonic() + self._limits.seconds
        result, rows = StepResult(Span(start, end)), Rows()
        while True:
            page = self._ahead or self._begin(end)
            if page is None:
                break
            end = page.span.end
            # Workers make the next page's rows while this one's are awaited and committed.
            self._ahead = self._begin(end) if self._team is not None else None
            result.captures += self._making().finish(rows)
            result.newest_fetched_at = max(page.newest_fetched_at, result.newest_fetched_at or 0) or None
            # What a team made is in files already: every page is a batch.
            if self._team is not None or self._is_full(rows) or self._clock.monotonic() >= deadline:
                break
        if end == start:
            return None
        result.span = Span(start, end)
        result.decoded = rows.decoded_rows
        result.told.add(rows.told)
        result.told.add(told(rows.tables.get(FEED_MESSAGES.name, ())))
        self._commit(rows, result)
        return result

    def flush(self) -> None:
        """Send now what is gathered at the destination's door."""
        self._delivery.flush()

    def close(self) -> None:
        """Close every writer, so that quiet tables note their position; repeating is harmless."""
        self.forget()
        self._delivery.close()
        self._acknowledge()

    def forget(self) -> None:
        """End the workers and what they were making; the next step begins anew from the log."""
        if self._maker is not None:
            self._maker.close()
        self._maker, self._ahead = None, None

    def _making(self) -> "Workers | _Alone":
        if self._maker is None:
            # A version before may have died between tables: what it wrote to those that are further is made, and
            # counted in `feed_messages`, as it made it.
            unknown = dict(self._columns.unknown_at(self._position))
            self._until = self._columns.next_step(self._position, _ENDLESS)
            if self._team is not None:
                known = self._delivery.positions
                self._maker = Workers(self._team, self._partition, self._position, known, self._feeds, unknown)
            else:
                processor = Processor(
                    self._log, self._partition, self._position, self._feeds, unknown=unknown, sink=self.reader
                )
                self._maker = _Alone(processor)
        return self._maker

    def _begin(self, position: int) -> "_Page | None":
        """Read a page and let its rows be made; None at the end of the log."""
        maker = self._making()
        found = [] if position >= self._until else self._read(position)
        if not found:
            return None
        entries = [entry for entry in found if entry.offset < self._until]
        end = entries[-1].offset + 1 if len(entries) == len(found) else self._until
        page = _Page(Span(position, end), _newest(entries))
        if isinstance(maker, Workers):
            maker.begin(page.span)
        else:
            maker.begin(entries)
        return page

    def _read(self, position: int) -> list[Entry]:
        pages = 1 if self._team is None else self._team.count
        return self._log.read(self._partition, position, self._limits.entries, READ_BYTES * pages)

    def _is_full(self, rows: Rows) -> bool:
        tables = [table for parts in rows.tables.values() for table in parts]
        return sum(map(len, tables)) >= self._limits.rows or sum(table.nbytes for table in tables) >= self._limits.bytes

    def _commit(self, rows: Rows, result: StepResult) -> None:
        """Bring every table its rows, ``feed_messages`` last, and only then move on."""
        result.written = self._delivery.deliver(rows, result.span)
        self._position = result.span.end
        self._acknowledge()

    def _acknowledge(self) -> None:
        """Tell the log what no table needs any more."""
        lowest = self._delivery.lowest
        if lowest is not None and lowest != self._acknowledged:
            self._log.acknowledge(self.reader, self._partition, lowest)
            self._acknowledged = lowest


class _Page(NamedTuple):
    """Records whose rows are being made; ``newest_fetched_at`` (µs UTC) is 0 without polls."""

    span: Span
    newest_fetched_at: int


def _newest(entries: list[Entry]) -> int:
    return max((entry.record.fetched_at for entry in entries if isinstance(entry.record, Poll)), default=0)


class _Alone:
    """Makes rows in this process, when they are asked for."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor
        self._entries: list[Entry] = []

    def begin(self, entries: list[Entry]) -> None:
        """Keep a page's records until ``finish``."""
        self._entries = entries

    def finish(self, rows: Rows) -> int:
        """Add the page's rows; give how many captures it held."""
        entries, self._entries = self._entries, []
        return self._processor.process(entries, rows)

    def close(self) -> None:
        """There is nothing to end."""


def check_agreement(table: str, position: int, first: int, end: int) -> None:
    """Refuse to go on from a position that the log cannot serve.

    Raises:
        LogBehindDestination: the position lies above the log's end.
        CapturesGone: it lies below the log's first offset.
    """
    if position > end:
        raise LogBehindDestination(
            f"{table} has taken in captures up to offset {position}, but the capture log ends at {end}: "
            "the log was lost or restored from an older copy",
            hint="keep the tables and start the log above them: thirdrail captures skip",
        )
    if position < first:
        raise CapturesGone(
            f"{table} wants captures from offset {position}, but the log begins at {first}: "
            f"offsets {position} to {first - 1} are gone",
            hint="restore the log from a backup, or accept the gap: thirdrail captures skip",
        )
