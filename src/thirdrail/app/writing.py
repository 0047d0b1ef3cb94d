"""A data folder opened for writing: its log, its tables, and the pipeline between them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError

from thirdrail.app.data_folder import LIVE, DataFolder, check_disk
from thirdrail.capturelog.spool import PARTITION, Spool
from thirdrail.config import Config, known_feeds
from thirdrail.errors import PositionUnknown
from thirdrail.model.feeds import BY_ID, Feed
from thirdrail.model.ports import Clock
from thirdrail.model.records import FeedSettings, Record, Settings
from thirdrail.model.tables import NAMESPACE, TABLES
from thirdrail.observe.clock import SystemClock
from thirdrail.pipeline.loop import Limits, Pipeline, StepResult, give_memory_back
from thirdrail.pipeline.workers import Team
from thirdrail.sinks.iceberg.catalog import Address, open_catalog, settle
from thirdrail.sinks.iceberg.positions import current_positions
from thirdrail.sinks.iceberg.sink import IcebergSink

PIPELINE_VERSION = 2
"""Rises when the same bytes give other rows."""


def configured_feeds(config: Config) -> dict[str, FeedSettings]:
    """Give what decides the rows of the feeds that are not as declared."""

    def facts(feed: Feed) -> FeedSettings:
        return FeedSettings(family=feed.family, format=feed.format, timezone=feed.timezone)

    known = known_feeds(config)
    return {name: facts(feed) for name, feed in known.items() if name not in BY_ID or facts(feed) != facts(BY_ID[name])}


def never() -> bool:
    """Nobody asks to stop."""
    return False


@dataclass(slots=True)
class Writing:
    """A data folder opened for writing: the log with its lock, the catalog, the pipeline."""

    folder: DataFolder
    config: Config
    log: Spool
    catalog: Catalog
    pipeline: Pipeline

    def append(self, records: list[tuple[Record, bytes | None]]) -> list[int]:
        """Append to the one partition."""
        return self.log.append(PARTITION, records)

    def note_settings(self, history: str | None = None) -> None:
        """Append a settings record when what decides rows is not what was last recorded."""
        wanted = Settings(
            history=history or self.config.history,
            severities={feed: dict(actions) for feed, actions in self.config.severities.items()},
            pipeline_version=PIPELINE_VERSION,
            feeds=configured_feeds(self.config),
        )
        if self.log.settings_before(PARTITION, self.log.end(PARTITION)) != wanted:
            self.append([(wanted, None)])

    def drain(self, totals: "Totals", is_stopped: Callable[[], bool] = never) -> None:
        """Carry everything that the log holds into the tables, or until asked to stop between two commits."""
        while not is_stopped() and self.carry(totals) is not None:
            pass

    def carry(self, totals: "Totals") -> StepResult | None:
        """Carry one batch into the tables; None when the log held nothing new."""
        result = self.pipeline.step()
        if result is None:
            return None
        totals.captures += result.captures
        totals.decoded_rows += result.decoded
        for table, rows in result.written.items():
            totals.written[table] = totals.written.get(table, 0) + rows
        return result

    def reopen(self) -> None:
        """Ask the tables anew how far they are, and go on from there.

        Raises:
            LogBehindDestination, CapturesGone, PositionUnknown: log and tables disagree.
        """
        self.pipeline.open()

    def expire(self, now: int) -> None:
        """Delete captures that are older than wanted and that nobody needs."""
        spool = self.config.spool
        self.log.expire(now, days=spool.retention_days, size=int(spool.retention_gb * 1e9))


@dataclass(slots=True)
class Totals:
    """What a run carried: captures and rows, and files that gave none of their own.

    ``skipped`` bodies are in the log already, ``no_message`` files became captures without rows, ``unreadable``
    files were left out.
    """

    captures: int = 0
    skipped: int = 0
    no_message: int = 0
    unreadable: int = 0
    decoded_rows: int = 0
    written: dict[str, int] = field(default_factory=dict)


@contextmanager
def writing(
    path: Path, config: Config, clock: Clock | None = None, kinds: tuple[str, ...] = (LIVE,)
) -> Iterator[Writing]:
    """Open a data folder for writing, made of the first kind, check that log and tables agree, and close it in order.

    Raises:
        LogBusy: another process writes there.
        LogBehindDestination, CapturesGone, PositionUnknown: log and tables disagree.
        DiskFull: below the reserve.
    """
    give_memory_back()
    clock = clock or SystemClock()
    folder = DataFolder.for_writing(path, *kinds)
    settle(folder.path, address(config))
    check_disk(folder, config)
    log = Spool.open(folder.spool, clock, writable=True)
    pipeline: Pipeline | None = None
    try:
        catalog = open_catalog(folder.path, create=True)
        _refuse_another_log(folder, catalog, log.log_id)
        limits = Limits(rows=config.batch_rows, bytes=config.batch_bytes, seconds=config.commit_interval_seconds)
        team = None
        if config.workers > 1:
            open_log = partial(Spool.open, folder.spool, SystemClock(), writable=False)
            team = Team(config.workers, open_log, partial(_open_sink, folder.path))
        pipeline = Pipeline(log, IcebergSink(catalog, clock), PARTITION, clock, limits=limits, team=team)
        pipeline.open()
        work = Writing(folder, config, log, catalog, pipeline)
        yield work
        pipeline.close()
        work.expire(clock.now())
    finally:
        if pipeline is not None:
            pipeline.forget()
        log.close()


def address(config: Config) -> Address | None:
    """Give where the configuration wants tables; None for SQLite in the data folder."""
    wanted = config.catalog
    if wanted.type == "sqlite":
        return None
    return Address(type=wanted.type, uri=wanted.uri, warehouse=wanted.warehouse)


def _open_sink(folder: Path) -> IcebergSink:
    """Open the tables in a worker's process."""
    return IcebergSink(open_catalog(folder, create=False), SystemClock())


def _refuse_another_log(folder: DataFolder, catalog: Catalog, log_id: str) -> None:
    """Refuse tables that were filled from another log: this one cannot say what of its captures they hold.

    Raises:
        PositionUnknown: naming the table and the log that it knows.
    """
    for table in TABLES:
        try:
            found = current_positions(catalog.load_table((NAMESPACE, table.name)).metadata)
        except NoSuchTableError:
            continue
        if found and (log_id, PARTITION) not in found:
            known = ", ".join(sorted(name for name, _ in found))
            raise PositionUnknown(
                f"{table.name} was filled from capture log {known}, but {folder.spool} holds log {log_id}: "
                "the log was lost, or belongs to other tables",
                hint="put the old log back, or let this one go on beside the old rows: thirdrail captures skip",
            )
