"""``city``: a simulated New York that serves its feeds. Imports little: ``demo`` waits until it is up."""

import sys
import threading
from pathlib import Path

import click

from thirdrail.city.faults import FAULTS
from thirdrail.city.server import SERVED, CityServer
from thirdrail.city.trains import City
from thirdrail.city.truth import write_truth
from thirdrail.cli.interrupt import Stopping, asked_to_stop
from thirdrail.cli.output import counted
from thirdrail.errors import UsageError


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 takes any free one.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed, another New York.")
@click.option("--speed", type=float, default=1.0, show_default=True, help="Its time runs so many times as fast.")
@click.option("--faults", metavar="NAME=RATE,…", help="Let the feeds misbehave: hollow=0.05, or all=0.05.")
@click.option("--journal", type=click.Path(path_type=Path), help="One JSON line per answer, into this file.")
@click.option(
    "--truth",
    "truth_path",
    type=click.Path(path_type=Path, file_okay=False),
    help="What really happened, as Parquet files into this folder at the end.",
)
@click.option("--until-eof", is_flag=True, help="Stop when standard input ends.")
def city(
    port: int,
    seed: int,
    speed: float,
    faults: str | None,
    journal: Path | None,
    truth_path: Path | None,
    *,
    until_eof: bool,
) -> int:
    """Serve a simulated New York on this machine, for tests and demonstrations.

    Point feeds at it with `feeds.<id>.url` in a configuration; their addresses are printed. The truth, from
    start to end: every arrival and departure of trains and buses, and the life of every alert and outage.
    """
    server = CityServer(seed=seed, speed=speed, faults=fault_rates(faults), journal=journal, port=port)
    with asked_to_stop("stopping") as stopping, server:
        click.echo(server.url)
        for feed_id in SERVED:
            click.echo(f"  {feed_id:22s} {server.url_of(feed_id)}")
        sys.stdout.flush()
        if until_eof:
            stop_at_eof(stopping)
        began = int(server.now())
        stopping.wait()
        ended = int(server.now())
    if truth_path is not None:
        rows = write_truth(City(seed), began, ended, truth_path)
        passed, lived = counted(rows["passages"], "passage"), f"{rows['lives']:,} lives"
        click.echo(f"{passed} of trains and buses, {lived} of alerts and outages written to {truth_path}", err=True)
    return 0


def fault_rates(text: str | None) -> dict[str, float]:
    """Give fault names and rates of ``hollow=0.05,xml_200=0.1`` or ``all=0.05``.

    Raises:
        UsageError: an unknown fault, or no rate between 0 and 1.
    """
    found: dict[str, float] = {}
    for part in (text or "").split(","):
        name, _, rate = part.strip().partition("=")
        if not name:
            continue
        try:
            number = float(rate)
        except ValueError:
            number = -1.0
        if not 0 <= number <= 1 or name not in (*FAULTS, "all"):
            raise UsageError(f"{part!r} is no fault and rate", hint=f"hollow=0.05; faults: {', '.join(FAULTS)}")
        found |= dict.fromkeys(FAULTS, number) if name == "all" else {name: number}
    return found


def stop_at_eof(stopping: Stopping) -> None:
    """Let the end of standard input ask to stop: whoever began this process has gone."""

    def wait() -> None:
        sys.stdin.read()
        stopping.set()

    threading.Thread(target=wait, daemon=True).start()
