"""`run`: the poller fills the log, a carrier for every sink takes it on from there, until asked to stop."""

import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from thirdrail.app.caring import Caretaker
from thirdrail.app.carrying import Carrier, CarryState
from thirdrail.app.data_folder import disk
from thirdrail.app.writing import Writing
from thirdrail.capturelog.spool import PARTITION
from thirdrail.config import Config
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
        self.started_at = clock.now()
        self.poller = Poller(
            work.log,
            PARTITION,
            feeds,
            open_fetcher or (lambda: HttpFetcher.open(clock, config.poller, trust_environment=trust_environment)),
            clock,
            say=say,
            paused=lambda: disk(work.folder, config).shortage,
        )
        self.carriers = tuple(
            Carrier(pipeline, clock, say, work.interval_seconds(pipeline)) for pipeline in work.pipelines
        )
        self.caretaker = Caretaker(work.folder, config, clock, say)

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
        ending = threading.Event()
        for carrier in self.carriers:
            carrier.start(ending)
        expired_at = self.clock.monotonic()
        try:
            while not stopping.is_set() and self.poller.failure is None:
                look()
                if self.clock.monotonic() - expired_at >= EXPIRE_EVERY_S:
                    expired_at = self.clock.monotonic()
                    self._expire()
                stopping.wait(LOOK_EVERY_S)
        finally:
            self.poller.stop()
            self.caretaker.stop()
            ending.set()
        for carrier in self.carriers:
            self._carry_the_rest(carrier)
        look()
        if self.poller.failure is not None:
            raise ThirdRailError(f"the poller has failed: {self.poller.failure}", hint="please report this")

    def _carry_the_rest(self, carrier: Carrier) -> None:
        if carrier.join(_CALL_ENDS_WITHIN_S):
            carrier.carry_the_rest(self._records_from, LAST_COMMITS_WITHIN_S)
        else:
            text = f"{carrier.name}: a call has not come back; what it carried is carried again at the next start"
            self._say(Event("call_pending", text, sink=carrier.name))

    def _expire(self) -> None:
        try:
            self.work.expire(self.clock.now())
        except ThirdRailError as error:
            text = f"old captures cannot be deleted: {error}" + (f" ({error.hint})" if error.hint else "")
            self._say(Event("retention_failed", text, reason=str(error), hint=error.hint))
