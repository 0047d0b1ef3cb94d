"""What hangs is begun anew and nothing is lost or doubled; what is frozen at its source, silent or failing is not."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.clock import FakeClock
from tests.faults.process import eventually
from tests.live.configured import configured
from thirdrail import app
from thirdrail.app.data_folder import SIMULATED
from thirdrail.app.measuring import not_live, not_ready, samples
from thirdrail.app.running import Patience, Run
from thirdrail.app.watchdog import IN_A_ROW, Part, Watchdog
from thirdrail.app.writing import Writing
from thirdrail.city.server import CityServer
from thirdrail.config.feeds import polled
from thirdrail.config.reading import load
from thirdrail.errors import CatalogUnavailable
from thirdrail.model.feeds import Feed
from thirdrail.observe.clock import SystemClock
from thirdrail.observe.logs import Event
from thirdrail.observe.metrics import Buckets
from thirdrail.sinks.iceberg.sink import IcebergWriter
from thirdrail.sources.answers import Answer
from thirdrail.sources.http import Fetcher, HttpFetcher

FEEDS = ("subway_g", "subway_l")
PATIENCE = Patience(poller_s=2.0, sink_s=3.0)
WITH_WORKERS = Patience(poller_s=2.0, sink_s=15.0)
"""Two processes are begun first."""


class Hanging:
    """A fetcher whose first polls of one feed do not come back: its task alone hangs, or the whole thread."""

    def __init__(self, inner: Fetcher, hangs: "Hangs") -> None:
        self._inner, self._hangs = inner, hangs

    async def fetch(self, feed: Feed, key: str) -> Answer:
        """Ask, or hang."""
        if feed.id == FEEDS[0] and self._hangs.left:
            self._hangs.left -= 1
            self._hangs.hung += 1
            if self._hangs.whole_thread:
                self._hangs.over.wait(60)
            else:
                await asyncio.Event().wait()
        return await self._inner.fetch(feed, key)


class Hangs:
    """How often, and until when."""

    def __init__(self, left: int, *, whole_thread: bool) -> None:
        self.left, self.whole_thread, self.hung = left, whole_thread, 0
        self.over = threading.Event()


class Rig:
    """A run in a thread, with what it says."""

    def __init__(self, work: Writing, run: Run, said: list[Event]) -> None:
        self.work, self.run, self.said = work, run, said

    def said_of(self, text: str) -> int:
        """Count what was said with a text in it."""
        return sum(text in str(event) for event in self.said)


@contextmanager
def running(tmp_path: Path, city: CityServer, hangs: Hangs | None = None, **keys: Any) -> Iterator[Rig]:
    said: list[Event] = []
    clock, stopping = SystemClock(), threading.Event()
    config = load(configured(tmp_path / "run.toml", city, feeds=FEEDS, commit_interval_seconds=0.3, **keys))

    @asynccontextmanager
    async def fetcher() -> AsyncIterator[Fetcher]:
        async with HttpFetcher.open(clock, config.poller, trust_environment=False) as inner:
            yield inner if hangs is None else Hanging(inner, hangs)

    with app.writing(tmp_path / "data", config, clock, kinds=(SIMULATED,)) as work:
        feeds = polled(config, environment={})
        run = Run(
            work,
            feeds,
            clock,
            said.append,
            open_fetcher=fetcher,
            patience=WITH_WORKERS if "workers" in keys else PATIENCE,
        )
        thread = threading.Thread(target=run.until_stopped, args=(stopping, lambda: None))
        thread.start()
        try:
            yield Rig(work, run, said)
        finally:
            stopping.set()
            if hangs is not None:
                hangs.over.set()
            thread.join(60)
            assert not thread.is_alive()


def restarts(run: Run) -> dict[str, float | Buckets]:
    """Give the metrics."""
    found = {sample.name: sample.value for sample in samples(run)}
    return {part: found[f"thirdrail_{part}_restarts_total"] for part in ("poller", "sink")}


def polls(run: Run) -> int:
    return run.poller.states[FEEDS[0]].polls


@pytest.mark.parametrize("whole_thread", [False, True], ids=["a task", "the thread"])
def test_a_poller_that_hangs_is_begun_anew(tmp_path: Path, whole_thread: bool) -> None:
    hangs = Hangs(1, whole_thread=whole_thread)
    with CityServer(seed=3) as city, running(tmp_path, city, hangs) as rig:
        first = rig.run.poller
        eventually(lambda: hangs.hung, 10, "it hangs")
        eventually(lambda: rig.run.poller is not first, 20, "another takes its place")
        eventually(lambda: polls(rig.run) > 3, 20, "the feed is asked")
        eventually(lambda: not not_ready(rig.run), 20, "all is ready")
        assert not not_live(rig.run)
        eventually(lambda: rig.said_of("the poller moves again, restarts: 1"), 20, "it is said")
        hangs.over.set()  # the old one comes back, and ends
        eventually(lambda: not first._thread.is_alive(), 20, "the old thread ends")
        assert restarts(rig.run) == {"poller": 1, "sink": 0}
        assert rig.said_of("is restarted, nothing is lost") == 1
    assert app.audit(app.DataFolder.existing(tmp_path / "data"), None).ok


def test_a_poller_that_hangs_again_and_again_is_left_to_whoever_supervises(tmp_path: Path) -> None:
    hangs = Hangs(99, whole_thread=False)
    with CityServer(seed=3) as city, running(tmp_path, city, hangs) as rig:
        eventually(lambda: not_live(rig.run), 60, "a new process is asked for")
        assert not_live(rig.run)["the poller"].endswith(f"after {IN_A_ROW} restarts")
        assert hangs.hung == IN_A_ROW + 1
        assert restarts(rig.run)["poller"] == IN_A_ROW
        eventually(lambda: f"feed {FEEDS[0]}" in not_ready(rig.run), 20, "the feed is named")
        assert f"feed {FEEDS[1]}" not in not_ready(rig.run)


@pytest.mark.parametrize(("workers", "after"), [(1, False), (1, True), (2, True)])
def test_a_sink_whose_call_does_not_come_back_is_begun_anew_and_nothing_is_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, after: bool
) -> None:
    name = "commit" if workers == 1 else "commit_prepared"
    real: Callable[..., None] = getattr(IcebergWriter, name)
    over, hung, armed = threading.Event(), threading.Event(), threading.Event()

    def commit(self: IcebergWriter, *given: Any) -> None:
        if armed.is_set() and not hung.is_set():
            hung.set()
            if after:
                real(self, *given)
            over.wait(60)
            if after:
                return
        real(self, *given)

    monkeypatch.setattr(IcebergWriter, name, commit)
    with CityServer(seed=5) as city, running(tmp_path, city, **({"workers": workers} if workers > 1 else {})) as rig:
        eventually(lambda: rig.run.state.totals.captures > 4, 60, "captures are carried")
        first, before = rig.run.carriers[0], rig.run.state.totals.captures
        armed.set()
        eventually(hung.is_set, 10, "it hangs")
        eventually(lambda: rig.run.carriers[0] is not first, 30, "another takes its place")
        eventually(lambda: rig.run.state.totals.captures > before + 4, 60, "captures are carried")
        over.set()  # the old one comes back, and goes on with its commits
        eventually(lambda: first.join(0), 30, "the old thread ends")
        at = rig.run.state.totals.captures
        eventually(lambda: rig.run.state.totals.captures > at + 2, 30, "captures are carried")
        assert not not_live(rig.run)
        assert restarts(rig.run) == {"poller": 0, "sink": 1}
    report = app.audit(app.DataFolder.existing(tmp_path / "data"), None)
    assert report.ok
    assert report.rows_found > 0


def test_a_restart_that_fails_leaves_the_old_one_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, over, hung, armed = IcebergWriter.commit, threading.Event(), threading.Event(), threading.Event()

    def commit(self: IcebergWriter, *given: Any) -> None:
        if armed.is_set() and not hung.is_set():
            hung.set()
            over.wait(60)
        real(self, *given)

    def no_pipeline(*_: object) -> None:
        raise CatalogUnavailable("the catalog does not answer")

    monkeypatch.setattr(IcebergWriter, "commit", commit)
    with CityServer(seed=5) as city, running(tmp_path, city) as rig:
        eventually(lambda: rig.run.state.totals.captures > 4, 60, "captures are carried")
        monkeypatch.setattr(Writing, "pipeline", no_pipeline)
        first, before = rig.run.carriers[0], rig.run.state.totals.captures
        armed.set()
        eventually(lambda: rig.said_of("cannot be restarted: the catalog does not answer"), 30, "it is said")
        over.set()
        eventually(lambda: rig.run.state.totals.captures > before + 4, 60, "captures are carried")
        assert rig.run.carriers[0] is first
        assert not not_live(rig.run)
    assert app.audit(app.DataFolder.existing(tmp_path / "data"), None).ok


def test_a_frozen_feed_a_silent_city_and_errors_restart_nothing(tmp_path: Path) -> None:
    with CityServer(seed=6, speed=1e-9) as city, running(tmp_path, city) as rig:
        eventually(lambda: polls(rig.run) > 3, 30, "the feed is asked")
        until = time.monotonic() + 3 * PATIENCE.sink_s
        while time.monotonic() < until:
            assert not not_ready(rig.run)
            time.sleep(0.1)
        assert rig.run.poller.states[FEEDS[0]].outcomes["duplicate"] > 3, "the feed stood still"
        city._faults |= {"http_503": 1.0}
        eventually(lambda: rig.run.poller.states[FEEDS[0]].failures_in_a_row > 1, 30, "polls fail")
        time.sleep(1.5 * PATIENCE.sink_s)
        assert not not_live(rig.run)
        assert restarts(rig.run) == {"poller": 0, "sink": 0}
        assert not rig.said_of("has not come back")


def test_the_watchdog_warns_restarts_says_that_it_helped_and_counts_anew() -> None:
    clock = FakeClock()
    said: list[str] = []
    stuck_since: list[float] = [clock.monotonic()]
    moves: list[bool] = []

    def restart() -> None:
        stuck_since[0] = clock.monotonic()

    def look(after: float) -> None:
        clock.advance(after)
        dog.look()
        if (thread := dog._watched["it"].thread) is not None:
            thread.join(5)

    dog = Watchdog(
        [Part("it", 10.0, lambda: clock.monotonic() - stuck_since[0], restart, lambda: bool(moves))],
        lambda event: said.append(str(event)),
    )
    look(4)
    assert said == []
    look(2)
    assert said == ["it has not come back for 6 s; after 10 s it is restarted"]
    look(5)
    assert said[1:] == ["it has not come back for 11 s: it is restarted, nothing is lost"]
    look(0)
    assert said[2:] == [], "a restart proves nothing yet"
    moves.append(True)
    look(0)
    assert said[2:] == ["it moves again, restarts: 1"]
    moves.clear()
    for _ in range(IN_A_ROW):
        look(11)
    assert said[-1].endswith("if that is in vain, only a new process may help")
    assert dog.hopeless() == {}
    look(11)
    assert dog.hopeless() == {"it": f"it has not come back for 11 s, after {IN_A_ROW} restarts"}
    assert dog.restarts("it") == 1 + IN_A_ROW


def test_a_restart_that_fails_is_said_and_tried_again() -> None:
    clock = FakeClock()
    said: list[str] = []
    began = clock.monotonic()

    def restart() -> None:
        raise OSError("no")

    dog = Watchdog(
        [Part("it", 10.0, lambda: clock.monotonic() - began, restart, lambda: False)],
        lambda event: said.append(str(event)),
    )
    for _ in range(2):
        clock.advance(11)
        dog.look()
        thread = dog._watched["it"].thread
        assert thread is not None
        thread.join(5)
    assert said.count("it cannot be restarted: unexpected OSError: no") == 2
