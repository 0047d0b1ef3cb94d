"""``rebuild`` and ``backfill``: a table's rows of some time, made anew, or for the first time, by today's code."""

from dataclasses import asdict
from pathlib import Path

import click

from thirdrail import app
from thirdrail.app.rebuilding import backfill as fill
from thirdrail.app.rebuilding import rebuild as make_anew
from thirdrail.cli import look
from thirdrail.cli.options import data_option, json_option, since_us
from thirdrail.cli.output import count, counted, iso, print_json, progress_bar, utc
from thirdrail.errors import UsageError
from thirdrail.model.tables import TABLES, Table
from thirdrail.observe.clock import SystemClock


def table_of(name: str) -> Table:
    """Give the table of a name that a person wrote, if captures fill it."""
    table = look.table_of(name)
    if table not in TABLES:
        raise UsageError(f"{name} is not made of captures: they hold none of its rows", hint="it is filled by itself")
    return table


@click.command()
@click.option("--table", "name", required=True, metavar="T", help="The table.")
@click.option(
    "--from", "since", metavar="TIME", help="Captures fetched from then on; all that the log holds by default."
)
@click.option("--to", "until", metavar="TIME", help="Captures fetched before then; up to now by default.")
@data_option
@json_option
def rebuild(name: str, since: str | None, until: str | None, data: Path, *, as_json: bool) -> int:
    """Make a table's rows anew from the captures, in place of those that are there.

    After a correction of a decoder, or for the past of a column that came with a later version. Readers see the old
    rows or the new ones, never both; `run` may go on beside it. What the log no longer holds stays as it is.
    """
    table = table_of(name)
    folder = app.DataFolder.existing(data)
    times = since_us(since), since_us(until)
    with progress_bar() as bar:
        task = bar.add_task("rebuild", total=None)
        done, oldest = make_anew(
            folder, table, *times, SystemClock(), lambda at, total: bar.update(task, completed=at, total=total)
        )
    if as_json:
        print_json(asdict(done) | {"oldest_capture": iso(oldest)})
        return 0
    click.echo(
        f"{name}: {count(done.rows)} rows in place of {count(done.rows_before)}, "
        f"from {counted(done.captures, 'capture')} (offsets {count(done.start)} to {count(done.end - 1)})"
    )
    if done.log_first > 0 and (times[0] is None or oldest is None or times[0] < oldest):
        click.echo(f"the log holds captures from {utc(oldest)} UTC on; rows of earlier ones stay as they are")
    return 0


@click.command()
@click.option("--table", "name", required=True, metavar="T", help="The table.")
@click.option(
    "--from", "since", metavar="TIME", help="Captures fetched from then on; all that the log holds by default."
)
@click.option("--dry-run", is_flag=True, help="Say what would be filled, and do nothing.")
@data_option
@json_option
def backfill(name: str, since: str | None, data: Path, *, dry_run: bool, as_json: bool) -> int:
    """Give a table that came with a later version its rows of the captures before.

    From where the table began back to a time, without a gap: rows that are there are never touched (that is `rebuild`).
    They appear all at once; `run` may go on beside it, and what was stopped is done by the same command.
    """
    table = table_of(name)
    folder = app.DataFolder.existing(data)
    at = since_us(since)
    with progress_bar() as bar:
        task = bar.add_task("backfill", total=None)
        done = fill(
            folder,
            table,
            at,
            SystemClock(),
            lambda part, total: bar.update(task, completed=part, total=total),
            dry_run=dry_run,
        )
    if as_json:
        print_json(asdict(done) | {"oldest_capture": iso(done.oldest_capture)})
        return 0
    if not done.captures:
        click.echo(f"{name}: nothing to fill, the table began no later than the captures that are asked for")
    else:
        place = f"{counted(done.captures, 'capture')} (offsets {count(done.start)} to {count(done.end - 1)})"
        click.echo(f"{name}: {place} to be filled in" if dry_run else f"{name}: {count(done.rows)} rows from {place}")
    if done.log_first > 0 and (at is None or done.oldest_capture is None or at < done.oldest_capture):
        click.echo(
            f"the log holds captures from {utc(done.oldest_capture)} UTC on; rows of earlier ones cannot be made"
        )
    if dry_run:
        click.echo("nothing was done: --dry-run")
    return 0
