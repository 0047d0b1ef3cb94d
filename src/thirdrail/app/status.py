"""`status`: how a data folder fares, asked from outside, whether or not anybody writes it."""

import fcntl
import os
from pathlib import Path

import msgspec

from thirdrail.app.data_folder import DataFolder, disk
from thirdrail.app.looking import pinned
from thirdrail.capturelog.day_files import PARTITION
from thirdrail.capturelog.spool import Spool
from thirdrail.config.feeds import polled
from thirdrail.config.settings import Config
from thirdrail.errors import NoDataYet
from thirdrail.model.ports import Clock
from thirdrail.model.records import LIVE, Entry, Poll
from thirdrail.model.tables import TABLES
from thirdrail.sinks.iceberg.reader import PinnedTable

WINDOW_S = 3_600
"""Rates are of the last hour that has captures."""

_PAGE = 2_000
_DAY_S = 86_400


class FeedStatus(msgspec.Struct, kw_only=True):
    """One feed in the last hour of captures. Instants are µs UTC; ages seconds."""

    feed: str
    polls: int = 0
    outcomes: dict[str, int] = {}
    last_fetched_at: int | None = None
    last_outcome: str = ""
    last_detail: str = ""
    age_s: float | None = None


class Status(msgspec.Struct, kw_only=True):
    """A data folder as a whole. ``writer`` names the process that writes it, if one does."""

    data: str
    kind: str
    writer: str | None
    lag: int
    end: int
    freshness_s: float | None
    newest_fetched_at: int | None
    rows: int
    gb_per_day: float | None
    window_s: float
    disk_free_bytes: int
    disk_reserve_bytes: int
    is_paused: bool
    feeds: list[FeedStatus]


def status(path: Path, config: Config, clock: Clock) -> Status:
    """Give how a data folder fares.

    Raises:
        NoDataYet, DataFolderError: there is none, or not one of ours.
    """
    folder = DataFolder.existing(path)
    space = disk(folder, config)
    log = Spool.open(folder.spool, clock, writable=False)
    try:
        tables = [_pinned_or_none(folder, place) for place in range(len(TABLES))]
        here = [table for table in tables if table is not None]
        end = log.end(PARTITION)
        position = min((table.positions.get((log.log_id, PARTITION), 0) for table in here[-1:]), default=0)
        recent = _recent(log)
        now = clock.now()
        newest = max((table.newest_fetched_at or 0 for table in here), default=0) or None
        seconds = _seconds(recent)
        return Status(
            data=str(path),
            kind=folder.kind,
            writer=writer_of(folder.spool),
            lag=log.count(PARTITION, position),
            end=end,
            freshness_s=None if newest is None else (now - newest) / 1e6,
            newest_fetched_at=newest,
            rows=sum(table.rows for table in here),
            gb_per_day=None if seconds is None else round(_gb_per_day(log, here, recent, seconds), 3),
            window_s=seconds or 0.0,
            disk_free_bytes=space.free,
            disk_reserve_bytes=space.reserve,
            is_paused=space.shortage is not None,
            feeds=_feeds(recent, [feed.id for feed in polled(config, environment=os.environ)], now),
        )
    finally:
        log.close()


def _pinned_or_none(folder: DataFolder, place: int) -> PinnedTable | None:
    try:
        return pinned(folder, TABLES[place])
    except NoDataYet:
        return None


def writer_of(spool: Path) -> str | None:
    """Give what the holder of a log's append lock wrote into it; None when nobody holds it."""
    try:
        descriptor = os.open(spool / "append.lock", os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return os.read(descriptor, 200).decode(errors="replace").strip() or "another process"
    finally:
        os.close(descriptor)
    return None


def _recent(log: Spool) -> list[tuple[Entry, Poll]]:
    """Give the polls of the last hour of the log, oldest first, without bodies."""
    found: list[tuple[Entry, Poll]] = []
    end, first = log.end(PARTITION), log.first(PARTITION)
    newest: int | None = None
    while end > first:
        start = max(first, end - _PAGE)
        page = [entry for entry in log.headers(start, _PAGE) if entry.offset < end]
        polls = [(e, e.record) for e in page if isinstance(e.record, Poll) and e.record.origin == LIVE]
        if polls and newest is None:
            newest = polls[-1][1].fetched_at
        within = [(e, p) for e, p in polls if newest is not None and p.fetched_at >= newest - WINDOW_S * 1_000_000]
        found = within + found
        if len(within) < len(polls):
            break
        end = start
    return found


def _seconds(recent: list[tuple[Entry, Poll]]) -> float | None:
    times = [poll.fetched_at for _, poll in recent]
    return (max(times) - min(times)) / 1e6 or None if times else None


def _gb_per_day(log: Spool, tables: list[PinnedTable], recent: list[tuple[Entry, Poll]], seconds: float) -> float:
    """Give the growth of log and tables, from what the recent polls have added to both."""
    since = min(poll.fetched_at for _, poll in recent)
    added = log.stored_bytes(PARTITION, recent[0][0].offset) + sum(table.bytes_since(since) for table in tables)
    return added / seconds * _DAY_S / 1e9


def _feeds(recent: list[tuple[Entry, Poll]], wanted: list[str], now: int) -> list[FeedStatus]:
    found = {feed_id: FeedStatus(feed=feed_id, outcomes={}) for feed_id in wanted}
    for _, poll in recent:
        each = found.setdefault(poll.feed_id, FeedStatus(feed=poll.feed_id, outcomes={}))
        each.polls += 1
        each.outcomes[poll.outcome] = each.outcomes.get(poll.outcome, 0) + 1
        each.last_fetched_at, each.last_outcome = poll.fetched_at, poll.outcome
        each.last_detail = poll.error_detail or ""
        each.age_s = (now - poll.fetched_at) / 1e6
    return list(found.values())
