"""The entry point: every command, and the one place where errors become sentences."""

import os
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from importlib import import_module
from types import TracebackType
from typing import cast

import click

from thirdrail import __version__
from thirdrail.errors import ThirdRailError, UsageError
from thirdrail.observe.redaction import Redaction, secrets_of

INTERRUPTED = 130
MODULES = {
    "demo": "live",
    "run": "live",
    "status": "status",
    "report": "report",
    "tables": "look",
    "sql": "look",
    "audit": "look",
    "maintain": "maintain",
    "rebuild": "rebuild",
    "backfill": "rebuild",
    "relocate": "relocate",
    "backup": "backup",
    "restore": "backup",
    "catalog": "catalog",
    "snowflake": "snowflake",
    "dbt": "dbt",
    "replay": "ingest",
    "feeds": "feeds",
    "captures": "captures",
    "quarantine": "quarantine",
    "config": "configuration",
    "city": "city",
    "emulator": "emulator",
    "rehearse": "rehearse",
}
"""Command → the module of this room that has it, under the same name."""


class _Imported(Mapping[str, click.Command]):
    """Every command by its name, imported when asked for: libraries take seconds, and few commands need all of them."""

    def __getitem__(self, name: str) -> click.Command:
        command: click.Command = getattr(import_module(f"thirdrail.cli.{MODULES[name]}"), name)
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)


@click.group(
    commands=cast("MutableMapping[str, click.Command]", _Imported()),  # click reads it alone
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="thirdrail", message="%(prog)s %(version)s")
def commands() -> None:
    """Turn New York's transit feeds into Iceberg tables, each row exactly once."""


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
