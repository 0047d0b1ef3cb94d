"""One channel: rows in order, each strictly after the last committed token; durable is what the token has passed."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import polars as pl
import pyarrow as pa

from thirdrail.errors import ChannelInvalid, ChannelStuck, PositionUnknown, SinkError, SnowflakeUnavailable
from thirdrail.model.ports import Clock
from thirdrail.model.records import Position, Refused, Rejection, Span
from thirdrail.model.tables import Table
from thirdrail.model.tokens import Token, after, in_order, parsed, token_of
from thirdrail.sinks.snowflake.fit import fit
from thirdrail.sinks.snowpipe_streaming.client import answered, translated
from thirdrail.sinks.snowpipe_streaming.lines import Chunk, chunks
from thirdrail.sinks.spans import refuse_gap

if TYPE_CHECKING:
    from snowflake.ingest.streaming import ChannelStatus, StreamingIngestChannel

ASK_IDLE_S = 30.0
"""A channel with nothing on its way is asked this often: a theft shows at the next call only."""

STATUS_WITHIN_S = 60.0
"""The client answers from what it knows; in some five hundred rounds of faults one call did not come back (1.9.1)."""

_SATURATED_WAIT_S = 0.05
_SATURATED_AT_MOST_S = 120.0
_SATURATED = {"ReceiverSaturated", "MemoryThresholdExceeded", "MemoryThresholdExceededInContainer"}
_STUCK_FOR_GOOD = 10

Held = tuple["StreamingIngestChannel", "ChannelStatus"]
"""An open channel, and what it said when it was opened."""


class Channels(NamedTuple):
    """What a writer asks of its sink."""

    open: Callable[[str | None], Held]
    """Open the channel, a new one at a first token."""
    rejected: Callable[[], int]
    """How many refused rows the log has been told of, as noted."""
    told: Callable[[Position], int]
    """How many of them the log itself says, from a position on."""
    note: Callable[[int], None]
    """Remember that the channel exists, and so many."""
    moved: Callable[[], None]
    """Note that the channel has gone on: whatever filled the table before is behind it."""
    reject: Callable[[Rejection], None]
    """Tell the log of refused rows."""
    failed: Callable[[SinkError], None]
    """Note an error: of a channel that somebody else has opened, or of a client that may be beyond help."""


class _Sent(NamedTuple):
    """A span on its way: its end, and the token that shows that all of it is in (None: nothing was sent for it)."""

    end: Position
    token: Token | None


class _Call(NamedTuple):
    """Rows of one call that are not known to be committed: enough to say later where refused ones lie."""

    first: Token
    last: Token
    rows: int
    feed_id: str


class StreamingWriter:
    """The one writer of a table and partition; see ``DeferredWriter``. Blocks only while the client is saturated."""

    def __init__(
        self,
        table: Table,
        log_id: str,
        channels: Channels,
        held: Held,
        clock: Clock,
        *,
        stuck_seconds: float,
        earlier: Position | None = None,
        skipped: Position = 0,
    ) -> None:
        """Begin where an open channel is; one without a token has just been made.

        ``earlier`` is how far the table is by the other method, all of it settled; ``skipped`` where a table that has
        a position goes on at the lowest.
        """
        self._table, self._log_id, self._channels, self._clock = table, log_id, channels, clock
        self._stuck_seconds = stuck_seconds
        self._channel: StreamingIngestChannel | None = held[0]
        self._committed = self._token(held[1])
        self._position = None if self._committed is None else self._committed.offset
        self._resume = self._committed
        if earlier is not None and (self._committed is None or self._committed < Token(earlier)):
            self._position, self._resume = earlier, Token(earlier)
        if self._position is not None and self._position < skipped:
            self._position, self._resume = skipped, Token(skipped)
        self._end: Position | None = None
        self._spans: deque[_Sent] = deque()
        self._calls: deque[_Call] = deque()
        self._moved_at = self._asked_at = clock.monotonic()
        self.rows_sent = self.rows_rejected = self.bytes_sent = 0
        self.trouble = ""
        self._untold = (
            held[1] if self._committed is not None and held[1].rows_error_count > channels.rejected() else None
        )
        if self._committed is not None:
            self._note(held[1])

    def _token(self, status: "ChannelStatus") -> Token | None:
        text = status.latest_committed_offset_token
        return None if text is None else parsed(text, self._log_id, self._table.name)

    @property
    def position(self) -> Position | None:
        """How far the channel is, quiet spans included."""
        return self._position

    def submit(self, rows: pa.Table, span: Span, offsets: pa.Array | None = None) -> None:
        """Send the rows of a span that come after what the channel has."""
        refuse_gap(self._table.name, self._end, span)
        if self._untold is not None:
            self._tell_of_earlier(self._untold, span.start)
        if self._committed is None:
            self._begin(span.start if self._position is None else max(span.start, self._position))
        self._end = span.end
        last = self._send(rows, offsets, span) if len(rows) else None
        self._spans.append(_Sent(span.end, last))
        if last is None and len(self._spans) == 1:
            self._pass()

    def _begin(self, position: Position) -> None:
        """Make the channel, with a token from its first moment on: one without is one that has lost it."""
        first = Token(position)
        self.close()
        self._channel, status = self._channels.open(first.text(self._log_id))
        self._note(status)
        self._committed = self._resume = first
        self._position = position
        self._channels.moved()

    def _note(self, status: "ChannelStatus") -> None:
        """Remember an opened channel; one that was made anew (a pipe was replaced) counts refused rows from 0 again."""
        self._channels.note(min(self._channels.rejected(), status.rows_error_count))

    def _send(self, rows: pa.Table, offsets: pa.Array | None, span: Span) -> Token | None:
        frame = in_order(self._table, rows, offsets)
        if self._resume is not None:
            frame = after(frame, self._resume)
        sent = fit(self._table, frame, self._log_id, self._clock, self._channels.reject)
        self.rows_rejected += len(frame) - len(sent)
        frame = sent
        if frame.is_empty():
            return None
        if not self._spans:
            self._moved_at = self._clock.monotonic()
        for chunk in chunks(frame):
            last = Token(span.end) if chunk.last == len(frame) - 1 else token_of(frame, chunk.last)
            self._append(frame, chunk, last)
        self._resume = None  # what comes is above all of this
        return Token(span.end)

    def _append(self, frame: pl.DataFrame, chunk: Chunk, last: Token) -> None:
        place = chunk.last - len(chunk.lines) + 1
        first = token_of(frame, place)
        channel, waited = self._open_channel(), 0.0
        while not self._accepted(channel, chunk, first, last):
            if waited >= _SATURATED_AT_MOST_S:
                raise self._noted(
                    SnowflakeUnavailable(
                        f"{self._table.name}: the client has taken no rows for {waited:.0f} s: "
                        "it cannot send what it holds"
                    )
                )
            self._clock.sleep(_SATURATED_WAIT_S)
            waited += _SATURATED_WAIT_S
        self._calls.append(_Call(first, last, len(chunk.lines), frame["feed_id"][place]))
        self.rows_sent += len(chunk.lines)
        self.bytes_sent += chunk.bytes

    def _accepted(self, channel: "StreamingIngestChannel", chunk: Chunk, first: Token, last: Token) -> bool:
        """Hand one call to the client; False while it holds too much, of which nothing was taken."""
        try:
            with translated(self._table.name):
                channel.append_rows(chunk.lines, first.text(self._log_id), last.text(self._log_id))
        except SinkError as error:
            code = getattr(error.__cause__, "error_code", None)
            if code is not None and code.value in _SATURATED:
                return False
            self._channels.failed(error)
            raise
        return True

    def settle(self) -> Position | None:
        """Ask how far the channel is; the client itself asks the server once a second."""
        is_abroad = any(sent.token is not None for sent in self._spans)
        if self._channel is None or (not is_abroad and self._clock.monotonic() - self._asked_at < ASK_IDLE_S):
            return self._position
        self._asked_at = self._clock.monotonic()
        with self._guarded():
            status = answered(self._channel.get_channel_status, STATUS_WITHIN_S, "the channel's status")
        if status.status_code != "SUCCESS":
            raise ChannelInvalid(f"{self._table.name}: its channel is in state {status.status_code}")
        self._learn(status)
        return self._position

    def _learn(self, status: "ChannelStatus") -> None:
        token = self._token(status)
        if self._committed is not None and (token is None or token < self._committed):
            raise ChannelInvalid(f"{self._table.name}: its channel went back, from {self._committed} to {token}")
        if token != self._committed:
            self._committed, self._moved_at = token, self._clock.monotonic()
            self._channels.moved()
        if self._untold is None and status.rows_error_count > self._channels.rejected():
            self._tell_of_rejected(status)
        while self._calls and self._committed is not None and self._calls[0].last <= self._committed:
            self._calls.popleft()
        self._pass()
        self._watch()

    def _pass(self) -> None:
        committed = self._committed
        while self._spans and committed is not None:
            end, token = self._spans[0]
            if token is not None and token > committed:
                return
            self._position = max(end, self._position or 0)
            self._spans.popleft()

    def _watch(self) -> None:
        """Notice a channel that says SUCCESS and does not move.

        It is said soon and begun anew late: opening again throws away what was accepted, and a Snowflake that is slow
        for once would never come to an end.
        """
        still = self._clock.monotonic() - self._moved_at
        if not self._spans or still <= self._stuck_seconds:
            self.trouble = ""
            return
        self.trouble = (
            f"{self._table.name}: {sum(call.rows for call in self._calls):,} rows were accepted, the channel says "
            f"SUCCESS, and nothing has been committed for {still // self._stuck_seconds * self._stuck_seconds:.0f} s"
        )
        if still > _STUCK_FOR_GOOD * self._stuck_seconds:
            raise self._noted(
                ChannelStuck(self.trouble, hint="it is opened anew by a new client; nothing is lost, the log waits")
            )

    def _tell_of_earlier(self, status: "ChannelStatus", start: Position) -> None:
        """Tell of rows that were refused before this writer was opened, and that nobody was told of.

        They lie at or above where the first span begins: what is below was durable, and told of, when the position
        came to be. A process may have been killed between telling the log and noting that it did.
        """
        told = self._channels.told(start)
        if told <= status.rows_error_count:  # more is of a channel before this one
            self._channels.note(max(self._channels.rejected(), told))
        if status.rows_error_count > self._channels.rejected():
            self._tell(status, Token(start), self._bound(status), None, "")
        self._untold = None

    def _tell_of_rejected(self, status: "ChannelStatus") -> None:
        """Let the log know of rows that the server refused although we had checked them."""
        bound = self._bound(status)
        suspects = [call for call in self._calls if call.last <= bound]
        if not suspects:  # it names none of our calls: those that are committed, then
            suspects = [call for call in self._calls if self._committed is not None and call.last <= self._committed]
        if suspects:
            rows = sum(call.rows for call in suspects)
            self._tell(status, suspects[0].first, suspects[-1].last, rows, suspects[0].feed_id)
        else:
            self._tell(status, Token(0), bound, None, "")

    def _bound(self, status: "ChannelStatus") -> Token:
        """Give the place at or before which the last refused row lies."""
        committed = self._committed or Token(0)
        text = status.last_error_offset_token_upper_bound
        try:
            return committed if text is None else min(committed, parsed(text, self._log_id, self._table.name))
        except PositionUnknown:
            return committed

    def _tell(self, status: "ChannelStatus", first: Token, last: Token, rows: int | None, feed_id: str) -> None:
        new = status.rows_error_count - self._channels.rejected()
        place = Refused(first=first.text(self._log_id), last=last.text(self._log_id), count=new, rows=rows)
        self._channels.reject(
            Rejection(
                rejected_at=self._clock.now(),
                sink="snowflake",
                table=self._table.name,
                feed_id=feed_id,
                reason=f"{new} rows refused at or before {status.last_error_offset_token_upper_bound}: "
                f"{status.last_error_message}",
                rows=({"first": place.first, "last": place.last, "rows": rows, "refused": new},),
                places=(place,),
                channel=status.channel_name,
                counted=status.rows_error_count,
            )
        )
        self.rows_rejected += new
        self._channels.note(status.rows_error_count)

    def _open_channel(self) -> "StreamingIngestChannel":
        if self._channel is None:
            raise ChannelInvalid(f"{self._table.name}: its channel is closed")
        return self._channel

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turn what the client raises into ours, and let the sink know."""
        try:
            with translated(self._table.name):
                yield
        except SinkError as error:
            self._channels.failed(error)
            raise

    def _noted(self, error: SinkError) -> SinkError:
        self._channels.failed(error)
        return error

    def flush(self) -> None:
        """Send what the client holds."""
        if self._channel is not None:
            with self._guarded():
                self._channel.initiate_flush()

    def close(self) -> None:
        """Let go of the channel, without waiting."""
        channel, self._channel = self._channel, None
        if channel is not None:
            with translated(self._table.name):
                channel.close(wait_for_flush=False)
