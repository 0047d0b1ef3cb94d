"""A data folder opened for writing: its log, its tables, and the pipeline between them."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError

from thirdrail.app.data_folder import LIVE, DataFolder, check_disk
from thirdrail.app.rejecting import is_settled, tell, told_of
from thirdrail.app.totals import Totals
from thirdrail.capturelog.day_files import PARTITION
from thirdrail.capturelog.spool import Spool
from thirdrail.config.feeds import known_feeds
from thirdrail.config.settings import Config
from thirdrail.errors import PositionUnknown
from thirdrail.model.feeds import BY_ID, Feed
from thirdrail.model.ports import Clock
from thirdrail.model.records import FeedSettings, Record, Settings
from thirdrail.model.tables import NAMESPACE, TABLES
from thirdrail.observe.clock import SystemClock
from thirdrail.pipeline.loop import Limits, Pipeline, give_memory_back
from thirdrail.pipeline.workers import Team
from thirdrail.sinks.iceberg.catalog import Address, open_catalog, settle
from thirdrail.sinks.iceberg.positions import current_positions
from thirdrail.sinks.iceberg.sink import IcebergSink
from thirdrail.sinks.snowflake.account import account_of
from thirdrail.sinks.snowflake.arrivals import FOLDER as ARRIVALS
from thirdrail.sinks.snowflake.arrivals import Arrivals
from thirdrail.sinks.snowflake.notes import ChannelNotes
from thirdrail.sinks.snowpipe.sink import SnowpipeSink
from thirdrail.sinks.snowpipe_streaming.sink import StreamingSink

ICEBERG, SNOWFLAKE = IcebergSink.name, StreamingSink.name
NOTES = "channels.json"
_SNOWPIPE_STEP_S = 1.0
_LOOK_AGAIN_S = 0.1

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
    pipelines: tuple[Pipeline, ...]
    clock: Clock = field(default_factory=SystemClock)
    left: list[Pipeline] = field(default_factory=list)
    """Whose calls had not come back; their places were taken."""
    _notes: ChannelNotes | None = None

    def pipeline(self, name: str) -> Pipeline:
        """Give a new pipeline into a sink; it asks the destination how far it is when it is opened, or steps first."""
        return _into_iceberg(self) if name == ICEBERG else _into_snowflake(self)

    def notes(self, place: str) -> ChannelNotes:
        """Give what is remembered of Snowflake, the same for a pipeline and the one that takes its place."""
        if self._notes is None:
            self._notes = ChannelNotes(self.folder.path / NOTES, place)
        return self._notes

    def replace(self, number: int, pipeline: Pipeline) -> None:
        """Put a new pipeline in place of one whose call does not come back.

        What that one may still do adds nothing: destinations compare positions, and channels belong to who opened
        them last. Its workers end.
        """
        stuck = self.pipelines[number]
        self.left.append(stuck)
        self.pipelines = (*self.pipelines[:number], pipeline, *self.pipelines[number + 1 :])
        stuck.forget()

    def interval_seconds(self, pipeline: Pipeline) -> float:
        """Give how long records wait for company on their way into a pipeline's sink."""
        if pipeline.reader != SNOWFLAKE:
            return self.config.commit_interval_seconds
        wanted = self.config.snowflake
        if wanted.ingestion_method == "snowpipe":
            return min(_SNOWPIPE_STEP_S, wanted.batch_seconds)  # the writer gathers by itself
        return wanted.flush_seconds

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

    def drain(self, totals: Totals, is_stopped: Callable[[], bool] = never) -> None:
        """Carry everything that the log holds into the sinks, or until asked to stop between two commits.

        Each batch counts once, as the first sink's.
        """
        for pipeline in self.pipelines:
            counted = totals if pipeline is self.pipelines[0] else Totals()
            while not is_stopped() and carry(pipeline, counted):
                pass

    def expire(self, now: int) -> None:
        """Delete captures that are older than wanted and that nobody needs."""
        spool = self.config.spool
        self.log.expire(now, days=spool.retention_days, size=int(spool.retention_gb * 1e9))


def carry(pipeline: Pipeline, totals: Totals) -> bool:
    """Carry one batch, or wait a moment for what is on its way; give whether there is more to do."""
    result = pipeline.step()
    if result is not None:
        totals.add(result)
    elif pipeline.settled < pipeline.position:
        pipeline.flush()
        time.sleep(_LOOK_AGAIN_S)
    return result is not None or pipeline.settled < pipeline.position


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
    check_disk(folder, config)
    log = Spool.open(folder.spool, clock, writable=True)
    work = Writing(folder, config, log, (), clock)
    try:
        for name in config.sinks:
            pipeline = work.pipeline(name)
            work.pipelines += (pipeline,)
            if name == ICEBERG:
                pipeline.open()  # Snowflake's opens by itself: Iceberg does not wait for a network
        yield work
        for pipeline in work.pipelines:
            pipeline.close()
        work.expire(clock.now())
    finally:
        for pipeline in (*work.pipelines, *work.left):
            pipeline.forget()
        log.close()


def _into_iceberg(work: Writing) -> Pipeline:
    """Give the pipeline into Iceberg."""
    folder, config, log, clock = work.folder, work.config, work.log, work.clock
    settle(folder.path, address(config))
    catalog = open_catalog(folder.path, create=True)
    _refuse_another_log(folder, catalog, log.log_id)
    limits = Limits(rows=config.batch_rows, bytes=config.batch_bytes, seconds=config.commit_interval_seconds)
    team = None
    if config.workers > 1:
        open_log = partial(Spool.open, folder.spool, SystemClock(), writable=False)
        team = Team(config.workers, open_log, partial(_open_sink, folder.path))
    return Pipeline(log, IcebergSink(catalog, clock), PARTITION, clock, limits=limits, team=team)


def _into_snowflake(work: Writing) -> Pipeline:
    """Give the pipeline into Snowflake.

    Raises:
        ConfigError: what is missing, or wrong.
        PositionUnknown: this folder has filled the tables of another account, database or schema.
        MissingLibrary: the clients are not installed.
    """
    config, log, clock = work.config, work.log, work.clock
    wanted = config.snowflake
    account, reject = account_of(wanted, os.environ), partial(tell, log)
    notes = work.notes(account.place)
    told = Arrivals(work.folder.path / ARRIVALS, wanted.ingestion_method, log.log_id, clock)
    told.begin()
    end, settled = log.end(PARTITION), partial(is_settled, log)
    if wanted.ingestion_method == "snowpipe":
        channels = StreamingSink.of(wanted, account, clock, notes, reject)
        files = SnowpipeSink.of(
            wanted, account, clock, notes, reject, earlier=channels.token, settled=settled, log_end=end
        )
        limits = Limits(rows=wanted.batch_rows, bytes=config.batch_bytes, seconds=wanted.batch_seconds)
        return Pipeline(log, files, PARTITION, clock, limits=limits, passed=told.note)
    files = SnowpipeSink.of(wanted, account, clock, notes, reject, settled=settled, log_end=end)
    channels = StreamingSink.of(wanted, account, clock, notes, reject, files.settled, partial(told_of, log))
    limits = Limits(rows=config.batch_rows, bytes=config.batch_bytes, seconds=wanted.flush_seconds)
    return Pipeline(log, channels, PARTITION, clock, limits=limits, passed=told.note)


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
