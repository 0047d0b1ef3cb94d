"""``run`` and ``demo``: tables of what happens now, for real or simulated."""

import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from thirdrail import __version__, app
from thirdrail.app.data_folder import LIVE, SIMULATED
from thirdrail.app.measuring import not_live, not_ready, samples
from thirdrail.app.running import Run
from thirdrail.city.lines import ROUTES
from thirdrail.city.server import SERVED
from thirdrail.cli.city import fault_rates
from thirdrail.cli.interrupt import Stopping, asked_to_stop
from thirdrail.cli.options import DEFAULT_DATA, config_option, data_option, duration
from thirdrail.cli.output import counted
from thirdrail.cli.panel import Display, display_of
from thirdrail.config.feeds import known_feeds, polled
from thirdrail.config.reading import load
from thirdrail.config.settings import DEFAULT_LISTEN, Config, ObserveConfig
from thirdrail.errors import BadDuration, ThirdRailError, UsageError
from thirdrail.model.feeds import Feed
from thirdrail.observe.clock import SystemClock
from thirdrail.observe.health import Health
from thirdrail.observe.logs import HUMAN, JSON, Event, Log, libraries_heard
from thirdrail.observe.metrics import Page
from thirdrail.observe.redaction import Redaction, secrets_of
from thirdrail.observe.systemd import ALIVE, READY, notify

DEMO_DATA = "./thirdrail-demo"
TIMES_SQUARE = (
    "SELECT route_id, towards, minutes_away, arrival_local FROM predictions_now "
    "WHERE stop_name = 'Times Sq-42 St' AND minutes_away >= 0 ORDER BY minutes_away LIMIT 10"
)
STOPPING = "stopping: what has arrived is committed first; Ctrl-C again leaves at once, safely"
_CITY_STARTS_WITHIN_S = 30.0


def _run_options(function: click.decorators.FC) -> click.decorators.FC:
    for option in (
        click.option("--commit-interval", metavar="DURATION", help="Overrides the configuration: 5s."),
        click.option("--for", "for_", metavar="DURATION", help="Stop by itself after this long: 60s, 2h."),
        click.option("--feeds", "feed_ids", metavar="A,B", help="Only these feeds."),
        click.option("--listen", metavar="ADDRESS:PORT", help="Of /metrics, /livez, /readyz, /health; or off."),
        click.option("--logs", type=click.Choice([HUMAN, JSON]), help="Sentences, or a JSON line per event on stderr."),
    ):
        function = option(function)
    return function


@click.command()
@_run_options
@data_option
@config_option
def run(
    feed_ids: str | None,
    for_: str | None,
    commit_interval: str | None,
    listen: str | None,
    logs: str | None,
    data: Path,
    config_path: Path | None,
) -> int:
    """Keep tables of the live feeds until stopped.

    Ctrl-C or SIGTERM stop within seconds, with everything committed; Ctrl-C twice leaves at once, safely. Other
    commands read the tables meanwhile.
    """
    config = _overridden(load(config_path), commit_interval, listen, logs)
    feeds = polled(config, _names(feed_ids), environment=os.environ)
    return keep_tables(data, config, feeds, LIVE, _seconds(for_))


@click.command()
@_run_options
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed, another New York.")
@click.option("--faults", metavar="NAME=RATE,…", help="Let the feeds misbehave: hollow=0.05, or all=0.05.")
@click.option(
    "--city",
    "size",
    type=click.Choice(["subway", "full"]),
    default="subway",
    show_default=True,
    help="The subway alone, or all of New York.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=DEMO_DATA,
    show_default=True,
    metavar="DIR",
    help="The data folder.",
)
@config_option
def demo(  # noqa: PLR0913, PLR0917 - one per option
    feed_ids: str | None,
    for_: str | None,
    commit_interval: str | None,
    listen: str | None,
    logs: str | None,
    seed: int,
    faults: str | None,
    size: str,
    data: Path,
    config_path: Path | None,
) -> int:
    """Keep tables of a simulated New York: no network and no account needed.

    Its feeds are served on this machine by a second process, at weekday-peak size: the eight of the subway, or with
    `--city full` those of the railroads, 4,000 buses, alerts and elevators, too.
    """
    config = _overridden(load(config_path), commit_interval, listen, logs)
    feeds = polled(config, _names(feed_ids) or list(SERVED if size == "full" else ROUTES), environment=os.environ)
    if foreign := [feed.id for feed in feeds if feed.id not in SERVED]:
        raise UsageError(f"the simulated city does not serve {', '.join(foreign)}", hint=f"it has {', '.join(SERVED)}")
    seconds = _seconds(for_)
    with city_process(seed, faults) as address:
        if config.observe.logs == HUMAN:
            click.echo(f"a simulated New York (seed {seed}) is served at {address}")
        return keep_tables(data, config, tuple(rebased(feed, address) for feed in feeds), SIMULATED, seconds)


def keep_tables(data: Path, config: Config, feeds: tuple[Feed, ...], kind: str, seconds: float | None) -> int:
    """Keep tables of feeds until Ctrl-C, or so many seconds; give the exit code."""
    clock, form = SystemClock(), config.observe.logs
    redaction = Redaction(secrets_of(os.environ, (feed.key_env for feed in known_feeds(config).values())))
    display = display_of(form, redaction.text)
    log = Log(form, display.say, redaction)

    def asked(said: str) -> None:
        if form == JSON:
            log(Event("stopping", said))
        else:
            click.echo(said, err=True)

    with (
        _failure_told(log, form),
        libraries_heard(log),
        asked_to_stop(STOPPING, asked) as stopping,
        app.writing(data, config, clock, kinds=(kind,)) as work,
        display as shown,
    ):
        ids = [feed.id for feed in feeds]
        log(Event("started", _opening(data, config, feeds, kind), data=data, feeds=ids, kind=kind, version=__version__))
        if seconds is not None:
            timer = threading.Timer(seconds, stopping.set)
            timer.daemon = True
            timer.start()
        running = Run(work, feeds, clock, log, trust_environment=kind == LIVE)
        with _watched(running, log, redaction):
            _until_stopped(running, shown, log, stopping)
    return 0


@contextmanager
def _failure_told(log: Log, form: str) -> Iterator[None]:
    """Let whoever collects events have the error that ends a run, too; a person is told as by every command."""
    try:
        yield
    except Exception as error:
        if form == HUMAN:
            raise
        if isinstance(error, ThirdRailError):
            log(Event("failed", str(error), code=error.exit_code, hint=error.hint))
            raise click.exceptions.Exit(error.exit_code) from error
        text, code = f"unexpected {type(error).__name__}: {error}", ThirdRailError.exit_code
        log(Event("failed", text, code=code, hint="please report this", exc_info=error))
        raise click.exceptions.Exit(code) from error


@contextmanager
def _watched(running: Run, log: Log, redaction: Redaction) -> Iterator[None]:
    """Open the port for whoever watches, if one is wanted."""
    wanted = running.config.observe.listen
    if wanted == "off":
        yield
        return
    with _health(running, wanted, redaction) as health:
        log(Event("listening", f"metrics and health at {health.url}/health", url=health.url))
        yield


def _health(running: Run, wanted: str, redaction: Redaction) -> Health:
    host, _, port = wanted.rpartition(":")
    page = Page(lambda: samples(running))

    def opened(number: int) -> Health:
        def hidden(ask: Callable[[Run], dict[str, str]]) -> dict[str, str]:
            return {name: redaction.text(why) for name, why in ask(running).items()}

        return Health((host, number), page, lambda: hidden(not_live), lambda: hidden(not_ready))

    try:
        return opened(int(port))
    except UsageError:
        if wanted != DEFAULT_LISTEN:
            raise
        return opened(0)  # another run has it


def _until_stopped(running: Run, shown: Display, log: Log, stopping: Stopping) -> None:
    def look() -> None:
        if not not_live(running):
            notify(ALIVE, os.environ)
        shown.look(running)

    notify(READY, os.environ)
    running.until_stopped(stopping, look)
    totals = running.state.totals
    written = sum(totals.written.values())
    text = (
        f"stopped; {counted(totals.captures, 'capture')}, {counted(totals.decoded_rows, 'row')} in, "
        f"{written:,} written, all committed"
    )
    log(Event("stopped", text, captures=totals.captures, rows_in=totals.decoded_rows, rows_written=written))


def _opening(data: Path, config: Config, feeds: tuple[Feed, ...], kind: str) -> str:
    name = "a simulated" if kind == SIMULATED else "the live"
    head = (
        f"{counted(len(feeds), 'feed')} of {name} New York into {data}, committed every "
        f"{config.commit_interval_seconds:g} s; Ctrl-C stops. In a second terminal:"
    )
    return "\n".join([head, "", *(f"  {command}" for command in commands_to_paste(data)), ""])


def commands_to_paste(data: Path) -> list[str]:
    """Give two commands that answer while this runs, with the program as it was called and the right folder."""
    program = program_name()
    option = "" if data == Path(DEFAULT_DATA) else f" --data {shlex.quote(str(data))}"
    return [f"{program} status{option}", f'{program} sql{option} "{TIMES_SQUARE}"']


def program_name() -> str:
    """Give how this program was called, so that it can be called again from the same folder."""
    called = os.environ.get("THIRDRAIL_CALLED_AS") or sys.argv[0]
    found = shutil.which("thirdrail")
    if found is not None and Path(found).resolve() == Path(sys.argv[0]).resolve():
        return "thirdrail"
    return shlex.quote(called) if os.access(called, os.X_OK) else f"{shlex.quote(sys.executable)} -m thirdrail"


@contextmanager
def city_process(seed: int, faults: str | None) -> Iterator[str]:
    """Give the address of a city in a process of its own, which ends with this one, however it ends."""
    fault_rates(faults)
    command = [sys.executable, "-m", "thirdrail", "city", "--seed", str(seed), "--until-eof"]
    command += ["--faults", faults] if faults else []
    # A session of its own: Ctrl-C in the terminal is for this process, which asks the city to end.
    process = subprocess.Popen(  # noqa: S603 - our own program
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield _address(process)
    finally:
        assert process.stdin is not None  # noqa: S101 - pipes
        assert process.stdout is not None  # noqa: S101
        process.stdin.close()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
        process.stdout.close()


def _address(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None  # noqa: S101 - a pipe
    began = time.monotonic()
    line = process.stdout.readline().strip()
    if not line.startswith("http://"):
        raise ThirdRailError(f"the simulated city did not start within {time.monotonic() - began:.0f} s: {line!r}")
    return line


def rebased(feed: Feed, address: str) -> Feed:
    """Give the feed at another address, its path unchanged."""
    path = feed.url.split("//", 1)[1].split("/", 1)[1]
    return msgspec.structs.replace(feed, url=f"{address}/{path}")


def _names(text: str | None) -> Sequence[str]:
    return [] if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _seconds(text: str | None) -> float | None:
    return None if text is None else duration(text).total_seconds()


def _overridden(config: Config, interval: str | None, listen: str | None, logs: str | None) -> Config:
    given = {name: value for name, value in (("listen", listen), ("logs", logs)) if value is not None}
    try:
        observe = msgspec.convert(msgspec.to_builtins(config.observe) | given, ObserveConfig)
    except msgspec.ValidationError:
        raise UsageError(f"--listen {listen}: no address and port", hint="127.0.0.1:8001, or off") from None
    config = msgspec.structs.replace(config, observe=observe)
    return config if interval is None else _with_interval(config, interval)


def _with_interval(config: Config, text: str) -> Config:
    seconds = _seconds(text)
    if not seconds:
        raise BadDuration("a commit interval is above zero", hint="5s")
    return msgspec.structs.replace(config, commit_interval_seconds=seconds)
