"""``relocate``: a data folder that was moved, taken as it now lies."""

from pathlib import Path

import click

from thirdrail.app.data_folder import relocated
from thirdrail.cli.options import json_option
from thirdrail.cli.output import counted, print_json


@click.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@json_option
def relocate(old: Path, new: Path, *, as_json: bool) -> int:
    """Write the tables of a moved folder anew, so that they name their files where they now lie.

    Move or copy the folder first, then: thirdrail relocate OLD NEW. Data files are not touched; of each table the
    newest snapshot is kept. Killed at any time, the same command goes on.
    """
    folder, tables = relocated(old, new)
    if as_json:
        print_json({"folder": str(folder.path), "relocated": tables})
        return 0
    click.echo(f"{folder.path}: " + (f"{counted(len(tables), 'table')} moved" if tables else "nothing to move"))
    return 0
