"""`run`: the poller fills the log, this loop carries it into the tables, until asked to stop."""

import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from thirdrail.app.caring import Caretaker
from thirdrail.app.data_folder import disk
from thirdrail.app.writing import Totals, Writing
from thirdrail.capturelog.spool import PARTITION
from thirdrail.config import Config
from thirdrail.errors import ThirdRailError
from thirdrail.model.feeds import Feed
from thirdrail.model.ports import Clock
from thirdrail.sources.http import Fetcher, HttpFetcher
from thirdrail.sources.poller import Poller

EXPIRE_EVERY_S = 600.0
LOOK_EVERY_S = 0.5
LAST_COMMITS_WITHIN_S = 6.0
LONGEST_WAIT_S = 30.0
_SAID_AGAIN_S = 300.0

Say = Callable[[str], None]


@dataclass(slots=True)
class RunState:
    """What a person wants to know of a run; written by the main loop alone. Instants are µs UTC."""

    started_at: int
    totals: Totals = field(default_factory=Totals)
    position: int = 0
    committed_at: int | None = None
    commit_seconds: float = 0.0
    newest_fetched_at: int | None = None
    trouble: str = ""


class Run:
    """One run on an opened data folder. ``until_stopped`` blocks; everything else is for looking."""

    def __init__(
        self,
        work: Writing,
        feeds: tuple[Feed, ...],
        clock: Clock,
        say: Say,
        *,
        open_fetcher: Callable[[], AbstractAsyncContextManager[Fetcher]] | None = None,
        trust_environment: bool = True,
    ) -> None:
        config = work.config
        self.work, self.clock, self._say = work, clock, say
        self.state = RunState(started_at=clock.now())
        self.poller = Poller(
            work.log,
            PARTITION,
            feeds,
            open_fetcher or (lambda: HttpFetcher.open(clock, config.poller, trust_environment=trust_environment)),
            clock,
            say=say,
            paused=lambda: disk(work.folder, config).shortage,
        )
        self.caretaker = Caretaker(work.folder, config, clock, say)
        self._said: dict[str, float] = {}
        self._failures = 0

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.work.config

    def lag(self) -> int:
        """Records in the log that no table has yet."""
        return self.work.log.count(PARTITION, self.work.pipeline.position)

    def until_stopped(self, stopping: threading.Event, look: Callable[[], None]) -> None:
        """Poll and commit until told to stop; then commit what has arrived. ``look`` is called twice a second.

        What goes wrong on the way to the tables is said and tried again: the poller goes on filling the log.
        """
        self.work.note_settings()
        self.poller.start()
        self.caretaker.start()
        expired_at = self.clock.monotonic()
        try:
            while not stopping.is_set() and self.poller.failure is None:
                began = self.clock.monotonic()
                self._carry()
                if self.clock.monotonic() - expired_at >= EXPIRE_EVERY_S:
                    expired_at = self.clock.monotonic()
                    self._expire()
                wait = self.config.commit_interval_seconds
                if self._failures:
                    wait = min(LONGEST_WAIT_S, max(1.0, wait) * 2.0 ** min(self._failures - 1, 6))
                self._wait(began + wait, stopping, look)
        finally:
            self.poller.stop()
            self.caretaker.stop()
        self._carry_the_rest()
        look()
        if self.poller.failure is not None:
            raise ThirdRailError(f"the poller has failed: {self.poller.failure}", hint="please report this")

    def _wait(self, until: float, stopping: threading.Event, look: Callable[[], None]) -> None:
        """Wait for a moment of the monotonic clock, looking in between."""
        while True:
            look()
            left = until - self.clock.monotonic()
            if left <= 0 or stopping.wait(min(left, LOOK_EVERY_S)):
                return

    def _carry(self) -> None:
        """Carry one batch; when the tables or the log fail, begin again from what the tables say."""
        try:
            if self._failures:
                self.work.reopen()
            began = self.clock.monotonic()
            result = self.work.carry(self.state.totals)
            if result is not None:
                self.state.commit_seconds = self.clock.monotonic() - began
                self.state.committed_at = self.clock.now()
                self.state.newest_fetched_at = result.newest_fetched_at or self.state.newest_fetched_at
            self.state.position = self.work.pipeline.position
        except ThirdRailError as error:
            self._note_failure(str(error), error.hint)
        except Exception as error:  # noqa: BLE001 - a thread's top: the poller must go on, and the operator hears
            self._note_failure(f"unexpected {type(error).__name__}: {error}", "please report this")
        else:
            if self._failures:
                self._say(f"committed again after {self._failures} failed tries")
            self._failures, self.state.trouble = 0, ""

    def _note_failure(self, text: str, hint: str) -> None:
        self._failures += 1
        self.state.trouble = text
        now = self.clock.monotonic()
        self._said = {said: at for said, at in self._said.items() if now - at < _SAID_AGAIN_S}
        if text not in self._said:
            self._said[text] = now
            self._say(f"nothing is committed, the log goes on: {text}" + (f" ({hint})" if hint else ""))

    def _carry_the_rest(self) -> None:
        """Commit what has arrived, within seconds: the rest is safe in the log."""
        deadline = self.clock.monotonic() + LAST_COMMITS_WITHIN_S
        while self.lag() and self.clock.monotonic() < deadline:
            before = self.work.pipeline.position
            self._carry()
            if self.work.pipeline.position == before:
                break
        if self.lag():
            self._say(
                f"stopped with {self.lag():,} captures in the log that are not in the tables yet; nothing is lost"
            )

    def _expire(self) -> None:
        try:
            self.work.expire(self.clock.now())
        except ThirdRailError as error:
            self._note_failure(f"old captures cannot be deleted: {error}", error.hint)
