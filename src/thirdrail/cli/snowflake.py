"""``snowflake``: what is to be made there, how it fares, and what is at fault when it does not."""

import os
from dataclasses import replace
from pathlib import Path

import click

from thirdrail.cli.options import config_option
from thirdrail.cli.output import print_json
from thirdrail.config import load
from thirdrail.errors import NoInput, UsageError
from thirdrail.sinks.snowflake.ddl import ddl as ddl_of
from thirdrail.sinks.snowflake.ddl import described
from thirdrail.sinks.snowflake.statements import Names, names_of
from thirdrail.sinks.snowflake.upgrade import read_old, upgrade


@click.group()
def snowflake() -> None:
    """Set up, examine and tend the tables in Snowflake (docs/snowflake.md)."""


@snowflake.command()
@config_option
@click.option("--database", metavar="NAME", help="Else of the configuration, else MTA.")
@click.option("--schema", metavar="NAME", help="Else of the configuration, else REALTIME.")
@click.option("--user", metavar="NAME", help="Service user; else of the configuration, else THIRDRAIL_SVC.")
@click.option("--role", metavar="NAME", help="Else of the configuration, else THIRDRAIL_INGEST.")
@click.option("--warehouse", metavar="NAME", help="Readers may use it.")
@click.option("--external-volume", metavar="NAME", help="Your own storage; else Snowflake's (SNOWFLAKE_MANAGED).")
@click.option("--public-key", type=click.Path(path_type=Path), metavar="FILE", help="PEM, to be set for the user.")
@click.option("--partitioned", is_flag=True, help="Tables partitioned by day of fetched_at.")
@click.option("--default-pipes", is_flag=True, help="Channels through Snowflake's default pipes.")
@click.option("--diff", type=click.Path(path_type=Path), metavar="FILE", help="Only what differs from that printout.")
@click.option("--json", "as_json", is_flag=True, help="The tables as data, for a later --diff.")
def ddl(  # noqa: PLR0913 - one per option
    *,
    config_path: Path | None,
    database: str | None,
    schema: str | None,
    user: str | None,
    role: str | None,
    warehouse: str | None,
    external_volume: str | None,
    public_key: Path | None,
    partitioned: bool,
    default_pipes: bool,
    diff: Path | None,
    as_json: bool,
) -> int:
    """Print all SQL that an account needs: tables, pipes, user, grants, views. Runs nothing, needs no account.

    With --diff FILE (an older printout, SQL or --json): the statements of the upgrade.
    """
    given = {
        "database": database,
        "schema": schema,
        "user": user,
        "role": role,
        "warehouse": warehouse,
        "external_volume": external_volume,
    }
    names = names_of(load(config_path).snowflake, os.environ, given)
    names = _with(names, public_key, partitioned=partitioned, default_pipes=default_pipes)
    if as_json:
        print_json(described())
    elif diff is not None:
        click.echo(upgrade(read_old(_text(diff), str(diff)), names), nl=False)
    else:
        click.echo(ddl_of(names), nl=False)
    return 0


def _with(names: Names, public_key: Path | None, *, partitioned: bool, default_pipes: bool) -> Names:
    return replace(
        names,
        partitioned=partitioned,
        default_pipes=default_pipes or names.default_pipes,
        public_key="" if public_key is None else _key(public_key),
    )


def _text(path: Path) -> str:
    if not path.is_file():
        raise NoInput(f"there is no file {path}")
    return path.read_text()


def _key(path: Path) -> str:
    """Give the one line of a public key, without its armour."""
    lines = _text(path).strip().splitlines()
    if not lines or lines[0].strip() != "-----BEGIN PUBLIC KEY-----":
        raise UsageError(
            f"{path} is no public key in PEM",
            hint="openssl rsa -in thirdrail_key.p8 -pubout -out thirdrail_key.pub; never give the private one",
        )
    return "".join(line.strip() for line in lines[1:-1])
