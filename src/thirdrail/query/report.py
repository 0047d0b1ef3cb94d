"""The promised figures, computed from ``feed_messages`` and every sink's commits: from what is durable, not from counters."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import polars as pl

from thirdrail.model.rules import REJECT, RULES
from thirdrail.model.tables import PICTURE_TABLES

MINUTE_US = 60_000_000
WITHIN_S = 30.0
STREAMED_WITHIN_S = 10.0
"""By Snowpipe Streaming's channels."""
PROMISED_PER_MINUTE = 10_000
PROMISED_SHARE = 0.999
PROMISED_VALID = 0.99

SPARSE_S = 60.0
"""A feed that is asked as seldom as this has minutes without a poll, which say nothing about us."""
_SLACK = 1.5

COLUMNS = (
    *("feed_id", "origin", "capture_log", "capture_offset", "fetched_at", "received_at", "outcome", "body_sha256"),
    *("quarantined_count", "rule_counts"),
    *(f"{table.name}_{what}" for table in PICTURE_TABLES for what in ("passed", "written", "removed")),
)
"""Of ``feed_messages``, what a report reads."""

COMMIT_COLUMNS = ("capture_log", "start_offset", "end_offset", "committed_at")


class Place(NamedTuple):
    """A sink as it is shown, within how many seconds its rows are promised, and since when it is known when they came.

    ``recorded_from``: µs UTC.
    """

    sink: str
    within_s: float = WITHIN_S
    recorded_from: int = 0


ICEBERG = Place("iceberg")


@dataclass(frozen=True, slots=True)
class Figure:
    """One promised figure. ``value`` is None where nothing can be said; ``met`` then is, too. ``sink``: of which.

    ``not_recorded``: pairs of feed and minute of which nobody wrote down when their rows came; they are left out.
    """

    name: str
    definition: str
    value: float | None
    promised: float
    unit: str
    at_least: bool = True
    sink: str = ""
    not_recorded: int = 0

    @property
    def met(self) -> bool | None:
        """Whether the promise is kept."""
        if self.value is None:
            return None
        return self.value >= self.promised if self.at_least else self.value <= self.promised


@dataclass(frozen=True, slots=True)
class FeedMinutes:
    """The minutes of one feed. ``published`` are those in which a new body came; the rest of the polled ones are quiet."""

    feed_id: str
    minutes: int
    published: int
    in_time: int
    late: int
    quiet: int
    unanswered: int
    not_run: int


@dataclass(frozen=True, slots=True)
class PromiseReport:
    """What was promised and what was, of ``since`` (µs UTC) until ``until``, in whole minutes."""

    since: int
    until: int
    records: int
    messages: int
    figures: tuple[Figure, ...]
    feeds: tuple[FeedMinutes, ...]
    sink: str
    """Of which feeds and their minutes are told."""

    @property
    def all_met(self) -> bool:
        """Whether no promise is missed."""
        return all(figure.met is not False for figure in self.figures)


@dataclass(frozen=True, slots=True)
class Window:
    """What time a report is of (µs UTC, whole minutes), which feeds it judges, and how often each is asked (s)."""

    since: int
    until: int
    intervals: Mapping[str, float]
    severities: Mapping[str, Mapping[str, str]]


def reported(
    messages: pl.DataFrame,
    commits: Mapping[Place, pl.DataFrame],
    window: Window,
) -> PromiseReport:
    """Give the report of live polls; ``messages`` has :data:`COLUMNS`, the commits of each sink :data:`COMMIT_COLUMNS`.

    Feeds and their minutes are told of the first sink.
    """
    live = _counted(messages.filter(pl.col("origin") == "live"))
    within = _within(live, window)
    arrived = {place: _with_ages(live, found) for place, found in commits.items()}
    first = next(iter(arrived))
    feeds = _feeds(arrived[first], window)
    records, invalid = int(within["records"].sum()), int(within["quarantined_count"].sum())
    strict = min(records, invalid + _validator_errors(within, window.severities))
    minutes = (window.until - window.since) // MINUTE_US
    figures = (
        Figure(
            "records a minute",
            "rows decoded, and entities that could not be, by minutes of the time reported, also those that nothing ran",
            records / minutes if minutes else None,
            PROMISED_PER_MINUTE,
            "a minute",
        ),
        *(figure for place, polls in arrived.items() for figure in _of_place(place, polls, window)),
        Figure(
            "valid (profile)",
            "records that went into the tables, of all: our rules at the configured severities",
            1 - invalid / records if records else None,
            PROMISED_VALID,
            "",
        ),
        Figure(
            "valid (strict)",
            "the same, with every finding of an error rule of the GTFS-Realtime validator (E…) taken for an invalid record",
            1 - strict / records if records else None,
            PROMISED_VALID,
            "",
        ),
    )
    return PromiseReport(window.since, window.until, records, len(within), figures, feeds, first.sink)


def _within(polls: pl.DataFrame, window: Window) -> pl.DataFrame:
    return polls.filter(pl.col("at").is_between(window.since, window.until, closed="left"))


def _feeds(polls: pl.DataFrame, window: Window) -> tuple[FeedMinutes, ...]:
    return tuple(_minutes(polls, feed, interval, window) for feed, interval in sorted(window.intervals.items()))


def _of_place(place: Place, polls: pl.DataFrame, window: Window) -> Iterator[Figure]:
    """Give what is promised of each sink."""
    yield from _freshness(_within(polls, window), place)
    recorded = -(-place.recorded_from // MINUTE_US) * MINUTE_US
    feeds = _feeds(polls, replace(window, since=min(max(window.since, recorded), window.until)))
    due = _due(feeds)
    yield Figure(
        "availability",
        f"pairs of feed and minute in which a new body came and all of that minute were committed within "
        f"{WITHIN_S:.0f} s, of those in which one came, no poll was answered, or nothing ran",
        sum(each.in_time for each in feeds) / due if due else None,
        PROMISED_SHARE,
        "",
        sink=place.sink,
        not_recorded=_due(_feeds(polls, window)) - due,
    )


def _due(feeds: Iterable[FeedMinutes]) -> int:
    """Count the minutes that availability is of."""
    return sum(each.published + each.unanswered + each.not_run for each in feeds)


def _counted(messages: pl.DataFrame) -> pl.DataFrame:
    """Add each message's records and rows written, and its times in µs."""
    passed = pl.sum_horizontal(pl.col(f"{table.name}_passed").cast(pl.Int64) for table in PICTURE_TABLES)
    written = pl.sum_horizontal(
        pl.col(f"{table.name}_{what}").cast(pl.Int64) for table in PICTURE_TABLES for what in ("written", "removed")
    )
    return messages.with_columns(
        at=pl.col("fetched_at").dt.epoch("us"),
        received=pl.coalesce("received_at", "fetched_at").dt.epoch("us"),
        records=passed + pl.col("quarantined_count"),
        rows=written,
        published=pl.col("body_sha256").is_not_null() & (pl.col("outcome") != "duplicate"),
        answered=pl.col("body_sha256").is_not_null(),
    )


def _with_ages(messages: pl.DataFrame, commits: pl.DataFrame) -> pl.DataFrame:
    """Add how old each message was when it was committed (s); null where no commit is known any more."""
    ends = (
        commits.drop_nulls("end_offset")
        .select(
            "capture_log",
            before=pl.col("end_offset") - 1,
            start=pl.col("start_offset").fill_null(pl.col("end_offset")),
            committed=pl.col("committed_at").dt.epoch("us"),
        )
        .sort("before")
    )
    joined = messages.sort("capture_offset").join_asof(
        ends, left_on="capture_offset", right_on="before", by="capture_log", strategy="forward", check_sortedness=False
    )
    is_known = pl.col("start") <= pl.col("capture_offset")
    return joined.with_columns(age=pl.when(is_known).then((pl.col("committed") - pl.col("received")) / 1e6))


def _freshness(within: pl.DataFrame, place: Place) -> tuple[Figure, Figure]:
    """Give half and 99 % of rows: how old they were when they could be read."""
    known = within.filter(pl.col("age").is_not_null() & (pl.col("rows") > 0)).sort("age")
    reached = known["rows"].cum_sum()

    def share(wanted: float) -> float | None:
        if known.is_empty():
            return None
        place = int((reached >= wanted * float(reached[-1])).arg_max() or 0)
        return float(known["age"][place])

    sink, promised = place.sink, place.within_s
    text = "% of rows written: from the last byte of the body to the commit that made them visible"
    return (
        Figure("body to row, half", f"50 {text}", share(0.5), promised, "s", at_least=False, sink=sink),
        Figure("body to row, 99 %", f"99 {text}", share(0.99), promised, "s", at_least=False, sink=sink),
    )


def _minutes(live: pl.DataFrame, feed: str, interval: float, window: Window) -> FeedMinutes:
    polls = live.filter(pl.col("feed_id") == feed)
    by_minute = (
        _within(polls, window)
        .group_by(minute=pl.col("at") // MINUTE_US)
        .agg(
            published=pl.col("published").any(),
            answered=pl.col("answered").any(),
            in_time=(pl.col("age").fill_null(WITHIN_S + 1) <= WITHIN_S).filter(pl.col("published")).all(),
        )
    )
    published = int(by_minute["published"].sum())
    in_time = int((by_minute["published"] & by_minute["in_time"]).sum())
    unanswered = int((~by_minute["answered"]).sum())
    quiet = len(by_minute) - published - unanswered
    minutes = int((window.until - window.since) // MINUTE_US)
    between = _between_polls(polls, set(by_minute["minute"]), interval, window)
    return FeedMinutes(
        feed,
        minutes,
        published,
        in_time,
        late=published - in_time,
        quiet=quiet + between,
        unanswered=unanswered,
        not_run=minutes - len(by_minute) - between,
    )


def _between_polls(polls: pl.DataFrame, polled: Collection[int], interval: float, window: Window) -> int:
    """Count the minutes without a poll that lie no further behind one than the feed's interval explains."""
    patience = int(interval * _SLACK * 1e6) if interval >= SPARSE_S else 0
    minutes = pl.DataFrame(
        {"end": [m * MINUTE_US for m in range(window.since // MINUTE_US + 1, window.until // MINUTE_US + 1)]},
        schema={"end": pl.Int64},
    ).filter(~pl.col("end").floordiv(MINUTE_US).sub(1).is_in(list(polled)))
    if minutes.is_empty() or polls.is_empty():
        return 0
    last = minutes.join_asof(polls.select("at").sort("at"), left_on="end", right_on="at", strategy="backward")
    return int((last["end"] - last["at"] < patience).fill_null(value=False).sum())


def _validator_errors(within: pl.DataFrame, severities: Mapping[str, Mapping[str, str]]) -> int:
    """Count findings of the validator's error rules that refused nothing: those that did are in quarantine already."""
    found = (
        within.select("feed_id", "rule_counts")
        .explode("rule_counts")
        .drop_nulls()
        .with_columns(
            rule=pl.col("rule_counts").str.extract(r"^([^=]+)=", 1),
            findings=pl.col("rule_counts").str.extract(r"=(\d+)$", 1).cast(pl.Int64),
        )
        .group_by("feed_id", "rule")
        .agg(pl.col("findings").sum())
    )
    usual = {rule.id: rule.action for rule in RULES if rule.id.startswith("E")}
    return sum(
        findings
        for feed, rule, findings in found.iter_rows()
        if rule in usual and severities.get(feed, {}).get(rule, usual[rule]) != REJECT
    )
