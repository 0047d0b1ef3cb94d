"""``emulator``: a stand-in for Snowpipe Streaming and Snowpipe on this machine."""

import sys
import tomllib
from pathlib import Path

import click

from thirdrail.cli.city import stop_at_eof
from thirdrail.cli.interrupt import asked_to_stop
from thirdrail.cli.look import print_result
from thirdrail.cli.output import show
from thirdrail.errors import NoInput

DEFAULT_FOLDER = "./thirdrail-emulator"
LOOK_S = 0.2

folder_option = click.option(
    "--data",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_FOLDER,
    show_default=True,
    metavar="DIR",
    help="The emulator's folder.",
)


@click.group()
def emulator() -> None:
    """Stand in for Snowflake on this machine: the official clients talk to it (docs/emulator.md)."""


@emulator.command()
@folder_option
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 takes any free one.")
@click.option("--commit-delay", type=float, default=1.0, show_default=True, help="Seconds from taking to committing.")
@click.option("--tables", type=click.Path(path_type=Path, dir_okay=False), help="TOML of tables, in place of ours.")
@click.option("--no-limits", is_flag=True, help="Do without Snowflake's limits of size and rate.")
@click.option("--until-eof", is_flag=True, help="Stop when standard input ends.")
def serve(
    folder: Path,
    port: int,
    commit_delay: float,
    tables: Path | None,
    *,
    no_limits: bool,
    until_eof: bool,
) -> int:
    """Serve Snowpipe Streaming and Snowpipe on 127.0.0.1 until Ctrl-C, and print the configuration that points here.

    What it has accepted survives a kill. A table's column in --tables is a kind (string, int, long, float, double,
    boolean, date, timestamptz, list<string>), with ! after it for NOT NULL.
    """
    from thirdrail.emulator.limits import Limits  # noqa: PLC0415 - the emulator wants libraries of an extra
    from thirdrail.emulator.server import EmulatorServer  # noqa: PLC0415
    from thirdrail.emulator.storage import declared  # noqa: PLC0415

    limits = Limits(None, None, None, None) if no_limits else Limits()
    own = None if tables is None else declared(_toml(tables))
    server = EmulatorServer(folder, port=port, commit_delay_s=commit_delay, tables=own, limits=limits)
    with asked_to_stop("stopping") as stopping, server:
        # A line of its own, for programs that take the address as it comes.
        click.echo(server.url)
        click.echo(server.configuration())
        sys.stdout.flush()
        if until_eof:
            stop_at_eof(stopping)
        while not stopping.wait(LOOK_S):
            pass
    return 0


@emulator.command()
@click.argument("query")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@folder_option
def sql(query: str, form: str, folder: Path) -> int:
    """Run one SQL query over the committed rows, beside a running server.

    Tables by their names; `refused` holds rows that were not taken, `channels` how far each channel is,
    `submitted` what became of staged files.
    """
    from thirdrail.emulator.looking import query as ask  # noqa: PLC0415 - as above

    print_result(ask(folder, query), form)
    return 0


@emulator.command()
@folder_option
def status(folder: Path) -> int:
    """Show every channel: its committed offset token, its rows, and what it refused."""
    from thirdrail.emulator.looking import query as ask  # noqa: PLC0415 - as above

    columns = ("pipe", "channel", "code", "token", "inserted", "errors", "error_message")
    found = ask(folder, f"SELECT {', '.join(columns)} FROM channels ORDER BY pipe, channel").to_pylist()  # noqa: S608
    show(
        columns,
        [tuple("" if row[name] is None else row[name] for name in columns) for row in found],
        right=columns[4:6],
    )
    return 0


def _toml(path: Path) -> dict[str, dict[str, str]]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise NoInput(f"{path} is no table file: {error}") from error
