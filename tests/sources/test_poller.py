"""The poller: every poll becomes a capture, whatever came of it."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from tests.oracle.synthetic import HEADER_AT, subway_message
from thirdrail.capturelog.day_files import PARTITION
from thirdrail.capturelog.spool import Spool
from thirdrail.errors import DiskFull
from thirdrail.model.feeds import BY_ID, Feed
from thirdrail.model.records import Poll
from thirdrail.observe.clock import SystemClock
from thirdrail.sources.answers import Answer, Failure
from thirdrail.sources.poller import Poller

FEED = msgspec.structs.replace(BY_ID["subway_g"], interval_seconds=0.01)
OTHER = msgspec.structs.replace(BY_ID["subway_l"], interval_seconds=0.01)
GOOD, NEXT = subway_message(0, 2), subway_message(0, 2, later=15)
DOWN = Failure("network_error", "Connect", "no connection to x:443")


class Script:
    """A fetcher that gives answers in turn, the last one for ever.

    ``done`` when the last has been asked for, and so many feeds have asked again, their first answer being noted then.
    """

    def __init__(self, *answers: bytes | Failure | Answer, feeds: int = 1) -> None:
        self._answers, self.asked, self.done = answers, 0, threading.Event()
        self._feeds, self._asked_by = feeds, Counter[str]()

    async def fetch(self, feed: Feed, _key: str) -> Answer:
        await asyncio.sleep(0)
        self._asked_by[feed.id] += 1
        now = SystemClock().now()
        given = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        if self.asked > len(self._answers) and sum(count > 1 for count in self._asked_by.values()) >= self._feeds:
            self.done.set()
        if isinstance(given, Answer):
            return given
        body, failure = (None, given) if isinstance(given, Failure) else (given, None)
        return Answer(
            fetched_at=now, received_at=now, duration_ms=1, status=200 if body else None, body=body, failure=failure
        )


def polled(
    tmp_path: Path,
    script: Script,
    *,
    feeds: Sequence[Feed] = (FEED,),
    wrap: Callable[[Spool], object] = lambda log: log,
    paused: Callable[[], str | None] = lambda: None,
    until: threading.Event | None = None,
) -> tuple[list[Poll], list[str], Poller]:
    """Poll until the script is done; give the polls of the log and what was said."""
    log = Spool.open(tmp_path / "spool", SystemClock(), writable=True)
    said: list[str] = []

    @asynccontextmanager
    async def fetcher() -> AsyncIterator[Script]:
        yield script

    poller = Poller(
        wrap(log), PARTITION, feeds, fetcher, SystemClock(), say=lambda event: said.append(str(event)), paused=paused
    )
    poller.start()
    assert (until or script.done).wait(20)
    poller.stop()
    assert poller.failure is None
    polls = [e.record for e in log.headers(0, 1000) if isinstance(e.record, Poll)]
    log.close()
    return polls, said, poller


def test_every_poll_becomes_a_capture_with_its_outcome(tmp_path: Path) -> None:
    polls, said, _ = polled(tmp_path, Script(GOOD, GOOD, DOWN, b"<html>", NEXT, GOOD))

    assert [poll.outcome for poll in polls][:6] == ["ok", "duplicate", "network_error", "bad_body", "ok", "duplicate"]
    assert [poll.duplicate_of for poll in polls][:6] == [None, 0, None, None, None, 0]
    assert [poll.attempt for poll in polls][:5] == [1, 1, 1, 2, 3]
    assert "subway_g: answers again after 2 failed polls" in said


def test_of_polls_that_go_well_nothing_is_said(tmp_path: Path) -> None:
    polls, said, _ = polled(tmp_path, Script(*[GOOD, GOOD, NEXT] * 10))

    assert len(polls) >= 30
    assert said == []


def test_a_body_that_an_earlier_process_kept_is_named_and_not_kept_again(tmp_path: Path) -> None:
    polled(tmp_path, Script(GOOD, NEXT))
    polls, _, _ = polled(tmp_path, Script(GOOD))

    again = [poll for poll in polls if poll.duplicate_of == 0]
    assert again
    assert [poll.outcome for poll in polls].count("ok") == 2


def test_the_header_time_is_known_without_a_decode(tmp_path: Path) -> None:
    _, _, poller = polled(tmp_path, Script(GOOD))
    assert poller.states[FEED.id].header_at_s == HEADER_AT


def test_when_no_feed_can_be_reached_one_line_names_the_cause_and_the_demo(tmp_path: Path) -> None:
    _, said, _ = polled(tmp_path, Script(*[DOWN] * 6, feeds=2), feeds=(FEED, OTHER))

    assert len(said) == 1
    assert "no connection to x:443" in said[0]
    assert "thirdrail demo" in said[0]


def test_a_clock_that_is_off_is_said_aloud_once(tmp_path: Path) -> None:
    now = SystemClock().now()
    off = Answer(
        fetched_at=now, received_at=now, duration_ms=1, status=200, body=GOOD, date_us=now - 2 * 86_400 * 1_000_000
    )
    _, said, poller = polled(tmp_path, Script(off, off, off))

    assert [text for text in said if "172,800 s ahead of" in text] == said
    assert len(said) == 1
    assert poller.clock_offset_s == pytest.approx(172_800, abs=1)


def test_a_full_disk_is_waited_for_and_no_poll_is_lost(tmp_path: Path) -> None:
    class Full:
        """A log whose disk is full for the first tries."""

        def __init__(self, log: Spool) -> None:
            self._log, self.left = log, 2
            self.find_body = log.find_body

        def append(self, partition: str, records: Sequence[tuple[Poll, bytes | None]]) -> list[int]:
            if self.left:
                self.left -= 1
                raise DiskFull("no space left for here")
            return self._log.append(partition, records)

    polls, said, _ = polled(tmp_path, Script(GOOD, NEXT), wrap=Full)

    assert [poll.outcome for poll in polls][:2] == ["ok", "ok"]
    assert said[0] == "no space left for here; tried again until it can be kept"


def test_polling_pauses_while_the_disk_is_nearly_full_and_goes_on_by_itself(tmp_path: Path) -> None:
    shortages = iter(["0.1 GB free"])
    script = Script(GOOD)
    polls, said, _ = polled(tmp_path, script, paused=lambda: next(shortages, None))

    assert said == ["polling pauses: 0.1 GB free"]
    assert polls
