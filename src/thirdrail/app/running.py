"""`run`: the poller fills the log, a carrier for every sink takes it on from there, until asked to stop."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial

from thirdrail.app.caring import Caretaker
from thirdrail.app.carrying import Carrier, CarryState
from thirdrail.app.data_folder import disk
from thirdrail.app.watchdog import Part, Watchdog
from thirdrail.app.writing import Writing
from thirdrail.capturelog.day_files import PARTITION
from thirdrail.config.settings import Config
from thirdrail.errors import ThirdRailError
from thirdrail.model.feeds import Feed
from thirdrail.model.ports import Clock
from thirdrail.observe.logs import Event, Say
from thirdrail.sources.http import Fetcher, HttpFetcher
from thirdrail.sources.poller import Poller

EXPIRE_EVERY_S = 600.0
LOOK_EVERY_S = 0.5
LAST_COMMITS_WITHIN_S = 6.0
_CALL_ENDS_WITHIN_S = 60.0

POLLER = "the poller"
"""What the watchdog calls it."""


def part_of(carrier: Carrier) -> str:
    """Give what the watchdog calls a sink."""
    return f"sink {carrier.name}"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long (s) the poller may be late, and a call of a sink may last, before they are begun anew.

    A poll has time-outs of its own, which are not counted here. The Snowflake clients may rightly keep a call waiting
    for two minutes.
    """

    poller_s: float = 60.0
    sink_s: float = 300.0


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
        patience: Patience | None = None,
    ) -> None:
        config, self.patience = work.config, patience or Patience()
        self.work, self.clock, self._say = work, clock, say
        self.started_at = clock.now()
        self._new_poller = partial(
            Poller,
            work.log,
            PARTITION,
            feeds,
            open_fetcher or (lambda: HttpFetcher.open(clock, config.poller, trust_environment=trust_environment)),
            clock,
            say=say,
            paused=lambda: disk(work.folder, config).shortage,
            answers_within_s=config.poller.total_timeout_seconds,
        )
        self.poller = self._new_poller()
        self.carriers = tuple(
            Carrier(pipeline, clock, say, work.interval_seconds(pipeline)) for pipeline in work.pipelines
        )
        self.caretaker = Caretaker(work.folder, config, clock, say)
        self._ending = threading.Lock()
        self._is_ending = False
        self.watchdog = Watchdog(self._parts(), say)

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.work.config

    @property
    def state(self) -> CarryState:
        """How the first sink fares."""
        return self.carriers[0].state

    def lag(self, carrier: Carrier | None = None) -> int:
        """Records in the log that a sink (the first by default) does not durably have yet."""
        return self._records_from((carrier or self.carriers[0]).pipeline.settled)

    def _records_from(self, position: int) -> int:
        return self.work.log.count(PARTITION, position)

    def until_stopped(self, stopping: threading.Event, look: Callable[[], None]) -> None:
        """Poll and commit until told to stop; then commit what has arrived. ``look`` is called twice a second.

        What goes wrong on the way to a sink is said and tried again: the poller and the other sinks go on.
        """
        self.work.note_settings()
        self.poller.start()
        if "iceberg" in self.config.sinks:
            self.caretaker.start()
        for carrier in self.carriers:
            carrier.start()
        expired_at = self.clock.monotonic()
        try:
            while not stopping.is_set() and self.poller.failure is None:
                look()
                self.watchdog.look()
                if self.clock.monotonic() - expired_at >= EXPIRE_EVERY_S:
                    expired_at = self.clock.monotonic()
                    self._expire()
                stopping.wait(LOOK_EVERY_S)
        finally:
            with self._ending:  # no restart from here on
                self._is_ending = True
            self.poller.stop()
            self.caretaker.stop()
            for carrier in self.carriers:
                carrier.stop()
        troubles = [trouble for carrier in self.carriers if (trouble := self._carry_the_rest(carrier))]
        look()
        if troubles:
            raise troubles[0]
        if self.poller.failure is not None:
            raise ThirdRailError(f"the poller has failed: {self.poller.failure}", hint="please report this")

    def _carry_the_rest(self, carrier: Carrier) -> ThirdRailError | None:
        """Let a sink have what has arrived; give why that cannot be told, which is no reason to leave out the next."""
        if carrier.join(_CALL_ENDS_WITHIN_S):
            try:
                carrier.carry_the_rest(self._records_from, LAST_COMMITS_WITHIN_S)
            except ThirdRailError as error:  # the log cannot be read
                return error
        else:
            text = f"{carrier.name}: a call has not come back; what it carried is carried again at the next start"
            self._say(Event("call_pending", text, sink=carrier.name))
        return None

    def _parts(self) -> Iterator[Part]:
        yield Part(
            POLLER,
            self.patience.poller_s,
            lambda: self.poller.late_s,
            self._restart_poller,
            lambda: self.poller.has_asked_all,
        )
        for number, carrier in enumerate(self.carriers):
            yield Part(
                part_of(carrier),
                self.patience.sink_s,
                lambda number=number: self.carriers[number].stuck_s,  # type: ignore[misc]
                partial(self._restart_sink, number),
                lambda number=number: self.carriers[number].has_come_back,  # type: ignore[misc]
            )

    def _restart_poller(self) -> None:
        """Ask feeds by a new poller; the old one ends when it comes back."""
        stuck = self.poller
        poller = self._new_poller(before=stuck.states)
        with self._ending:
            if self._is_ending:
                return
            self.poller = poller
            poller.start()
        stuck.stop()

    def _restart_sink(self, number: int) -> None:
        """Carry by a new pipeline; whatever the old one does when it comes back adds nothing."""
        stuck = self.carriers[number]
        pipeline = self.work.pipeline(stuck.name)  # may fail; then the old one goes on, if it comes back
        stuck.stop()
        self.work.replace(number, pipeline)
        carrier = stuck.successor(pipeline)
        with self._ending:
            if self._is_ending:
                return
            self.carriers = (*self.carriers[:number], carrier, *self.carriers[number + 1 :])
            carrier.start()

    def _expire(self) -> None:
        try:
            self.work.expire(self.clock.now())
        except ThirdRailError as error:
            text = f"old captures cannot be deleted: {error}" + (f" ({error.hint})" if error.hint else "")
            self._say(Event("retention_failed", text, reason=str(error), hint=error.hint))
