"""Carrying the log into one sink, batch by batch, and beginning anew after trouble: a thread of its own in `run`."""

import copy
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from thirdrail.app.totals import Totals
from thirdrail.errors import ThirdRailError
from thirdrail.model.ports import Clock
from thirdrail.observe.logs import Event, Say
from thirdrail.observe.metrics import Buckets
from thirdrail.pipeline.loop import Pipeline, StepResult

LONGEST_WAIT_S = 30.0
_SAID_AGAIN_S = 300.0
_LOOK_AGAIN_S = 0.1

AGE_BOUNDS_S = (1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 3_600.0)


@dataclass(slots=True)
class CarryState:
    """What a person wants to know of one sink; written by its thread alone. Instants are µs UTC."""

    totals: Totals = field(default_factory=Totals)
    committed_at: int | None = None
    commit_seconds: float = 0.0
    newest_fetched_at: int | None = None
    trouble: str = ""
    hint: str = ""
    ages: Buckets = field(default_factory=lambda: Buckets(AGE_BOUNDS_S))
    """How long rows took from the last byte of their body to being durable (s), poll by poll."""


class Carrier:
    """Carries one pipeline. What goes wrong is said and tried again: the log goes on meanwhile."""

    def __init__(self, pipeline: Pipeline, clock: Clock, say: Say, interval_seconds: float) -> None:
        self.pipeline, self.interval_seconds = pipeline, interval_seconds
        self.state = CarryState()
        self._clock, self._say = clock, say
        self._said: dict[str, float] = {}
        self.failures = 0
        self.moved_at = clock.monotonic()
        self._abroad: deque[tuple[StepResult, float]] = deque()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._in_call_since: float | None = None
        self.has_come_back = False
        """Whether a call has ended since the thread began."""

    @property
    def name(self) -> str:
        """Of the sink."""
        return self.pipeline.reader

    def start(self) -> None:
        """Carry in a thread until told to stop."""
        self._thread = threading.Thread(target=self._until_stopped, name=f"carry-{self.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end after the call that it is in; ``join`` waits for it."""
        self._stopping.set()

    @property
    def stuck_s(self) -> float:
        """For how long a call has not come back; 0 between two."""
        began = self._in_call_since
        return 0.0 if began is None else self._clock.monotonic() - began

    def successor(self, pipeline: Pipeline) -> "Carrier":
        """Give the carrier that goes on by a pipeline of its own where this one hangs."""
        other = Carrier(pipeline, self._clock, self._say, self.interval_seconds)
        other.state = copy.deepcopy(self.state)
        return other

    @property
    def has_ended(self) -> bool:
        """Whether the thread ran, and does no more."""
        return self._thread is not None and not self._thread.is_alive()

    def join(self, within_s: float) -> bool:
        """Wait for the thread; give whether it has ended."""
        if self._thread is not None:
            self._thread.join(within_s)
        return self._thread is None or self.has_ended

    def _until_stopped(self) -> None:
        while not self._stopping.is_set():
            began = self._in_call_since = self._clock.monotonic()
            self.carry()
            self._in_call_since, self.has_come_back = None, True
            self._stopping.wait(max(0.0, began + self._wait_s() - self._clock.monotonic()))

    def _wait_s(self) -> float:
        if not self.failures:
            return self.interval_seconds
        return min(LONGEST_WAIT_S, max(1.0, self.interval_seconds) * 2.0 ** min(self.failures - 1, 6))

    def carry(self) -> None:
        """Carry one batch; when the destination or the log fail, begin again from what the destination says."""
        try:
            if self.failures:
                self._abroad.clear()
                self.pipeline.open()
            began = self._clock.monotonic()
            before = self.pipeline.settled
            result = self.pipeline.step()
            if result is not None:
                self._note_result(result, began)
            self._note_settled()
            if self.pipeline.settled != before or not self._abroad:
                self.moved_at = self._clock.monotonic()
        except ThirdRailError as error:
            self.note_failure(str(error), error.hint)
        except Exception as error:  # noqa: BLE001 - a thread's top: the poller must go on, and the operator hears
            self.note_failure(f"unexpected {type(error).__name__}: {error}", "please report this", error)
        else:
            if self.failures:
                text = f"{self.name}: committed again after {self.failures} failed tries"
                self._say(Event("sink_recovered", text, sink=self.name, failures=self.failures))
            self.failures, self.state.trouble, self.state.hint = 0, self.pipeline.trouble, ""
            if self.state.trouble:
                text = f"{self.name}: {self.state.trouble}"
                self._say_once(Event("sink_troubled", text, sink=self.name, reason=self.state.trouble))

    def _note_result(self, result: StepResult, began: float) -> None:
        self.state.totals.add(result)
        self._abroad.append((result, began))

    def _note_settled(self) -> None:
        """Take what has become durable for committed."""
        settled = self.pipeline.settled
        while self._abroad and self._abroad[0][0].span.end <= settled:
            result, began = self._abroad.popleft()
            newest, now = result.newest_fetched_at, self._clock.now()
            self.state.committed_at = now
            for received in result.told.received:
                self.state.ages.observe((now - received) / 1e6)
            self.state.commit_seconds = self._clock.monotonic() - began
            self.state.newest_fetched_at = max(newest or 0, self.state.newest_fetched_at or 0) or None

    def note_failure(self, text: str, hint: str, error: BaseException | None = None) -> None:
        """Say a trouble once in five minutes."""
        self.failures += 1
        self.state.trouble, self.state.hint = text, hint
        said = f"{self.name}: nothing is committed, the log goes on: {text}" + (f" ({hint})" if hint else "")
        self._say_once(
            Event("sink_failed", said, sink=self.name, failures=self.failures, reason=text, hint=hint, exc_info=error)
        )

    def _say_once(self, event: Event) -> None:
        now = self._clock.monotonic()
        self._said = {said: at for said, at in self._said.items() if now - at < _SAID_AGAIN_S}
        if event.text not in self._said:
            self._said[event.text] = now
            self._say(event)

    def carry_the_rest(self, lag: Callable[[int], int], within_s: float) -> None:
        """Commit what has arrived, within seconds; the rest is safe. ``lag`` counts records from a position."""
        deadline = self._clock.monotonic() + within_s
        while self._clock.monotonic() < deadline:
            before, failures = self.pipeline.position, self.failures
            self.carry()
            if self.failures > failures or (not lag(self.pipeline.settled) and not self._abroad):
                break
            if self.pipeline.position == before:
                if not self._abroad:
                    break
                self.pipeline.flush()
                self._clock.sleep(_LOOK_AGAIN_S)
        if left := lag(self.pipeline.settled):
            text = f"{self.name}: stopped with {left:,} captures in the log that it has not; nothing is lost"
            self._say(Event("sink_behind", text, sink=self.name, captures=left))
