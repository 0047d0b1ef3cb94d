"""``replay``: recordings in."""

import shlex
import time
from pathlib import Path

import click
import msgspec

from thirdrail import app
from thirdrail.cli.interrupt import asked_to_stop
from thirdrail.cli.look import EXAMPLE_QUERY
from thirdrail.cli.options import DEFAULT_DATA, config_option, data_option, json_option
from thirdrail.cli.output import count, counted, new_york, print_json, progress_bar, show, utc
from thirdrail.config.feeds import feed_of
from thirdrail.config.reading import load
from thirdrail.model.tables import QUARANTINE
from thirdrail.sources.recordings import Recording, recordings, refuse_other_family


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--feed", "feed_id", required=True, metavar="ID", help="Which feed the recordings are of (thirdrail feeds)."
)
@click.option("--history", type=click.Choice(["changes", "every_poll"]), help="Overrides the configuration.")
@data_option
@config_option
@json_option
def replay(
    paths: tuple[Path, ...], feed_id: str, history: str | None, data: Path, config_path: Path | None, *, as_json: bool
) -> int:
    """Take recorded feed messages into the tables.

    PATHS are files, or folders of files. Times come from the file names when they state time and zone, else from
    the messages' headers. Bodies that the log already holds are skipped, so repeating a replay adds nothing. `.gz`
    and `.zst` are read. Ctrl-C stops after the commit at hand; the same command goes on from there.
    """
    settings = load(config_path)
    declared = feed_of(settings, feed_id)
    found = recordings(paths)
    # Before a folder is made for them.
    refuse_other_family(declared, found)
    began = time.monotonic()
    with asked_to_stop() as is_stopped, app.writing(data, settings) as work, progress_bar() as bar:
        task = bar.add_task(f"replay {declared.id}", total=len(found))
        origin, totals = app.replay(
            work,
            found,
            declared,
            history=history,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
            note=lambda text: click.echo(f"note: {text}", err=True),
            is_stopped=is_stopped,
        )
        stopped = is_stopped()
    seconds = time.monotonic() - began
    if as_json:
        print_json(_as_json(found, totals, origin, seconds, declared.id))
    else:
        _summarise(found, totals, origin, seconds)
        if not stopped:
            _say_what_is_next(data)
    if stopped:
        raise KeyboardInterrupt
    return 0


def _as_json(
    found: list[Recording], totals: app.Totals, origin: str, seconds: float, feed_id: str
) -> dict[str, object]:
    return {
        "origin": origin,
        "feed": feed_id,
        "files": len(found),
        **msgspec.to_builtins(totals),
        "quarantined": totals.written.get(QUARANTINE.name, 0),
        "seconds": round(seconds, 3),
    }


def _summarise(found: list[Recording], totals: app.Totals, origin: str, seconds: float) -> None:
    first, last = found[0].fetched_at, found[-1].fetched_at
    sources = {"name": "names", "header": "message headers", "file": "the files' own times"}
    by = {text: sum(1 for each in found if each.known_from == source) for source, text in sources.items()}
    known = ", ".join(f"{count(number)} from {text}" for text, number in by.items() if number)
    click.echo(f"{counted(len(found), 'file')}, fetched {utc(first)} to {utc(last)}")
    click.echo(f"  in New York {new_york(first)} to {new_york(last)}; times: {known}")
    if [each.path.name for each in found] != sorted(each.path.name for each in found):
        click.echo("  taken in order of time, which is not that of their names")
    aside = {
        "already in the log": totals.skipped,
        "no feed message (kept in the log, without rows)": totals.no_message,
        "unreadable (left out)": totals.unreadable,
    }
    for text, number in aside.items():
        if number:
            click.echo(f"  {count(number)} {text}")
    click.echo(f"{counted(totals.captures, 'capture')}, {counted(totals.decoded_rows, 'row')} in, {seconds:.1f} s")
    click.echo(f"  origin {origin}")
    if totals.captures:
        rows = [(name, count(number)) for name, number in totals.written.items()]
        show(("table", "rows written"), rows, right=["rows written"])


def _say_what_is_next(data: Path) -> None:
    option = "" if data == Path(DEFAULT_DATA) else f" --data {shlex.quote(str(data))}"
    click.echo(f"\nnext: thirdrail audit{option}")
    click.echo(f"      thirdrail sql{option} {shlex.quote(EXAMPLE_QUERY)}")
