"""``rehearse``: the simulated city into Iceberg and the stand-in for Snowflake, side by side, and both compared."""

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import click
import msgspec

from thirdrail import app
from thirdrail.app.data_folder import SIMULATED
from thirdrail.city.lines import ROUTES
from thirdrail.city.server import SERVED
from thirdrail.cli.live import city_process, keep_tables, rebased
from thirdrail.cli.options import config_option, duration, json_option
from thirdrail.cli.output import count, print_json, show
from thirdrail.config.feeds import polled
from thirdrail.config.reading import load
from thirdrail.config.settings import Config, SnowflakeConfig
from thirdrail.errors import ThirdRailError
from thirdrail.maintenance.sameness import Sameness, compared
from thirdrail.model.tables import TABLES
from thirdrail.observe.clock import SystemClock

Method = Literal["snowpipe_streaming", "snowpipe"]


@click.command()
@click.option("--for", "for_", default="45s", show_default=True, metavar="DURATION", help="How long feeds are polled.")
@click.option("--commit-delay", type=float, default=1.0, show_default=True, help="Seconds that the stand-in takes.")
@click.option(
    "--method",
    type=click.Choice(["snowpipe_streaming", "snowpipe"]),
    help="How rows get there; else as configured (snowpipe_streaming).",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed, another New York.")
@click.option("--city", "size", type=click.Choice(["subway", "full"]), default="subway", show_default=True)
@click.option("--faults", metavar="NAME=RATE,…", help="Let the feeds misbehave: hollow=0.05, or all=0.05.")
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", help="Keep what is written there.")
@config_option
@json_option
def rehearse(  # noqa: PLR0913 - one per option
    for_: str,
    commit_delay: float,
    method: Method | None,
    seed: int,
    size: str,
    faults: str | None,
    data: Path | None,
    config_path: Path | None,
    *,
    as_json: bool,
) -> int:
    """Fill local Iceberg tables and a stand-in for Snowflake side by side, and compare them row for row.

    Needs no account: the official clients talk to `thirdrail emulator`, the feeds are a simulated New York's. Ends with
    0 only when both hold the same rows.
    """
    seconds = duration(for_).total_seconds()
    with _folder(data) as folder:
        config = load(config_path)
        wanted = msgspec.structs.replace(config.snowflake, ingestion_method=method or config.snowflake.ingestion_method)
        config = msgspec.structs.replace(config, snowflake=wanted)
        found = _rehearsed(folder, config, seed, size, faults, seconds, commit_delay)
    if as_json:
        print_json([asdict(each) | {"same": each.is_same} for each in found])
    else:
        heads = ("iceberg", "snowflake", "only in iceberg", "only in snowflake")
        show(("table", *heads), [_row(each) for each in found], right=heads)
    rows, same = sum(each.here for each in found), all(each.is_same for each in found)
    click.echo(f"{rows:,} rows, {'the same in both' if same and rows else 'NOT the same in both'}", err=True)
    return 0 if same and rows else 1


def _rehearsed(
    folder: Path, config: Config, seed: int, size: str, faults: str | None, seconds: float, commit_delay: float
) -> list[Sameness]:
    stand_in, tables = folder / "emulator", folder / "data"
    with city_process(seed, faults) as address, _emulator(stand_in, commit_delay) as way:
        place = {name: getattr(way, name) for name in ("account", "user", "private_key_path", "url", "ca_file")}
        wanted = msgspec.structs.replace(config.snowflake, **place)
        config = msgspec.structs.replace(config, sinks=("iceberg", "snowflake"), snowflake=wanted)
        feeds = polled(config, list(SERVED if size == "full" else ROUTES), environment=os.environ)
        keep_tables(tables, config, tuple(rebased(feed, address) for feed in feeds), SIMULATED, seconds)
        # Opened once more, as after a restart: what was on its way is settled or sent again.
        with app.writing(tables, config, SystemClock(), kinds=(SIMULATED,)) as work:
            work.drain(app.Totals())
    return compared_folders(tables, stand_in)


def compared_folders(tables: Path, stand_in: Path) -> list[Sameness]:
    """Compare the tables of a data folder with those of an emulator's."""
    from thirdrail.emulator.looking import query  # noqa: PLC0415 - wants libraries of an extra

    folder = app.DataFolder.existing(tables)
    found = []
    for table in TABLES:
        here = app.pinned(folder, table)
        there = query(stand_in, f"SELECT * FROM {table.name}")  # noqa: S608 - a declared name
        found.append(compared(table, here.read(here.files, table.names()), there))
    return found


def _row(each: Sameness) -> tuple[str, ...]:
    return (each.table, *map(count, (each.here, each.there, each.only_here, each.only_there)))


@contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    if data is not None:
        data.mkdir(parents=True, exist_ok=True)
        yield data.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="thirdrail-rehearsal-") as folder:
        yield Path(folder)


@contextmanager
def _emulator(folder: Path, commit_delay: float) -> Iterator[SnowflakeConfig]:
    """Give the way to an emulator in a process of its own, which ends with this one, however it ends."""
    command = [sys.executable, "-m", "thirdrail", "emulator", "serve", "--until-eof", "--data", str(folder)]
    command += ["--commit-delay", str(commit_delay)]
    process = subprocess.Popen(  # noqa: S603 - our own program
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - pipes
    try:
        process.stdout.readline()
        lines = []
        while line := process.stdout.readline():
            lines.append(line)
            if line.startswith("ca_file"):
                break
        else:
            raise ThirdRailError("the emulator did not start", hint="what it said stands above")
        yield msgspec.convert(tomllib.loads("".join(lines)), Config).snowflake
    finally:
        process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
