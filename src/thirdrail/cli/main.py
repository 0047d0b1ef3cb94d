"""The entry point: every command, and the one place where errors become sentences."""

import os
import sys
import traceback
from collections.abc import Sequence
from types import TracebackType

import click

from thirdrail import __version__
from thirdrail.cli.backup import backup, restore
from thirdrail.cli.captures import captures
from thirdrail.cli.catalog import catalog
from thirdrail.cli.configuration import config
from thirdrail.cli.dbt import dbt
from thirdrail.cli.emulator import emulator
from thirdrail.cli.feeds import feeds
from thirdrail.cli.ingest import replay
from thirdrail.cli.live import city, demo
from thirdrail.cli.live import run as run_command
from thirdrail.cli.look import audit, sql, tables
from thirdrail.cli.maintain import maintain
from thirdrail.cli.quarantine import quarantine
from thirdrail.cli.rebuild import backfill, rebuild
from thirdrail.cli.rehearse import rehearse
from thirdrail.cli.relocate import relocate
from thirdrail.cli.report import report
from thirdrail.cli.snowflake import snowflake
from thirdrail.cli.status import status
from thirdrail.errors import ThirdRailError, UsageError
from thirdrail.observe.redaction import Redaction, secrets_of

INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="thirdrail", message="%(prog)s %(version)s")
def commands() -> None:
    """Turn New York's transit feeds into Iceberg tables, each row exactly once."""


for command in (
    demo,
    run_command,
    status,
    report,
    tables,
    sql,
    audit,
    maintain,
    rebuild,
    backfill,
    relocate,
    backup,
    restore,
    catalog,
    snowflake,
    dbt,
    replay,
    feeds,
    captures,
    quarantine,
    config,
    city,
    emulator,
    rehearse,
):
    commands.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code.

    0 done, 1 a result that is not well, 2 used wrongly, 130 stopped by Ctrl-C.
    """
    sys.excepthook = _unexpected
    sys.exit(run(arguments))


def _unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback of what nobody foresaw, without secrets."""
    text = "".join(traceback.format_exception(kind, error, trace))
    click.echo(Redaction(secrets_of(os.environ)).text(text), nl=False, err=True)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; give its exit code. Errors are one line and a hint, never a traceback."""
    try:
        code = commands.main(args=arguments, prog_name="thirdrail", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as done:
        return done.exit_code
    except (ThirdRailError, click.ClickException, click.Abort, KeyboardInterrupt, OSError) as error:
        return _failed(error)
    return code if isinstance(code, int) else 0


def _failed(error: BaseException) -> int:
    """Say what went wrong; give the exit code."""
    match error:
        case ThirdRailError():
            return _say(f"error: {error}", error.hint, error.exit_code)
        case click.exceptions.NoArgsIsHelpError():
            return _say(error.format_message(), "", UsageError.exit_code)
        case click.ClickException():
            context = getattr(error, "ctx", None)
            hint = f"{context.command_path} --help" if context else ""
            return _say(f"error: {error.format_message()}", hint, UsageError.exit_code)
        case BrokenPipeError():
            # The reader of a pipe has gone (``| head``): leave quietly, also when Python closes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return ThirdRailError.exit_code
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            return _say(f"error: {where}{error.strerror or error}", "", ThirdRailError.exit_code)
        case _:
            return _say(
                "stopped; all that was committed stays, and the same command goes on from there", "", INTERRUPTED
            )


def _say(message: str, hint: str, code: int) -> int:
    hide = Redaction(secrets_of(os.environ)).text
    click.echo(hide(message), err=True)
    if hint:
        click.echo(hide(f"hint: {hint}"), err=True)
    return code
