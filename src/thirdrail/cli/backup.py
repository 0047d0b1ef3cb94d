"""``backup`` and ``restore``: a copy of a data folder while it is written to, and a data folder of a copy."""

import shlex
from pathlib import Path

import click
import msgspec

from thirdrail import app
from thirdrail.app.backup import Contents
from thirdrail.app.backup import backup as copy_folder
from thirdrail.app.backup import restore as make_folder
from thirdrail.cli.live import program_name
from thirdrail.cli.options import data_option, json_option
from thirdrail.cli.output import count, counted, print_json, progress_bar, size


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@data_option
@json_option
def backup(target: Path, data: Path, *, as_json: bool) -> int:
    """Copy the data folder into TARGET, a new or empty folder, while `run` goes on.

    The copy holds the tables as they were at one moment, and the log up to that moment or later; every file with its
    digest. Nothing is stopped, and what is deleted meanwhile is not missed.
    """
    folder = app.DataFolder.existing(data)
    with progress_bar() as bar:
        task = bar.add_task("backup", total=None)
        made = copy_folder(folder, target, lambda done, total: bar.update(task, completed=done, total=total))
    if as_json:
        print_json(_facts(made))
        return 0
    click.echo(
        f"{target}: {counted(len(made.files), 'file')}, {size(made.bytes)}; tables up to offset {count(made.position)}"
    )
    for day in made.damaged_days:
        click.echo(f"{day} is damaged in {data}, and lies in the copy as it is", err=True)
    return 0


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@data_option
@json_option
def restore(target: Path, data: Path, *, as_json: bool) -> int:
    """Make a data folder of the backup in TARGET, at any path where nothing is yet.

    Every file is compared with its digest on the way. Never let two folders of one origin write into the same
    Snowflake tables.
    """
    with progress_bar() as bar:
        task = bar.add_task("restore", total=None)
        folder, made, tables = make_folder(
            target, data, lambda done, total: bar.update(task, completed=done, total=total)
        )
    if as_json:
        print_json(_facts(made) | {"folder": str(folder.path), "relocated": tables})
        return 0
    click.echo(
        f"{folder.path}: {counted(len(made.files), 'file')}, {size(made.bytes)}, as of {made.made_at}; "
        f"tables up to offset {count(made.position)}"
    )
    if tables:
        click.echo(f"it was {made.path}; {counted(len(tables), 'table')} relocated")
    click.echo(f"compare it with its log: {program_name()} audit --data {shlex.quote(str(folder.path))}")
    return 0


def _facts(made: Contents) -> dict[str, object]:
    """Give what a copy holds, its files counted and not listed."""
    facts: dict[str, object] = msgspec.to_builtins(made)
    return facts | {"files": len(made.files), "bytes": made.bytes}
