"""The entry point: every command, and the one place where errors become sentences."""

import os
import sys
from collections.abc import Sequence

import click

from thirdrail import __version__
from thirdrail.cli.captures import captures
from thirdrail.cli.configuration import config
from thirdrail.cli.ingest import feeds, replay
from thirdrail.cli.look import audit, sql, tables
from thirdrail.cli.quarantine import quarantine
from thirdrail.errors import ThirdRailError

INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="thirdrail", message="%(prog)s %(version)s")
def commands() -> None:
    """Turn New York's transit feeds into Iceberg tables, each row exactly once."""


for command in (replay, tables, sql, audit, captures, quarantine, config, feeds):
    commands.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code.

    0 done, 1 a result that is not well, 2 used wrongly, 130 stopped by Ctrl-C.
    """
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; give its exit code. Errors are one line and a hint, never a traceback."""
    try:
        code = commands.main(args=arguments, prog_name="thirdrail", standalone_mode=False)
        sys.stdout.flush()
    except ThirdRailError as error:
        return _say(str(error), error.hint, error.exit_code)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        return _say(error.format_message(), _usage_hint(error), 2)
    except (click.Abort, KeyboardInterrupt):
        return _say("stopped; everything committed stays, and the same command goes on from there", "", INTERRUPTED)
    except BrokenPipeError:
        # The reader of a pipe has gone (``| head``): leave quietly, also when Python closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code if isinstance(code, int) else 0


def _say(message: str, hint: str, code: int) -> int:
    click.echo(f"error: {message}" if code != INTERRUPTED else message, err=True)
    if hint:
        click.echo(f"hint: {hint}", err=True)
    return code


def _usage_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path} --help" if context else ""
