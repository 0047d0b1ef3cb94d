"""What every capture log promises; one suite for all of them."""

import hashlib
from pathlib import Path

import pytest

from tests.fakes.clock import FakeClock
from thirdrail.capturelog.memory import MemoryLog
from thirdrail.capturelog.spool import Spool
from thirdrail.model.ports import CaptureLog
from thirdrail.model.records import Poll, Rejection, ReplayOrder, Settings

MINUTE = 60_000_000


def poll(minutes: int, **facts: object) -> Poll:
    return Poll(feed_id="line", fetched_at=minutes * MINUTE, **facts)  # type: ignore[arg-type]


class CaptureLogContract:
    """Inherited by a class per implementation, which gives the fixture ``log``."""

    def test_offsets_rise_and_what_is_appended_is_read_back(self, log: CaptureLog) -> None:
        offsets = log.append("0", [(poll(1), b"one"), (poll(2, outcome="http_error"), None)])
        more = log.append("0", [(poll(3), b"three")])

        entries = log.read("0", 0, 10)
        assert [entry.offset for entry in entries] == [*offsets, *more] == sorted({*offsets, *more})
        assert [entry.body for entry in entries] == [b"one", None, b"three"]
        assert log.end("0") == more[-1] + 1
        assert log.first("0") == offsets[0]
        assert [log.count("0", position) for position in (0, more[0], more[0] + 1, more[0] + 9)] == [3, 1, 0, 0]

    def test_every_kind_of_record_survives(self, log: CaptureLog) -> None:
        records = [
            Settings(history="every_poll", severities={"*": {"M012": "reject"}}),
            ReplayOrder(ordered_at=1, quarantine_ids=("a/1/-/-/-",), captures=(1,)),
            Rejection(rejected_at=2, sink="s", table="t", feed_id="line", reason="r", rows=({"x": 1},)),
        ]
        log.append("0", [(record, None) for record in records])

        assert [entry.record for entry in log.read("0", 0, 10)] == records

    def test_a_duplicate_gives_the_body_that_it_names(self, log: CaptureLog) -> None:
        (first,) = log.append("0", [(poll(1), b"body")])
        log.append("0", [(poll(2, outcome="duplicate", duplicate_of=first), None)])

        assert [entry.body for entry in log.read("0", 0, 10)] == [b"body", b"body"]

    def test_digest_and_size_of_a_body_are_filled_in(self, log: CaptureLog) -> None:
        log.append("0", [(poll(1), b"body"), (poll(2, outcome="http_error"), None)])

        first, second = (entry.record for entry in log.read("0", 0, 10))
        assert (first.body_sha256, first.body_bytes) == (hashlib.sha256(b"body").hexdigest(), 4)  # type: ignore[union-attr]
        assert (second.body_sha256, second.body_bytes) == (None, None)  # type: ignore[union-attr]

    @pytest.mark.parametrize("wrong", [poll(2, duplicate_of=0), poll(2, body_sha256="0" * 64)])
    def test_of_a_batch_with_one_wrong_record_nothing_is_appended(self, log: CaptureLog, wrong: Poll) -> None:
        log.append("0", [(poll(0), b"x")])

        with pytest.raises(ValueError, match=r"duplicate|SHA-256"):
            log.append("0", [(poll(1), b"y"), (wrong, b"z")])
        assert log.end("0") == 1

    def test_a_new_log_is_empty_and_an_append_of_nothing_leaves_it_so(self, log: CaptureLog) -> None:
        assert log.append("0", []) == []
        assert (log.first("0"), log.end("0"), log.read("0", 0, 10)) == (0, 0, [])

    def test_an_empty_body_is_a_body(self, log: CaptureLog) -> None:
        log.append("0", [(poll(1), b"")])

        assert log.read("0", 0, 1)[0].body == b""

    def test_reading_back_gives_duplicates_their_bodies_and_leaves_other_origins_out(self, log: CaptureLog) -> None:
        (first,) = log.append("0", [(poll(1), b"body")])
        log.append("0", [(poll(2, duplicate_of=first), None), (poll(2, origin="replay-1"), b"other")])

        reached = list(log.read_back("0", "line", "live", log.end("0"), 3_600))
        assert [(entry.offset, entry.body) for entry in reached] == [(0, b"body"), (1, b"body")]

    def test_reading_stops_at_the_limits_but_gives_at_least_one(self, log: CaptureLog) -> None:
        log.append("0", [(poll(minute), b"x" * 100) for minute in range(5)])

        assert len(log.read("0", 0, 2)) == 2
        assert len(log.read("0", 0, 10, max_bytes=250)) == 2
        assert len(log.read("0", 0, 10, max_bytes=1)) == 1
        assert log.read("0", log.end("0"), 10) == []

    def test_reading_back_ends_where_it_is_older_or_where_the_clock_stepped_back(self, log: CaptureLog) -> None:
        log.append("0", [(poll(minute), b"x") for minute in (100, 0, 5, 20, 30)])
        other = Poll(feed_id="other", fetched_at=29 * MINUTE)
        log.append("0", [(other, None)])

        reached = list(log.read_back("0", "line", "live", log.end("0"), 1_500))
        assert [entry.record.fetched_at // MINUTE for entry in reached] == [5, 20, 30]  # type: ignore[union-attr]
        all_of_run = list(log.read_back("0", "line", "live", log.end("0"), 100_000))
        assert [entry.record.fetched_at // MINUTE for entry in all_of_run] == [0, 5, 20, 30]  # type: ignore[union-attr]

    def test_settings_in_force_are_the_last_below_a_position(self, log: CaptureLog) -> None:
        assert log.settings_before("0", 5) is None
        first, second = Settings(), Settings(history="every_poll")
        log.append("0", [(first, None), (poll(1), None), (second, None)])

        assert log.settings_before("0", 0) is None
        assert log.settings_before("0", 2) == first
        assert log.settings_before("0", 3) == second

    def test_another_partition_is_refused(self, log: CaptureLog) -> None:
        with pytest.raises(ValueError, match="partition"):
            log.append("7", [(poll(1), None)])

    def test_closing_twice_is_harmless(self, log: CaptureLog) -> None:
        log.close()
        log.close()


class TestMemoryLog(CaptureLogContract):
    @pytest.fixture
    def log(self) -> CaptureLog:
        return MemoryLog()


class TestSpool(CaptureLogContract):
    @pytest.fixture
    def log(self, tmp_path: Path) -> CaptureLog:
        return Spool.open(tmp_path / "spool", FakeClock(), writable=True)
