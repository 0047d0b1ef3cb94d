"""``status``: how a data folder fares."""

from pathlib import Path

import click

from thirdrail.app.status import FeedStatus, Status
from thirdrail.app.status import status as status_of
from thirdrail.cli.options import config_option, data_option, json_option
from thirdrail.cli.output import count, facts, print_json, show, size, utc
from thirdrail.config.reading import load
from thirdrail.observe.clock import SystemClock


@click.command()
@data_option
@config_option
@json_option
def status(data: Path, config_path: Path | None, *, as_json: bool) -> int:
    """Say how a data folder fares: feeds, lag, freshness, growth, disk.

    Of the feeds: the last hour of polls that the log holds. Works beside `run`, and without it.
    """
    found = status_of(data, load(config_path), SystemClock())
    if as_json:
        print_json(found)
        return 0
    facts(_facts(found))
    if any(feed.polls for feed in found.feeds):
        click.echo("")
        show(
            ("feed", "last poll", "age", "polls", "of which"),
            [_row(feed) for feed in found.feeds],
            right=["age", "polls"],
            spare=("polls",),
            prose=["of which"],
        )
    return 0


def _facts(found: Status) -> list[tuple[str, str]]:
    growth = "unknown yet"
    if found.gb_per_day is not None:
        growth = f"{found.gb_per_day:,.2f} GB a day (log and tables, from the last {found.window_s:,.0f} s of polls)"
    disk = f"{size(found.disk_free_bytes)} free, reserve {size(found.disk_reserve_bytes)}"
    return [
        ("data", f"{found.data} ({found.kind})"),
        ("written by", found.writer or "nobody just now"),
        ("rows", count(found.rows)),
        ("newest row", _age(found)),
        ("lag", f"{count(found.lag)} records in the log that are not in the tables yet"),
        ("growth", growth),
        ("disk", f"{disk}; POLLING PAUSES below it" if found.is_paused else disk),
    ]


def _age(found: Status) -> str:
    if found.freshness_s is None:
        return "none yet"
    return f"fetched {utc(found.newest_fetched_at)}, {found.freshness_s:,.0f} s ago"


def _row(feed: FeedStatus) -> tuple[str, str, str, str, str]:
    outcomes = ", ".join(
        f"{number:,} {name}" for name, number in sorted(feed.outcomes.items(), key=lambda each: -each[1])
    )
    age = "" if feed.age_s is None else f"{feed.age_s:,.0f} s"
    return feed.feed, feed.last_outcome, age, count(feed.polls), outcomes
