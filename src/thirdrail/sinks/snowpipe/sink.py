"""The Snowpipe sink (v1): a stage for all tables, a pipe for each."""

from collections.abc import Callable
from typing import ClassVar

from thirdrail.config.settings import SnowflakeConfig
from thirdrail.errors import HandOverPending
from thirdrail.model.ports import Clock
from thirdrail.model.records import Position
from thirdrail.model.tables import FEED_MESSAGES, Table
from thirdrail.model.tokens import Token
from thirdrail.sinks.snowflake.account import Account
from thirdrail.sinks.snowflake.fit import Reject
from thirdrail.sinks.snowflake.notes import ChannelNotes, files_key
from thirdrail.sinks.snowpipe.clients import Clients
from thirdrail.sinks.snowpipe.ports import Loading, Stage
from thirdrail.sinks.snowpipe.writer import Books, FilesWriter, Limits

Place = Callable[[Table], tuple[Stage, Loading]]
Earlier = Callable[[Table, str, str], Token | None]
"""How far a table (of a log and partition) is by channels, once all that they were sent is settled."""
Settled = Callable[[str, str, Position], bool]
"""Whether a person has settled that a table's file was refused, by what the log holds from a position on."""

_LAST_S = 0.5


class SnowpipeSink:
    """Tables of one schema. Blocks while it opens; one thread at a time."""

    deferred: ClassVar[bool] = True
    name = "snowflake"

    def __init__(  # noqa: PLR0913 - all that it stands between
        self,
        place: Place,
        config: SnowflakeConfig,
        clock: Clock,
        notes: ChannelNotes,
        reject: Reject,
        *,
        earlier: Earlier = lambda *_: None,
        settled: Settled = lambda *_: False,
        log_end: Position | None = None,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        """``log_end`` is where the log ended when we began: nothing beyond it can be staged already."""
        self._place, self._config, self._clock, self._notes, self._reject = place, config, clock, notes, reject
        self._is_settled = settled
        self._earlier, self._log_end, self._close = earlier, log_end, close
        self._taken_over: set[str] = set()
        """Tables that we have opened: what is staged there since may well lie beyond where the log ended."""

    @classmethod
    def of(
        cls,
        config: SnowflakeConfig,
        account: Account,
        clock: Clock,
        notes: ChannelNotes,
        reject: Reject,
        *,
        earlier: Earlier = lambda *_: None,
        settled: Settled = lambda *_: False,
        log_end: Position | None = None,
    ) -> "SnowpipeSink":
        """Give the sink of an account; nothing is asked of it yet."""
        clients = Clients(config, account)
        return cls(
            clients.of,
            config,
            clock,
            notes,
            reject,
            earlier=earlier,
            settled=settled,
            log_end=log_end,
            close=clients.close,
        )

    def open(self, table: Table, log_id: str, partition: str) -> FilesWriter:
        """Give the writer of a table, which takes over what is staged.

        Raises:
            StagedFileRefused, PositionUnknown, LogBehindDestination: see :class:`FilesWriter`.
            SnowflakeUnavailable, SnowflakeRefused: Snowflake does not answer, or says no.
        """
        writer = self._opened(table, log_id, partition, self._earlier(table, log_id, partition))
        self._taken_over.add(files_key(table, partition))
        return writer

    def settled(self, table: Table, log_id: str, partition: str) -> Position | None:
        """Give how far a table is loaded from files, for the method that goes on there; None for one that never was.

        Raises:
            HandOverPending: some are submitted and not loaded yet: ask again.
        """
        if self._notes.loaded(files_key(table, partition)) is None:
            return None
        writer = self._opened(table, log_id, partition, None)
        if not writer.is_settled:
            raise HandOverPending(
                f"{table.name}: files that were submitted before snowflake.ingestion_method was changed are not loaded "
                f"yet, from offset {writer.position} on",
                hint="channels go on when they are; nothing is to be done",
            )
        return writer.position

    def _opened(self, table: Table, log_id: str, partition: str, token: Token | None) -> FilesWriter:
        key, config = files_key(table, partition), self._config
        # These come when other tables' files are loaded, and are as many: they have waited already.
        seconds = min(_LAST_S, config.batch_seconds) if table is FEED_MESSAGES else config.batch_seconds
        return FilesWriter(
            table,
            (log_id, partition),
            self._place(table),
            Books(
                self._notes.loaded(key),
                lambda position: self._notes.note_loaded(key, position),
                self._reject,
                self._notes.refused(key),
                lambda files: self._notes.note_refused(key, files),
                lambda file, since: self._is_settled(table.name, file, since),
                token,
                None if key in self._taken_over else self._log_end,
                self._notes.skipped(log_id),
            ),
            self._clock,
            limits=Limits(config.batch_rows, config.batch_bytes, seconds),
            stuck_seconds=config.stuck_seconds,
        )

    def close(self) -> None:
        """End the session."""
        self._close()
