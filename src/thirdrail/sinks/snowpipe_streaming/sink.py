"""The Snowpipe Streaming sink: a client per pipe, a channel per table and partition."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from thirdrail.config.settings import SnowflakeConfig
from thirdrail.errors import ChannelInvalid, ChannelOwnedElsewhere, PositionUnknown, SinkError
from thirdrail.model.ports import Clock
from thirdrail.model.records import Position, Rejection
from thirdrail.model.tables import Table
from thirdrail.model.tokens import Token, parsed
from thirdrail.sinks.snowflake.account import Account, channel_name, pipe_name
from thirdrail.sinks.snowflake.notes import ChannelNotes, files_key
from thirdrail.sinks.snowpipe_streaming.client import connected, properties, translated
from thirdrail.sinks.snowpipe_streaming.writer import Channels, Held, StreamingWriter

if TYPE_CHECKING:
    from snowflake.ingest.streaming import StreamingIngestClient

THEFTS, THEFT_WINDOW_S = 3, 600.0
_STOLEN = "STALE_CONTINUATION_TOKEN_SEQUENCER"
_BUFFER_MS = 100
"""Rows wait in the loop for company; in the client only for those of the same call."""

Connect = Callable[[str], "StreamingIngestClient"]
Earlier = Callable[[Table, str, str], Position | None]
"""How far a table (of a log and partition) is by the other method, once all that it was sent is settled."""
ToldOf = Callable[[str, str, Position], int]
"""How many refused rows of a table and channel the log has been told of, by what it holds from a position on."""


class StreamingSink:
    """Tables of one schema. Blocks while it opens; one thread at a time."""

    deferred: ClassVar[bool] = True
    name = "snowflake"

    def __init__(
        self,
        connect: Connect,
        config: SnowflakeConfig,
        clock: Clock,
        notes: ChannelNotes,
        reject: Callable[[Rejection], None],
        earlier: Earlier = lambda *_: None,
        told: ToldOf = lambda *_: 0,
    ) -> None:
        self._earlier, self._told = earlier, told
        self._connect, self._config, self._clock, self._notes, self._reject = connect, config, clock, notes, reject
        self._clients: dict[str, StreamingIngestClient] = {}
        self._thefts: deque[float] = deque(maxlen=THEFTS)
        self._yielded_until = 0.0

    @classmethod
    def of(
        cls,
        config: SnowflakeConfig,
        account: Account,
        clock: Clock,
        notes: ChannelNotes,
        reject: Callable[[Rejection], None],
        earlier: Earlier = lambda *_: None,
        told: ToldOf = lambda *_: 0,
    ) -> "StreamingSink":
        """Give the sink of an account; nothing is asked of it yet."""
        given = properties(account, retry_seconds=config.retry_seconds, buffer_ms=_BUFFER_MS)
        return cls(lambda pipe: connected(account, pipe, given), config, clock, notes, reject, earlier, told)

    def open(self, table: Table, log_id: str, partition: str) -> StreamingWriter:
        """Give the writer of a table.

        Raises:
            PositionUnknown: its channel is gone, or another program's.
            ChannelOwnedElsewhere: another process takes our channels.
            SnowflakeUnavailable, SnowflakeRefused: Snowflake does not answer, or says no.
        """
        self._refuse_while_yielded()
        pipe = pipe_name(table.name, default_pipes=self._config.default_pipes)
        channel = channel_name(self._config.deployment, partition)
        key = f"{pipe}/{channel}"
        earlier = self._earlier(table, log_id, partition)
        held = self._channel(pipe, channel, None)
        if held[1].latest_committed_offset_token is None and key in self._notes and earlier is None:
            raise self._dropped(table, pipe, channel)
        return StreamingWriter(
            table,
            log_id,
            Channels(
                lambda first: self._channel(pipe, channel, first),
                lambda: self._notes.rejected(key),
                lambda since: self._told(table.name, channel, since),
                lambda count: self._notes.note(key, count),
                lambda: self._notes.forget_loaded(files_key(table, partition)),
                self._reject,
                lambda error: self._failed(pipe, error),
            ),
            held,
            self._clock,
            stuck_seconds=self._config.stuck_seconds,
            earlier=earlier,
            skipped=self._notes.skipped(log_id),
        )

    def token(self, table: Table, log_id: str, partition: str) -> Token | None:
        """Give how far a table's channel is, once all that it was sent is committed or discarded; None for no channel.

        For the other method, which goes on there.

        Raises:
            PositionUnknown: the channel is gone.
        """
        pipe = pipe_name(table.name, default_pipes=self._config.default_pipes)
        channel = channel_name(self._config.deployment, partition)
        key = f"{pipe}/{channel}"
        if key not in self._notes:
            return None
        opened, status = self._channel(pipe, channel, None)
        with translated(f"channel {channel} of pipe {pipe}"):
            opened.close(wait_for_flush=False)
        if status.latest_committed_offset_token is None:
            if self._notes.loaded(files_key(table, partition)) is not None:
                return None  # files have filled the table since
            raise self._dropped(table, pipe, channel)
        return parsed(status.latest_committed_offset_token, log_id, table.name)

    @staticmethod
    def _dropped(table: Table, pipe: str, channel: str) -> PositionUnknown:
        return PositionUnknown(
            f"{table.name}: channel {channel} of pipe {pipe} was dropped: nobody knows which rows the table has",
            hint=f"thirdrail snowflake channels forget {pipe}/{channel} starts a new one where the other tables are; "
            "rows of the last seconds before it went may then be there twice",
        )

    def _channel(self, pipe: str, channel: str, first: str | None) -> Held:
        """Open a channel, which takes it from whoever has it; a new one begins at a token."""
        try:
            with translated(f"channel {channel} of pipe {pipe}"):
                held: Held = self._client(pipe).open_channel(channel, first)
        except SinkError as error:
            self._failed(pipe, error)
            raise
        return held

    def _client(self, pipe: str) -> "StreamingIngestClient":
        client = self._clients.get(pipe)
        if client is None or client.is_closed():
            client = self._clients[pipe] = self._connect(pipe)
        return client

    def _failed(self, pipe: str, error: SinkError) -> None:
        """Count a theft; let go of a client unless the error was its channel's alone.

        A client whose token could once not be renewed is invalid for good, or says SUCCESS and sends nothing (seen
        with 1.9.1): only a new one gets on.
        """
        if isinstance(error, ChannelInvalid):
            if _STOLEN in str(error):
                self._stolen(error)
            return
        client = self._clients.pop(pipe, None)
        if client is not None:
            with suppress(SinkError), translated("closing"):
                client.close(wait_for_flush=False)

    def _stolen(self, error: ChannelInvalid) -> None:
        """Note that somebody else opened a channel of ours."""
        self._thefts.append(self._clock.monotonic())
        if len(self._thefts) == THEFTS and self._thefts[-1] - self._thefts[0] <= THEFT_WINDOW_S:
            self._thefts.clear()
            self._yielded_until = self._clock.monotonic() + THEFT_WINDOW_S
            raise self._owned_elsewhere() from error

    def _refuse_while_yielded(self) -> None:
        if self._clock.monotonic() < self._yielded_until:
            raise self._owned_elsewhere()

    def _owned_elsewhere(self) -> ChannelOwnedElsewhere:
        return ChannelOwnedElsewhere(
            f"channels of deployment {self._config.deployment!r} were opened by another process {THEFTS} times "
            f"within {THEFT_WINDOW_S / 60:.0f} minutes; they are left to it",
            hint="stop one of the two, or give each a snowflake.deployment of its own",
        )

    def close(self) -> None:
        """Close every client; nothing is waited for."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            with translated("closing"):
                client.close(wait_for_flush=False)
