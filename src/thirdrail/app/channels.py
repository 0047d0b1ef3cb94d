"""Channels in Snowflake and the data folder that fills them: how far each is behind, and what may be done to them."""

import os
from pathlib import Path

import msgspec

from thirdrail.app.data_folder import DataFolder
from thirdrail.app.rejecting import rejections_in
from thirdrail.app.status import writer_of
from thirdrail.app.writing import NOTES
from thirdrail.capturelog.day_files import PARTITION
from thirdrail.capturelog.spool import Spool
from thirdrail.config.settings import Config
from thirdrail.errors import ChannelInUse, NoDataYet, NoInput, UsageError
from thirdrail.model.ports import Clock
from thirdrail.model.tables import FEED_MESSAGES, TABLES
from thirdrail.sinks.snowflake.account import account_of, pipe_name
from thirdrail.sinks.snowflake.channel_states import (
    ChannelState,
    Connect,
    Wanted,
    drop,
    refuse_if_used,
    reopen,
    states,
)
from thirdrail.sinks.snowflake.notes import ChannelNotes
from thirdrail.sinks.snowpipe_streaming.client import connected, properties

_RETRY_S = 10.0


class Restored(msgspec.Struct):
    """What became of one channel: the token that it had, and the one that it has now."""

    channel: str
    was: str
    now: str | None
    is_done: bool


class Channels:
    """The channels of one configuration. Every call asks Snowflake, and blocks for some seconds."""

    def __init__(self, data: Path, config: Config, clock: Clock, *, deployment: str = "") -> None:
        self._clock = clock
        self._folder = _folder(data)
        account = account_of(config.snowflake, os.environ)
        given = properties(account, retry_seconds=_RETRY_S, buffer_ms=100)
        self._connect: Connect = lambda pipe: connected(account, pipe, given)
        self._ours = config.snowflake.deployment
        self._wanted = Wanted(deployment or self._ours, (PARTITION,), config.snowflake.default_pipes)

    def states(self) -> list[ChannelState]:
        """Give every table's channel, with its lag behind the log when the data folder is here.

        A quiet table is as far as ``feed_messages``, which is written last.
        """
        found = states(self._connect, self._wanted)
        if self._folder is None or self._wanted.deployment != self._ours:
            return found
        log = Spool.open(self._folder.spool, self._clock, writable=False)
        try:
            mine = [each for each in found if (each.token or "").startswith(f"{log.log_id}/")]
            passed = max((each.position or 0 for each in mine if each.table == FEED_MESSAGES.name), default=0)
            open_ones = rejections_in(log).values()
            for state in found:
                state.unsettled = [f"{e.quarantine_id}: {e.where}" for e in open_ones if e.table == state.table]
            for state in mine:
                state.lag = log.count(state.partition, max(state.position or 0, passed))
        finally:
            log.close()
        return found

    def drop(self, key: str) -> ChannelState:
        """Drop a channel that nobody uses; give how it was.

        Raises:
            ChannelInUse: somebody writes it, or its token is needed.
            UsageError: there is none of this name.
        """
        self._refuse_while_running()
        state = self._existing(key)
        if state is None:
            raise UsageError(f"there is no channel {key}", hint="thirdrail snowflake channels list names them")
        refuse_if_used(self._connect, self._wanted, state, self._clock)
        drop(self._connect, state)
        if self._folder is not None:
            ChannelNotes(self._folder.path / NOTES).forget(key)
        return state

    def forget(self, key: str) -> None:
        """Let the data folder forget a channel that is gone, so that a new one may be begun.

        Raises:
            ChannelInUse: it is there, or a process holds the data folder.
            UsageError: the folder knows of none of this name.
        """
        self._refuse_while_running()
        notes = None if self._folder is None else ChannelNotes(self._folder.path / NOTES)
        if notes is None or key not in notes:
            raise UsageError(f"the data folder knows of no channel {key}")
        if self._existing(key) is not None:
            raise ChannelInUse(f"{key} is there; only a channel that is gone can be forgotten")
        notes.forget(key)

    def restore(self, file: Path) -> list[Restored]:
        """Open each channel that has lost its token with the one that ``snowflake status --json`` wrote down.

        A channel that has a token keeps it.

        Raises:
            ChannelInUse: a process holds the data folder.
            NoInput: the file is no such list.
        """
        self._refuse_while_running()
        before = _read_states(file)
        tables = [state.table for state in before if state.token is not None]
        now = {each.key: each for each in states(self._connect, self._wanted, tables)}
        found = []
        for state in before:
            if state.token is None:
                continue
            there = now.get(state.key)
            token = there.token if there is not None else None
            if token is None:
                token = reopen(self._connect, state)
            found.append(Restored(state.key, state.token, token, token == state.token))
        return found

    def _existing(self, key: str) -> ChannelState | None:
        """Give the channel of that name; None when there is none."""
        pipe = key.partition("/")[0].upper()
        default = self._wanted.default_pipes
        tables = [table.name for table in TABLES if pipe_name(table.name, default_pipes=default) == pipe]
        return next(
            (each for each in states(self._connect, self._wanted, tables) if each.key == key and each.exists), None
        )

    def _refuse_while_running(self) -> None:
        writer = None if self._folder is None else writer_of(self._folder.spool)
        if writer is not None:
            raise ChannelInUse(
                f"{writer} fills {self._folder.path if self._folder else ''} and writes these channels",
                hint="stop it first",
            )


def _folder(data: Path) -> DataFolder | None:
    try:
        return DataFolder.existing(data)
    except NoDataYet:
        return None


def _read_states(file: Path) -> list[ChannelState]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[ChannelState])
    except FileNotFoundError:
        raise NoInput(f"there is no file {file}") from None
    except msgspec.MsgspecError as error:
        raise NoInput(f"{file} is not what `thirdrail snowflake status --json` prints: {error}") from error
