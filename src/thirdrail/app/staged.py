"""Staged files in Snowflake and the data folder that fills them: what is loaded, what waits, what was refused."""

import datetime as dt
import os
from pathlib import Path

import msgspec

from thirdrail.app.data_folder import DataFolder
from thirdrail.app.rejecting import rejections_in
from thirdrail.app.writing import NOTES
from thirdrail.capturelog.day_files import PARTITION
from thirdrail.capturelog.spool import Spool
from thirdrail.config.settings import Config
from thirdrail.errors import NoDataYet
from thirdrail.model.ports import Clock
from thirdrail.model.records import Position
from thirdrail.model.tables import FEED_MESSAGES, TABLES, Table
from thirdrail.sinks.snowflake.account import account_of
from thirdrail.sinks.snowflake.notes import ChannelNotes, files_key
from thirdrail.sinks.snowflake.tables_sql import files_pipe
from thirdrail.sinks.snowpipe.clients import Clients
from thirdrail.sinks.snowpipe.names import parsed

_DAY = dt.timedelta(days=1)


class StagedState(msgspec.Struct, kw_only=True):
    """A table's files of one partition. ``loaded`` is a position of the log; ``lag``: records behind its end.

    ``unsettled`` is as in :class:`~thirdrail.sinks.snowflake.channel_states.ChannelState`.
    """

    table: str
    partition: str
    pipe: str
    loaded: Position | None = None
    lag: int | None = None
    waiting: int = 0
    waiting_bytes: int = 0
    oldest_s: float | None = None
    refused: int = 0
    unsettled: list[str] | None = None
    last_error: str = ""


def staged_states(data: Path, config: Config, clock: Clock) -> list[StagedState]:
    """Ask Snowflake of every table's files; blocks for some seconds.

    Raises:
        SnowflakeUnavailable, SnowflakeRefused: nobody answers, or says no.
        MissingLibrary: the clients are not installed.
    """
    clients = Clients(config.snowflake, account_of(config.snowflake, os.environ))
    try:
        found = [_of(clients, table, clock) for table in TABLES]
    finally:
        clients.close()
    try:
        folder = DataFolder.existing(data)
    except NoDataYet:
        return found
    notes = ChannelNotes(folder.path / NOTES)
    log = Spool.open(folder.spool, clock, writable=False)
    passed = notes.loaded(files_key(FEED_MESSAGES, PARTITION)) or 0
    try:
        open_ones = rejections_in(log).values()
        for table, state in zip(TABLES, found, strict=True):
            state.unsettled = [f"{e.quarantine_id}: {e.where}" for e in open_ones if e.table == state.table]
            state.loaded = notes.loaded(files_key(table, PARTITION))
            if state.loaded is not None:
                state.lag = log.count(PARTITION, max(state.loaded, passed))
    finally:
        log.close()
    return found


def _of(clients: Clients, table: Table, clock: Clock) -> StagedState:
    stage, pipe = clients.of(table)
    now = dt.datetime.fromtimestamp(clock.now() / 1e6, dt.UTC)
    staged = [each for each in stage.files() if (name := parsed(each.path)) and name.partition == PARTITION]
    fates = pipe.history(min([each.modified for each in staged] + [now - _DAY]))
    waiting = [each for each in staged if each.path not in fates]
    refused = [fates[each.path] for each in staged if each.path in fates and fates[each.path].is_refused]
    return StagedState(
        table=table.name,
        partition=PARTITION,
        pipe=files_pipe(table),
        waiting=len(waiting),
        waiting_bytes=sum(each.size for each in waiting),
        oldest_s=max(((now - each.modified).total_seconds() for each in waiting), default=None),
        refused=len(refused),
        last_error=refused[-1].error if refused else "",
    )
