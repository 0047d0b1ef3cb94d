"""``snowflake``: what is to be made there, how it fares, and what is at fault when it does not."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import click

from thirdrail.app.channels import Channels
from thirdrail.app.staged import StagedState, staged_states
from thirdrail.cli.options import config_option, data_option, json_option
from thirdrail.cli.output import count, print_json, show
from thirdrail.config.reading import load
from thirdrail.errors import NoInput, UsageError
from thirdrail.observe.clock import SystemClock
from thirdrail.sinks.snowflake.account import account_of
from thirdrail.sinks.snowflake.channel_states import NO_CHANNEL, ChannelState
from thirdrail.sinks.snowflake.ddl import ddl as ddl_of
from thirdrail.sinks.snowflake.ddl import described
from thirdrail.sinks.snowflake.doctor import Doctor, examined
from thirdrail.sinks.snowflake.examination import ICEBERG_STREAMING, Step, redacted
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


@snowflake.command()
@config_option
@json_option
@click.option("--record", type=click.Path(path_type=Path), metavar="FILE", help="Write a report without names or keys.")
@click.option("--patience", "patience_s", default=60.0, show_default=True, metavar="S", help="Wait for the commit.")
def doctor(config_path: Path | None, record: Path | None, patience_s: float, *, as_json: bool) -> int:
    """Walk from the key to a committed row, and name what is at fault, with the SQL that mends it.

    Writes one row into THIRDRAIL_DOCTOR. ENABLE_ICEBERG_STREAMING is not looked for: it is a property of the older
    streaming SDK's client, not an option of a table.
    """
    clock, config = SystemClock(), load(config_path).snowflake
    account = account_of(config, os.environ)
    examiner = Doctor(account, config, names_of(config, os.environ), clock, patience_s=patience_s)
    found = examined(examiner, clock, lambda step: None if as_json else _say(step))
    if record is not None:
        record.write_bytes(redacted(found, account))
        click.echo(f"{record}: no names, no keys; it may be shown to anybody", err=True)
    if as_json:
        print_json(found)
    else:
        click.echo(ICEBERG_STREAMING)
    return 0 if found.is_well else 1


def _say(step: Step) -> None:
    mark = {True: "ok", False: "FAULT", None: "-"}[step.ok]
    click.echo(f"{mark:<6}{step.step:<9}{step.found}")
    for line in step.fix.splitlines():
        click.echo(f"{'':<15}{line}")


@snowflake.command()
@data_option
@config_option
@json_option
def status(data: Path, config_path: Path | None, *, as_json: bool) -> int:
    """Say how every table's channel is: committed token, rows, refused rows, lag behind the log.

    1 when a channel is in another state than SUCCESS, or rows were refused and nobody has settled that. With the method
    `snowpipe`: how its staged files are; 1 when one was refused, or rows were, and nobody has settled that.
    """
    config, clock = load(config_path), SystemClock()
    if config.snowflake.ingestion_method == "snowpipe":
        return _show_files(staged_states(data, config, clock), as_json=as_json)
    return _show_states(Channels(data, config, clock).states(), as_json=as_json)


def _show_files(found: list[StagedState], *, as_json: bool) -> int:
    numbers = ("loaded", "lag", "waiting", "bytes", "oldest s", "refused")
    if as_json:
        print_json(found)
    else:
        show(
            ("table", "partition", *numbers, "last error"),
            [
                (
                    each.table,
                    each.partition,
                    "" if each.loaded is None else str(each.loaded),
                    count(each.lag),
                    count(each.waiting),
                    count(each.waiting_bytes),
                    "" if each.oldest_s is None else f"{each.oldest_s:.0f}",
                    count(each.refused),
                    each.last_error,
                )
                for each in found
            ],
            right=numbers,
            prose=["last error"],
            spare=("last error", "partition"),
        )
        _show_unsettled(found)
    return 1 if any(each.refused or each.unsettled for each in found) else 0


def _show_states(found: list[ChannelState], *, as_json: bool) -> int:
    numbers = ("rows", "refused", "unsettled", "lag")
    if as_json:
        print_json(found)
    else:
        show(
            ("table", "partition", "channel", "status", "committed", *numbers, "last error"),
            [
                (
                    each.table,
                    each.partition,
                    each.key,
                    "no channel yet" if each.status == NO_CHANNEL else each.status,
                    each.token or "",
                    count(each.rows_inserted),
                    count(each.rows_refused),
                    "" if each.unsettled is None else count(len(each.unsettled)),
                    count(each.lag),
                    each.last_error,
                )
                for each in found
            ],
            right=numbers,
            prose=["last error"],
            spare=("last error", "partition", "channel"),
        )
        _show_unsettled(found)
    return 1 if any(_is_at_fault(each) for each in found) else 0


def _show_unsettled(found: Iterable[StagedState | ChannelState]) -> None:
    for text in (text for each in found for text in each.unsettled or ()):
        click.echo(f"not settled: {text} (thirdrail quarantine replay, or accept)")


def _is_at_fault(state: ChannelState) -> bool:
    refused = state.rows_refused if state.unsettled is None else len(state.unsettled)
    return bool((state.exists and state.status != "SUCCESS") or refused)


@snowflake.group()
def channels() -> None:
    """List, drop, restore and forget channels."""


@channels.command("list")
@data_option
@config_option
@click.option("--deployment", default="", metavar="NAME", help="Of another installation.")
@json_option
def list_(data: Path, config_path: Path | None, deployment: str, *, as_json: bool) -> int:
    """List the channels that there are (PIPE/CHANNEL)."""
    found = Channels(data, load(config_path), SystemClock(), deployment=deployment).states()
    _show_states([each for each in found if each.exists], as_json=as_json)
    return 0


@channels.command("drop")
@click.argument("name", metavar="PIPE/CHANNEL")
@data_option
@config_option
@click.option("--deployment", default="", metavar="NAME", help="Of another installation.")
def drop_(name: str, data: Path, config_path: Path | None, deployment: str) -> int:
    """Drop a channel that nobody uses; refuses while it moves, or while its token is needed."""
    state = Channels(data, load(config_path), SystemClock(), deployment=deployment).drop(name)
    click.echo(f"{name}: dropped; its token was {state.token}")
    return 0


@channels.command()
@click.argument("name", metavar="PIPE/CHANNEL")
@data_option
@config_option
def forget(name: str, data: Path, config_path: Path | None) -> int:
    """Let the data folder forget a channel that is gone: `run` begins a new one where the other tables are.

    Rows of the last seconds before it went may then be in its table twice.
    """
    Channels(data, load(config_path), SystemClock()).forget(name)
    click.echo(f"{name}: forgotten")
    return 0


@channels.command()
@click.argument("file", type=click.Path(path_type=Path))
@data_option
@config_option
def restore(file: Path, data: Path, config_path: Path | None) -> int:
    """Give channels of pipes that were replaced the tokens that `snowflake status --json` wrote into FILE."""
    found = Channels(data, load(config_path), SystemClock()).restore(file)
    rows = [(each.channel, each.was, each.now or "", "as before" if each.is_done else "DIFFERS") for each in found]
    show(("channel", "was", "is", ""), rows)
    return 0 if all(each.is_done for each in found) else 1
