"""How the channels of our tables are, asked of Snowflake through the official client."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from thirdrail.errors import ChannelInUse, SnowflakeRefused
from thirdrail.model.ports import Clock
from thirdrail.model.tables import FEED_MESSAGES, TABLES
from thirdrail.sinks.snowflake.account import channel_name, pipe_name
from thirdrail.sinks.snowpipe_streaming.client import translated

if TYPE_CHECKING:
    from snowflake.ingest.streaming import ChannelStatus, StreamingIngestClient

WATCHED_S = 5.0
"""A channel is watched for so long before it is dropped. An idle one does not move: the append lock tells more."""

_AT_ONCE = 4
NO_CHANNEL = "ERR_CHANNEL_DOES_NOT_EXIST_OR_NOT_AUTHORIZED"
"""What the client says of a channel that there is not."""

NO_PIPE = "no pipe, or none for this role"
Connect = Callable[[str], "StreamingIngestClient"]


class ChannelState(msgspec.Struct, kw_only=True):
    """A table's channel for one partition. ``position`` is its token's offset; ``lag``: records behind the log.

    ``unsettled`` names rejections of its table that are not settled, with where the rows lie; None where the data
    folder is not here to tell. ``rows_refused`` is the channel's own count, which never falls.
    """

    table: str
    partition: str
    pipe: str
    channel: str
    status: str
    token: str | None = None
    position: int | None = None
    lag: int | None = None
    rows_inserted: int = 0
    rows_refused: int = 0
    unsettled: list[str] | None = None
    last_error: str = ""
    processing_s: float | None = None

    @property
    def exists(self) -> bool:
        """Whether there is such a channel."""
        return self.status not in (NO_CHANNEL, NO_PIPE)

    @property
    def key(self) -> str:
        """Its name among all pipes."""
        return f"{self.pipe}/{self.channel}"


class Wanted(NamedTuple):
    """Which channels: of a deployment, of partitions of the log."""

    deployment: str
    partitions: tuple[str, ...]
    default_pipes: bool = False


def states(connect: Connect, wanted: Wanted, tables: Iterable[str] | None = None) -> list[ChannelState]:
    """Give the state of every table's channels, also of those that do not exist. Blocks for some seconds.

    Raises:
        SnowflakeUnavailable: nobody answers.
    """
    names = tuple(dict.fromkeys((table.name for table in TABLES) if tables is None else tables))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda name: _of_table(connect, name, wanted), names)
        return [state for each in found for state in each]


def _of_table(connect: Connect, table: str, wanted: Wanted) -> list[ChannelState]:
    pipe = pipe_name(table, default_pipes=wanted.default_pipes)
    channels = {channel_name(wanted.deployment, partition): partition for partition in wanted.partitions}
    try:
        client = connect(pipe)
    except SnowflakeRefused:
        return [
            ChannelState(table=table, partition=partition, pipe=pipe, channel=channel, status=NO_PIPE)
            for channel, partition in channels.items()
        ]
    try:
        with translated(f"channels of pipe {pipe}"):
            told = client.get_channel_statuses(list(channels))
        return [_state(table, channels[name], pipe, name, told[name]) for name in channels]
    finally:
        with translated("closing"):
            client.close(wait_for_flush=False)


def _state(table: str, partition: str, pipe: str, channel: str, told: "ChannelStatus") -> ChannelState:
    latency = told.server_avg_processing_latency
    return ChannelState(
        table=table,
        partition=partition,
        pipe=pipe,
        channel=channel,
        status=told.status_code,
        token=told.latest_committed_offset_token,
        position=_position(told.latest_committed_offset_token),
        rows_inserted=told.rows_inserted_count or 0,
        rows_refused=told.rows_error_count or 0,
        last_error=told.last_error_message or "",
        processing_s=None if latency is None else latency.total_seconds(),
    )


def _position(token: str | None) -> int | None:
    """Give the offset that a token of ours names; None for another program's."""
    digits = (token or "").partition("/")[2].partition("+")[0]
    return int(digits) if digits.isdigit() else None


def refuse_if_used(connect: Connect, wanted: Wanted, state: ChannelState, clock: Clock) -> None:
    """Refuse to drop a channel that somebody writes, or whose token is the only one to tell what its table holds.

    Watches the channel for some seconds.

    Raises:
        ChannelInUse: saying which of the two.
    """
    clock.sleep(WATCHED_S)
    later = next(each for each in states(connect, wanted, [state.table]) if each.channel == state.channel)
    if (later.token, later.rows_inserted) != (state.token, state.rows_inserted):
        raise ChannelInUse(
            f"{state.key} went from {state.token} to {later.token} within {WATCHED_S:.0f} s: somebody writes it",
            hint="stop that process first",
        )
    if later.rows_inserted and not _is_covered(connect, wanted, later):
        raise ChannelInUse(
            f"{state.key} has put {later.rows_inserted:,} rows into {state.table}, and its token {later.token} alone "
            "tells which: dropped, nobody could go on without losing rows or loading them twice",
            hint="empty the table first, or keep the channel",
        )


def _is_covered(connect: Connect, wanted: Wanted, state: ChannelState) -> bool:
    """Whether ``feed_messages``, which is written last, has passed everything that the channel has."""
    if state.table == FEED_MESSAGES.name:
        return False
    last = next(each for each in states(connect, wanted, [FEED_MESSAGES.name]) if each.partition == state.partition)
    whole = last.token is not None and "+" not in last.token
    return whole and last.position is not None and state.position is not None and last.position >= state.position


def drop(connect: Connect, state: ChannelState) -> None:
    """Drop a channel; whether it may be dropped was asked before."""
    client = connect(state.pipe)
    with translated(state.key):
        client.drop_channel(state.channel)
        client.close(wait_for_flush=False)


def reopen(connect: Connect, state: ChannelState) -> str | None:
    """Open a channel with the token that it had; give the token that it then has (its own, if it had one)."""
    client = connect(state.pipe)
    with translated(state.key):
        channel, told = client.open_channel(state.channel, state.token)
        token = told.latest_committed_offset_token
        channel.close(wait_for_flush=False)
        client.close(wait_for_flush=False)
    return str(token) if token is not None else None
