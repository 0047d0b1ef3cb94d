"""``replay`` and ``feeds``: what goes in."""

import shlex
import sys
import time
from pathlib import Path

import click
import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from thirdrail import app
from thirdrail.cli.options import DEFAULT_DATA, config_option, data_option, json_option
from thirdrail.cli.output import console, count, print_json, show
from thirdrail.config import load
from thirdrail.model.feeds import FEEDS, feed
from thirdrail.sources.recordings import Recording, recordings


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
    """Take recorded feed messages (files or folders) into the tables.

    Times come from the file names when they state time and zone, else from the messages' headers. Bodies
    that the log already holds are skipped, so repeating a replay adds nothing. `.gz` and `.zst` are read.
    """
    declared = feed(feed_id)
    settings = load(config_path)
    found = recordings(paths)
    began = time.monotonic()
    with app.writing(data, settings) as work, _progress() as bar:
        task = bar.add_task(f"replay {declared.id}", total=len(found))
        origin, totals = app.replay(
            work,
            found,
            declared,
            history=history,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    seconds = time.monotonic() - began
    if as_json:
        print_json(
            {
                "origin": origin,
                "feed": declared.id,
                "files": len(found),
                **msgspec.to_builtins(totals),
                "seconds": seconds,
            }
        )
    else:
        _summarise(found, totals, origin, seconds, data)
    return 0


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console(to_stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def _summarise(found: list[Recording], totals: app.Totals, origin: str, seconds: float, data: Path) -> None:
    by = {source: sum(1 for each in found if each.known_from == source) for source in ("name", "header", "file")}
    known = ", ".join(f"{number} from the {source}" for source, number in by.items() if number)
    click.echo(f"{count(len(found))} files (times: {known}), {count(totals.skipped)} already in the log")
    click.echo(
        f"{count(totals.captures)} captures, {count(totals.decoded_rows)} rows decoded in {seconds:.1f} s as {origin}"
    )
    if totals.captures:
        show(
            ("table", "rows written"),
            [(name, count(rows)) for name, rows in totals.written.items()],
            right=["rows written"],
        )
    option = (
        ""
        if str(data) == DEFAULT_DATA.removeprefix("./") or str(data) == DEFAULT_DATA
        else f" --data {shlex.quote(str(data))}"
    )
    click.echo(f"\nnext: thirdrail audit{option}\n      thirdrail sql{option} 'SELECT * FROM predictions_now LIMIT 10'")


@click.command()
@json_option
def feeds(*, as_json: bool) -> int:
    """List the feeds that this version takes in."""
    if as_json:
        print_json([{"id": each.id, "family": each.family, "url": each.url, "meaning": each.meaning} for each in FEEDS])
    else:
        show(("feed", "what it carries"), [(each.id, each.meaning) for each in FEEDS])
    return 0
