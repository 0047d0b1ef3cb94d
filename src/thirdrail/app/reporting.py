"""The promised figures of a data folder, read beside whoever writes it."""

import os
from datetime import UTC, datetime

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from thirdrail.app.data_folder import DataFolder
from thirdrail.app.looking import pinned
from thirdrail.config import Config, known_feeds, why_left_out
from thirdrail.errors import NoDataYet
from thirdrail.model.ports import Clock
from thirdrail.model.tables import COMMITS, FEED_MESSAGES
from thirdrail.query.report import COLUMNS, COMMIT_COLUMNS, MINUTE_US, PromiseReport, Window, reported
from thirdrail.sinks.iceberg.chronicle import snapshots_of
from thirdrail.sinks.iceberg.reader import PinnedTable

LATEST_US = MINUTE_US
"""The newest minute is left out: its rows may still come in time."""

_WEEK_US = 7 * 24 * 60 * MINUTE_US


def report(folder: DataFolder, config: Config, clock: Clock, since: int) -> PromiseReport:
    """Give the promised figures from an instant (µs UTC) on, or from the first poll if that is later.

    Judged is every feed that was polled within the week before or since, unless the configuration leaves it out now.

    Raises:
        NoDataYet: nothing was polled in that time, or there are no tables.
    """
    messages = pinned(folder, FEED_MESSAGES)
    until = (clock.now() - LATEST_US) // MINUTE_US * MINUTE_US
    rows = _rows(messages, since - _WEEK_US)
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
    return reported(rows, _commits(folder, messages, since), Window(since, until, intervals, severities))


def _rows(messages: PinnedTable, since: int) -> pl.DataFrame:
    """Give the columns of a report, of polls since an instant."""
    return pl.DataFrame(_since(messages, list(COLUMNS), since))


def _since(table: PinnedTable, columns: list[str], since: int) -> pa.Table:
    """Give the rows of an instant (µs UTC) and later; files that can hold none are not opened."""
    wanted = pc.field(table.table.day) >= pa.scalar(since, pa.timestamp("us", tz="UTC"))
    if table.deletes:
        return table.whole().filter(wanted).select(columns)
    return table.dataset(table.files).to_table(columns=columns, filter=wanted)


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
