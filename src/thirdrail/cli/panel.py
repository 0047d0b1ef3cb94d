"""What a person sees while `run` runs: a live panel on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from thirdrail.app.carrying import Carrier
from thirdrail.app.running import Run
from thirdrail.cli.output import console, count, counted, utc
from thirdrail.errors import ThirdRailError
from thirdrail.observe.logs import JSON
from thirdrail.sources.poller import FeedState

LINE_EVERY_S = 30.0
_KEPT_EVENTS = 5
_NARROW = 76
_US = 1_000_000
_STYLES = {"ok": "green", "duplicate": "dim", "": "dim"}


class Display(Protocol):
    """Shows a run; ``say`` may be called from any thread."""

    def say(self, text: str) -> None:
        """Show one event."""
        ...

    def look(self, run: Run) -> None:
        """Show how the run fares; called twice a second."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def display_of(form: str, hide: Callable[[str], str]) -> Display:
    """Give the panel on a terminal, lines elsewhere; nothing where events go to a machine, which has the metrics."""
    if form == JSON:
        return Nothing()
    return Panel(hide) if sys.stdout.isatty() else Lines()


class Nothing:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def say(self, text: str) -> None:
        """Do nothing."""

    def look(self, run: Run) -> None:
        """Do nothing."""


class Lines:
    """One line every 30 s, and one for every event, each with its time."""

    def __init__(self) -> None:
        self._shown_at: float | None = None
        self._last = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._last:
            self.say(self._last)

    def say(self, text: str) -> None:
        """Print one event."""
        click.echo(f"{text}", err=False)
        with suppress(OSError):
            sys.stdout.flush()

    def look(self, run: Run) -> None:
        """Print a line when it is time, and the first one as soon as there is a commit."""
        now = run.clock.monotonic()
        line = f"{utc(run.clock.now())} {summary(run)}"
        is_first = self._shown_at is None and run.state.totals.captures > 0
        if is_first or (self._shown_at is not None and now - self._shown_at >= LINE_EVERY_S):
            self._shown_at = now
            self._last = ""
            self.say(line)
        elif self._shown_at is not None:
            self._last = line


class Panel:
    """The feeds, the tables and the last events, redrawn in place."""

    def __init__(self, hide: Callable[[str], str]) -> None:
        self._hide = hide
        self._live = Live(console=console(), auto_refresh=False, transient=False)
        self._events: list[str] = []

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Keep an event among the last few."""
        self._events = [*self._events, text][-_KEPT_EVENTS:]

    def look(self, run: Run) -> None:
        """Redraw."""
        events = [Text(event, style="dim") for event in self._events]
        self._live.update(Group(*drawn(run, self._live.console.width, self._hide), *events), refresh=True)


def drawn(run: Run, width: int, hide: Callable[[str], str]) -> list[RenderableType]:
    """Give the panel's parts: the feeds, and a run in a line."""
    parts: list[RenderableType] = [_feeds(run, width), Text(""), Text(summary(run))]
    parts += [Text(beside(run, carrier)) for carrier in run.carriers[1:]]
    for carrier in run.carriers:
        if carrier.state.trouble:
            parts.append(Text(hide(f"trouble with {carrier.name}: {carrier.state.trouble}"), style="red"))
    return parts


def beside(run: Run, carrier: Carrier) -> str:
    """Give another sink in a line: rows, freshness, lag."""
    state = carrier.state
    fresh = "no rows yet"
    if state.newest_fetched_at is not None:
        fresh = f"newest capture {max(0, run.clock.now() - state.newest_fetched_at) / _US:.0f} s old"
    return f"{carrier.name}: {sum(state.totals.written.values()):,} rows handed over, {fresh}, lag {run.lag(carrier)}"


def summary(run: Run) -> str:
    """Give a run in a line: rows, freshness, lag, last commit."""
    state, now = run.state, run.clock.now()
    states = run.poller.states.values()
    well = sum(each.outcome in ("ok", "duplicate") for each in states)
    written = sum(state.totals.written.values())
    fresh = "no rows yet"
    if state.newest_fetched_at is not None and state.committed_at is not None:
        fresh = f"newest capture {max(0, now - state.newest_fetched_at) / _US:.0f} s old"
    commit = "" if state.committed_at is None else f", last commit took {state.commit_seconds:.2f} s"
    paused = f", PAUSED: {run.poller.pause}" if run.poller.pause else ""
    return (
        f"{well} of {len(states)} feeds answer, {counted(state.totals.captures, 'capture')}, "
        f"{counted(state.totals.decoded_rows, 'row')} in, {written:,} written, {fresh}, lag {_lag(run)}{commit}{paused}"
    )


def _lag(run: Run) -> str:
    try:
        return count(run.lag())
    except ThirdRailError:
        return "unknown"


def _feeds(run: Run, width: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("feed", no_wrap=True)
    table.add_column("last poll", no_wrap=True)
    table.add_column("header age", justify="right", no_wrap=True)
    table.add_column("polls", justify="right", no_wrap=True)
    if width >= _NARROW:
        table.add_column("", overflow="ellipsis", no_wrap=True)
    for state in run.poller.states.values():
        row = [
            Text(state.feed.id),
            Text(state.outcome or "…", style=_STYLES.get(state.outcome, "red")),
            Text(_header_age(state, run.clock.now())),
            Text(count(state.polls)),
        ]
        table.add_row(*row, *([Text(state.detail or state.feed.meaning, style="dim")] if width >= _NARROW else []))
    return table


def _header_age(state: FeedState, now: int) -> str:
    if state.header_at_s is None:
        return ""
    return f"{now / _US - state.header_at_s:.0f} s"
