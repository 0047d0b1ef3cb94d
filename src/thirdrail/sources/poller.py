"""The poller: asks every feed at its interval and appends each poll, whatever came of it, to the log.

One thread with an asyncio loop. A feed is asked again only when its last poll is durable, so that nothing piles
up in memory; appends run beside the loop, several polls in one transaction.
"""

import asyncio
import math
import os
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

import msgspec

from thirdrail.decode.heading import header_timestamp
from thirdrail.errors import LogError
from thirdrail.model.feeds import Feed
from thirdrail.model.ports import CaptureLog, Clock
from thirdrail.model.records import Offset, Poll
from thirdrail.observe.logs import Event, Say
from thirdrail.sources.answers import NETWORK_ERROR, OK, Answer, judged
from thirdrail.sources.http import Fetcher
from thirdrail.sources.timing import WHOLE_FLEET_S, Turns, wait_seconds

DUPLICATE = "duplicate"
CLOCK_OFF_US = 60_000_000
_START_SPREAD_S = 0.5
_PAUSE_S = 1.0
_APPEND_AGAIN_S = (0.5, 1.0, 2.0, 5.0)
_STOP_WITHIN_S = 5.0
_SAID_AGAIN_S = 300.0

Paused = Callable[[], str | None]
"""Gives the reason why nothing may be taken in just now; None when it may."""


class BodyLog(CaptureLog, Protocol):
    """A log that finds a body again."""

    def find_body(self, feed_id: str, sha256: str) -> Offset | None:
        """Give the offset that holds a feed's body."""
        ...


@dataclass(slots=True)
class FeedState:
    """What a person wants to know of one feed, as of its last poll. Written by the poller's thread alone."""

    feed: Feed
    polls: int = 0
    failures_in_a_row: int = 0
    outcome: str = ""
    outcomes: dict[str, int] = field(default_factory=dict)
    detail: str = ""
    http_status: int | None = None
    polled_at: int | None = None
    header_at_s: int | None = None
    bodies: int = 0
    last_digest: str = ""
    last_offset: Offset | None = None
    due_at: float = math.inf
    """When its task will have come back from what it does, at the latest (monotonic s); past that, something hangs."""


class Poller:
    """Polls feeds into one partition of a log, in a thread of its own, from ``start`` to ``stop``."""

    def __init__(  # noqa: PLR0913 - what tests replace
        self,
        log: BodyLog,
        partition: str,
        feeds: Sequence[Feed],
        open_fetcher: Callable[[], AbstractAsyncContextManager[Fetcher]],
        clock: Clock,
        *,
        say: Say,
        paused: Paused = lambda: None,
        whole_fleet_s: float = WHOLE_FLEET_S,
        environment: Mapping[str, str] = os.environ,
        answers_within_s: float = 30.0,
        before: Mapping[str, FeedState] | None = None,
    ) -> None:
        """Poll feeds; ``before`` is how they stood with a poller whose place this one takes."""
        known = before or {}
        self.states = {feed.id: replace(known.get(feed.id, FeedState(feed)), due_at=math.inf) for feed in feeds}
        for state in self.states.values():
            state.outcomes = state.outcomes.copy()
        self._answers_within_s = answers_within_s
        self._not_asked_yet = set(self.states)
        self.clock_offset_s: float | None = None
        self.pause: str | None = None
        self._log, self._partition, self._clock, self._say = log, partition, clock, say
        self._open_fetcher, self._paused, self._environment = open_fetcher, paused, environment
        self._thread = threading.Thread(target=self._run, name="poller", daemon=True)
        self._stopping = threading.Event()
        self._whole_fleet_s = whole_fleet_s
        self._turns: Turns | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._said: dict[str, float] = {}
        self._chances = random.Random()  # noqa: S311 - spreads polls
        self.failure: BaseException | None = None
        self._is_refused = False

    @property
    def late_s(self) -> float:
        """For how long a feed's task has not come back when it should have; 0 while all do.

        A disk that refuses polls is waited for, which is said, and counts as coming back.
        """
        if self._is_refused:
            return 0.0
        late = self._clock.monotonic() - min((state.due_at for state in self.states.values()), default=math.inf)
        return max(0.0, late)

    @property
    def has_asked_all(self) -> bool:
        """Whether a poll of every feed was kept since the thread began."""
        return not self._not_asked_yet

    def start(self) -> None:
        """Begin to poll."""
        self._expect_all(_START_SPREAD_S)
        self._thread.start()

    def _expect_all(self, seconds: float) -> None:
        for state in self.states.values():
            self._expect(state, seconds)

    def _expect(self, state: FeedState, seconds: float) -> None:
        """Say when a feed's task will come back from what it does next."""
        state.due_at = self._clock.monotonic() + seconds

    def stop(self) -> None:
        """Stop asking, append what has arrived, and end the thread; blocks for seconds at most."""
        self._stopping.set()
        if self._loop is not None and self._task is not None:
            with suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._task.cancel)
        if self._thread.ident is not None:
            self._thread.join(_STOP_WITHIN_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - a thread's top: told to the main thread
            self.failure = error
            reason = f"{type(error).__name__}: {error}"
            self._say(Event("poller_failed", f"the poller has failed: {reason}", reason=reason, exc_info=error))

    async def _main(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        self._turns = Turns(self._whole_fleet_s, self._loop.time)
        with ThreadPoolExecutor(1, "append") as disk:
            appender = _Appender(
                self._log, self._partition, disk, self._stopping, self._say_now_and_then, self._note_refused
            )
            async with self._open_fetcher() as fetcher, asyncio.TaskGroup() as tasks:
                tasks.create_task(appender.run())
                for state in self.states.values():
                    tasks.create_task(self._poll(state, fetcher, appender))

    async def _poll(self, state: FeedState, fetcher: Fetcher, appender: "_Appender") -> None:
        await asyncio.sleep(_START_SPREAD_S * self._chances.random())
        while not self._stopping.is_set():
            self.pause = self._paused()
            if self.pause is not None:
                self._say_now_and_then(Event("polling_paused", f"polling pauses: {self.pause}", reason=self.pause))
                self._expect(state, _PAUSE_S)
                await asyncio.sleep(_PAUSE_S)
                continue
            if state.feed.is_whole_fleet and self._turns is not None:
                self._expect(state, self._whole_fleet_s * (1 + len(self.states)))
                await self._turns.take()
            self._expect(state, self._answers_within_s)
            began = asyncio.get_running_loop().time()
            await self._poll_once(state, fetcher, appender)
            wait = wait_seconds(
                state.feed.interval_seconds,
                state.failures_in_a_row,
                outcome=state.outcome,
                status=state.http_status,
                chance=self._chances.random(),
            )
            self._expect(state, wait)
            await asyncio.sleep(max(0.0, began + wait - asyncio.get_running_loop().time()))

    async def _poll_once(self, state: FeedState, fetcher: Fetcher, appender: "_Appender") -> None:
        feed = state.feed
        key = self._environment.get(feed.key_env, "") if feed.key_env else ""
        answer = await fetcher.fetch(feed, key)
        poll, body = judged(feed, answer, attempt=state.failures_in_a_row + 1, key=key)
        kept_as = await self._keep(state, poll, body, appender)
        state.outcomes[kept_as] = state.outcomes.get(kept_as, 0) + 1
        self._note(state, poll, body, answer)

    async def _keep(self, state: FeedState, poll: Poll, body: bytes | None, appender: "_Appender") -> str:
        """Append a poll; a body that the log holds already is named instead of kept again. Give the outcome noted."""
        digest = poll.body_sha256
        if body is None or digest is None or poll.outcome != OK:
            await appender.append(poll, body)
            return poll.outcome
        of = state.last_offset if digest == state.last_digest else await appender.find(poll.feed_id, digest)
        outcome = OK if of is None else DUPLICATE
        if of is None:
            of = await appender.append(poll, body)
        else:
            await appender.append(msgspec.structs.replace(poll, outcome=DUPLICATE, duplicate_of=of), None)
        state.last_digest, state.last_offset = digest, of
        return outcome

    def _note(self, state: FeedState, poll: Poll, body: bytes | None, answer: Answer) -> None:
        before = state.failures_in_a_row
        self._not_asked_yet.discard(state.feed.id)
        state.polls += 1
        state.polled_at, state.http_status = poll.fetched_at, poll.http_status
        state.outcome, state.detail = poll.outcome, poll.error_detail or ""
        if poll.outcome == OK:
            state.failures_in_a_row = 0
            state.bodies += 1
            state.header_at_s = header_timestamp(body or b"")
        else:
            state.failures_in_a_row += 1
        if state.failures_in_a_row:
            self._say_failure(state)
        elif before > 1:
            text = f"{state.feed.id}: answers again after {before} failed polls"
            self._say(Event("feed_recovered", text, feed=state.feed.id, failures=before))
        self._judge_clock(answer)

    def _say_failure(self, state: FeedState) -> None:
        states = self.states.values()
        if all(each.polls and each.outcome == NETWORK_ERROR and not each.bodies for each in states):
            text = (
                f"no feed can be reached: {state.detail}; polling goes on quietly. "
                "To see it work without a network: thirdrail demo"
            )
            self._say_now_and_then(Event("no_feed_reached", text, reason=state.detail), topic="nothing reached")
        elif state.outcome != NETWORK_ERROR or (state.failures_in_a_row > 1 and any(each.bodies for each in states)):
            # One failure of the network is the weather of the internet; two in a row are told.
            event = Event(
                "feed_failed",
                f"{state.feed.id}: {state.outcome}: {state.detail}",
                feed=state.feed.id,
                outcome=state.outcome,
                status=state.http_status,
                failures=state.failures_in_a_row,
                reason=state.detail,
            )
            self._say_now_and_then(event, topic=f"{state.feed.id} {state.outcome}")

    def _judge_clock(self, answer: Answer) -> None:
        if answer.date_us is None:
            return
        self.clock_offset_s = (answer.received_at - answer.date_us) / 1e6
        if abs(answer.received_at - answer.date_us) > CLOCK_OFF_US:
            ahead = "ahead of" if self.clock_offset_s > 0 else "behind"
            text = (
                f"this machine's clock is {abs(self.clock_offset_s):,.0f} s {ahead} the feeds' servers; "
                "ages and freshness are wrong by as much"
            )
            self._say_now_and_then(Event("clock_off", text, seconds=self.clock_offset_s), topic="clock")

    def _note_refused(self, is_refused: bool) -> None:  # noqa: FBT001 - a setter
        """Note whether the disk refuses polls; once it takes them again, everybody waits from there on."""
        if self._is_refused and not is_refused:
            self._expect_all(self._answers_within_s)
        self._is_refused = is_refused

    def _say_now_and_then(self, event: Event, topic: str = "") -> None:
        """Say something at most every five minutes."""
        now = self._clock.monotonic()
        self._said = {said: at for said, at in self._said.items() if now - at < _SAID_AGAIN_S}
        topic = topic or event.text
        if topic not in self._said:
            self._said[topic] = now
            self._say(event)


class _Appender:
    """Appends what the feeds' tasks bring, together, in another thread; tries for ever."""

    def __init__(
        self,
        log: BodyLog,
        partition: str,
        disk: ThreadPoolExecutor,
        stopping: threading.Event,
        say: Say,
        note_refused: Callable[[bool], None],
    ) -> None:
        self._log, self._partition, self._disk, self._stopping, self._say = log, partition, disk, stopping, say
        self._note_refused = note_refused
        self._waiting: asyncio.Queue[tuple[Poll, bytes | None, asyncio.Future[Offset]]] = asyncio.Queue()

    async def append(self, poll: Poll, body: bytes | None) -> Offset:
        """Give the offset once the poll is durable."""
        done: asyncio.Future[Offset] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((poll, body, done))
        return await done

    async def find(self, feed_id: str, digest: str) -> Offset | None:
        """Give the offset that holds a body; None when there is none, or the log cannot say just now."""
        with suppress(LogError):
            return await asyncio.get_running_loop().run_in_executor(self._disk, self._log.find_body, feed_id, digest)
        return None

    async def run(self) -> None:
        """Append until cancelled; what is waiting then is appended first."""
        try:
            while True:
                await self._append_waiting([await self._waiting.get()])
        except asyncio.CancelledError:
            await self._append_waiting([])
            raise

    async def _append_waiting(self, batch: list[tuple[Poll, bytes | None, asyncio.Future[Offset]]]) -> None:
        while not self._waiting.empty():
            batch.append(self._waiting.get_nowait())
        if not batch:
            return
        work = asyncio.get_running_loop().run_in_executor(
            self._disk, self._append, [(poll, body) for poll, body, _ in batch]
        )
        offsets = await asyncio.shield(work)
        for (_, _, done), offset in zip(batch, offsets, strict=False):
            if not done.done():
                done.set_result(offset)

    def _append(self, records: list[tuple[Poll, bytes | None]]) -> list[Offset]:
        """Append in the executor's thread; a full or failing disk is waited for, and nothing is lost meanwhile.

        Gives no offsets when the process stops before the disk takes the polls, which is said.
        """
        tries = 0
        while True:
            try:
                offsets = self._log.append(self._partition, records)
            except LogError as error:
                self._note_refused(True)
                text = f"{error}; tried again until it can be kept"
                self._say(Event("append_failed", text, reason=str(error)))
                if self._stopping.wait(_APPEND_AGAIN_S[min(tries, len(_APPEND_AGAIN_S) - 1)]):
                    text = f"stopped with {len(records)} polls that the disk did not take: {error}"
                    self._say(Event("polls_lost", text, polls=len(records), reason=str(error)))
                    return []
                tries += 1
            else:
                if tries:
                    self._note_refused(False)
                return offsets
