"""``rebuild``: a table's rows of some time, made anew by today's code."""

from dataclasses import asdict
from pathlib import Path

import click

from thirdrail import app
from thirdrail.app.rebuilding import rebuild as make_anew
from thirdrail.cli.look import table_of
from thirdrail.cli.options import data_option, json_option, since_us
from thirdrail.cli.output import count, counted, iso, print_json, progress_bar, utc
from thirdrail.observe.clock import SystemClock


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

    After a correction of a decoder, or for the past of a column or table that came with a later version. Readers see
    the old rows or the new ones, never both; `run` may go on beside it. What the log no longer holds stays as it is.
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
