"""The promised figures of a data folder, read beside whoever writes it."""

import os
from datetime import UTC, datetime

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from thirdrail.app.data_folder import DataFolder
from thirdrail.app.looking import Progress, pinned
from thirdrail.app.recomputing import recomputed_messages
from thirdrail.app.writing import SNOWFLAKE
from thirdrail.config.feeds import known_feeds, why_left_out
from thirdrail.config.settings import Config
from thirdrail.errors import NoDataYet
from thirdrail.model.ports import Clock
from thirdrail.model.tables import COMMITS, FEED_MESSAGES
from thirdrail.query.report import (
    COLUMNS,
    COMMIT_COLUMNS,
    ICEBERG,
    MINUTE_US,
    STREAMED_WITHIN_S,
    WITHIN_S,
    Place,
    PromiseReport,
    Window,
    reported,
)
from thirdrail.sinks.iceberg.chronicle import snapshots_of
from thirdrail.sinks.iceberg.reader import PinnedTable
from thirdrail.sinks.snowflake.arrivals import FOLDER as ARRIVALS
from thirdrail.sinks.snowflake.arrivals import Arrival, arrivals, recorded_from

LATEST_US = MINUTE_US
"""The newest minute is left out: its rows may still come in time."""

_BEFORE_US = 10 * MINUTE_US
"""A feed that is asked seldom may have been asked so long before the first minute."""
_WEEK_US = 7 * 24 * 60 * MINUTE_US
_ENDLESS = 1 << 62


def _nobody(_done: int, _total: int) -> None:
    """Nobody looks on."""


def report(folder: DataFolder, config: Config, clock: Clock, since: int, progress: Progress = _nobody) -> PromiseReport:
    """Give the promised figures from an instant (µs UTC) on, or from the first poll if that is later.

    Judged is every feed that was polled within the week before or since, unless the configuration leaves it out now.
    Where Snowflake is the only sink, what it was sent is computed again from the log, and ``progress`` told.

    Raises:
        NoDataYet: nothing was polled in that time, or there are neither tables nor a Snowflake that was fed.
        LogDamaged: there are no tables, and the log cannot be read.
    """
    until = (clock.now() - LATEST_US) // MINUTE_US * MINUTE_US
    sinks: dict[Place, pl.DataFrame] = {}
    messages = _tables(folder, config)
    if messages is None:
        rows = recomputed_messages(folder, list(COLUMNS), since - _WEEK_US, since - _BEFORE_US, progress)
    else:
        rows = _rows(messages, since - _WEEK_US)
        sinks[ICEBERG] = _commits(folder, messages, since)
    live = rows.filter(pl.col("origin") == "live")
    if live.is_empty():
        raise NoDataYet("no feed was polled in that time", hint="thirdrail run, or a longer --since")
    first = int(live["fetched_at"].min().timestamp()) * 1_000_000  # type: ignore[union-attr]
    since = max(since, first) // MINUTE_US * MINUTE_US
    if until <= since:
        raise NoDataYet("the first minute is not over yet", hint="ask again in two minutes")
    seen = set(live["feed_id"])
    shown = set(live.filter(pl.col("fetched_at") >= datetime.fromtimestamp(since / 1e6, UTC))["feed_id"])
    intervals = {
        name: feed.interval_seconds
        for name, feed in known_feeds(config).items()
        if name in shown or (name in seen and not why_left_out(feed, config, os.environ))
    }
    usual = config.severities.get("*", {})
    severities = {feed: {**usual, **config.severities.get(feed, {})} for feed in intervals}
    sinks |= _elsewhere(folder, config, clock, since, is_alone=messages is None)
    return reported(rows, sinks, Window(since, until, intervals, severities))


def _tables(folder: DataFolder, config: Config) -> PinnedTable | None:
    """Give ``feed_messages``; None where they are in Snowflake alone."""
    is_fed = any((folder.path / ARRIVALS).glob("*"))
    if is_fed and ICEBERG.sink not in config.sinks:
        return None
    try:
        return pinned(folder, FEED_MESSAGES)
    except NoDataYet:
        if is_fed:
            return None
        raise


def _rows(messages: PinnedTable, since: int) -> pl.DataFrame:
    """Give the columns of a report, of polls since an instant."""
    return pl.DataFrame(_since(messages, list(COLUMNS), since))


def _since(table: PinnedTable, columns: list[str], since: int) -> pa.Table:
    """Give the rows of an instant (µs UTC) and later; files that can hold none are not opened."""
    wanted = pc.field(table.table.day) >= pa.scalar(since, pa.timestamp("us", tz="UTC"))
    if table.deletes:
        return table.whole().filter(wanted).select(columns)
    return table.dataset(table.files).to_table(columns=columns, filter=wanted)


def _elsewhere(
    folder: DataFolder, config: Config, clock: Clock, since: int, *, is_alone: bool
) -> dict[Place, pl.DataFrame]:
    """Give when rows came into Snowflake, if it is wanted or was fed; what has not, is as old as it is by now."""
    known = list(arrivals(folder.path / ARRIVALS, since))
    is_configured = SNOWFLAKE in config.sinks
    method = config.snowflake.ingestion_method if is_configured or not known else known[-1].method
    is_wanted = is_configured or is_alone
    if is_wanted and known:
        known.append(Arrival(clock.now(), method, known[-1].capture_log, _ENDLESS))
    used = {each.method for each in known if each.committed_at >= since}
    if is_wanted:
        used.add(method)
    if not used:
        return {}
    within_s = STREAMED_WITHIN_S if used == {"snowpipe_streaming"} else WITHIN_S
    began = recorded_from(folder.path / ARRIVALS) or 0
    return {Place(f"{SNOWFLAKE} ({', '.join(sorted(used))})", within_s, began): _risen(known)}


def _risen(known: list[Arrival]) -> pl.DataFrame:
    """Give arrivals as commits: from where the one before ended; what a restart tells again came before.

    How long the rows below the first one have been there is not known.
    """
    columns = {"committed_at": pl.Int64, "method": pl.String, "capture_log": pl.String, "end_offset": pl.Int64}
    found = pl.DataFrame([msgspec.structs.astuple(each) for each in known], schema=columns, orient="row")
    before = pl.col("end_offset").cum_max().shift(1).over("capture_log")
    return (
        found.filter(pl.col("end_offset") > 0)
        .with_columns(pl.col("committed_at").cast(pl.Datetime("us", "UTC")), start_offset=before)
        .filter(pl.col("start_offset").is_null() | (pl.col("end_offset") > pl.col("start_offset")))
        .select(COMMIT_COLUMNS)
    )


def _commits(folder: DataFolder, messages: PinnedTable, since: int) -> pl.DataFrame:
    """Give the commits of ``feed_messages`` since an instant: those written down, and those that its snapshots tell."""
    names = COMMITS.names()
    told = pa.Table.from_pylist(list(snapshots_of(messages.source)), schema=COMMITS.arrow_schema)
    try:
        written = _since(pinned(folder, COMMITS), names, since)
    except NoDataYet:
        written = COMMITS.arrow_schema.empty_table()
    found = pl.concat([pl.DataFrame(written.cast(COMMITS.arrow_schema)), pl.DataFrame(told)])
    mine = (pl.col("table_name") == FEED_MESSAGES.name) & (
        pl.col("table_uuid") == str(messages.source.metadata.table_uuid)
    )
    # A snapshot is told twice where it is written down: there its parent was known, and with it where its span begins.
    return found.filter(mine).unique("sequence_number", keep="first", maintain_order=True).select(COMMIT_COLUMNS)
