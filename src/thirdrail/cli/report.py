"""``report``: the promised figures, and whether they are kept."""

from dataclasses import asdict
from pathlib import Path

import click

from thirdrail import app
from thirdrail.app.reporting import report as report_of
from thirdrail.cli.options import config_option, data_option, json_option, since_us
from thirdrail.cli.output import count, iso, print_json, progress_bar, show, utc
from thirdrail.config.reading import load
from thirdrail.observe.clock import SystemClock
from thirdrail.query.report import ICEBERG, Figure, PromiseReport

SAID_BY_SNOWFLAKE = (
    "* whether its tables still hold these rows: count them by capture_offset, beside `thirdrail snowflake status`",
    "* rows that it took and then refused: ERROR_TABLE (docs/snowflake.md); their number: `thirdrail snowflake status`",
    "* how soon a query saw the rows: THIRDRAIL_FRESHNESS, or the doctor's row",
)


@click.command()
@click.option(
    "--since", default="24h", show_default=True, metavar="T", help="A time with zone, a date, or how long ago."
)
@data_option
@config_option
@json_option
def report(since: str, data: Path, config_path: Path | None, *, as_json: bool) -> int:
    """Say whether the promises were kept: records a minute, freshness, availability, share of valid records.

    Computed from the tables, not from counters: minutes in which nothing ran count as missed, also after a restart.
    Of Snowflake from what was written down as its rows became durable; where it is the only sink, the log is decoded
    again, which takes about as long as `audit`. 1 when a promise was missed.
    """
    clock = SystemClock()
    start = since_us(since)
    with progress_bar() as bar:
        task = bar.add_task("report", total=None)
        found = report_of(
            app.DataFolder.existing(data),
            load(config_path),
            clock,
            start or 0,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    if as_json:
        print_json(_as_json(found))
    else:
        _print(found)
    return 0 if found.all_met else 1


def _as_json(found: PromiseReport) -> dict[str, object]:
    return {
        "since": iso(found.since),
        "until": iso(found.until),
        "records": found.records,
        "messages": found.messages,
        "sink": found.sink,
        "figures": [asdict(each) | {"met": each.met} for each in found.figures],
        "feeds": [asdict(each) for each in found.feeds],
    }


def _print(found: PromiseReport) -> None:
    click.echo(
        f"{utc(found.since)} to {utc(found.until)}: {count(found.messages)} polls, {count(found.records)} records\n"
    )
    show(
        ("promise", "sink", "is", "promised", ""),
        [(each.name, each.sink, _value(each, each.value), _promised(each), _verdict(each)) for each in found.figures],
        right=["is", "promised"],
    )
    click.echo("")
    for name, definition in {each.name: each.definition for each in found.figures}.items():
        click.echo(f"{name}: {definition}")
    for each in found.figures:
        if each.not_recorded:
            click.echo(
                f"\n{each.sink}: {count(each.not_recorded)} pairs of feed and minute are neither kept nor missed: they "
                f"were before its commits were written down"
            )
    if found.sink != ICEBERG.sink:
        click.echo("\n".join(("", "for which an account must be asked:", *SAID_BY_SNOWFLAKE)))
    click.echo(f"\nminutes by feed ({found.sink})")
    heads = ("minutes", "published", "in time", "late", "quiet", "unanswered", "not run")
    rows = [
        (f.feed_id, *map(count, (f.minutes, f.published, f.in_time, f.late, f.quiet, f.unanswered, f.not_run)))
        for f in found.feeds
    ]
    show(("feed", *heads), rows, right=heads, spare=("quiet", "minutes"))


def _value(figure: Figure, value: float | None) -> str:
    if value is None:
        return "unknown"
    if figure.unit == "":
        return f"{value:.3%}"
    return f"{value:,.0f} {figure.unit}" if figure.unit == "a minute" else f"{value:.2f} {figure.unit}"


def _promised(figure: Figure) -> str:
    return ("at least " if figure.at_least else "at most ") + _value(figure, figure.promised)


def _verdict(figure: Figure) -> str:
    return {True: "met", False: "MISSED", None: "-"}[figure.met]
