"""Exactly once into Snowpipe Streaming: any crashes, thefts, partial commits and cuts give the rows of none.

The pipeline, the sink and its writers are the real ones; Snowflake is in memory and driven by a seed. Against the
official client and a server of its own: tests/snowpipe_streaming.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random

import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.sinks import Crashed
from tests.fakes.snowflake import FakeSnowflake
from tests.simulation.test_change_keeping import FEEDS, histories, without_restart
from thirdrail.capturelog.memory import MemoryLog
from thirdrail.config.settings import SnowflakeConfig
from thirdrail.emulator.rows import Judge, our_tables
from thirdrail.errors import ChannelInvalid, ChannelOwnedElsewhere, LogBehindDestination
from thirdrail.maintenance.sameness import compared
from thirdrail.model.records import Record
from thirdrail.model.tables import TABLES
from thirdrail.model.tokens import Token
from thirdrail.pipeline import delivery
from thirdrail.pipeline.loop import Limits, Pipeline
from thirdrail.sinks.snowflake.account import pipe_name
from thirdrail.sinks.snowflake.notes import ChannelNotes
from thirdrail.sinks.snowpipe_streaming import writer
from thirdrail.sinks.snowpipe_streaming.lines import chunks
from thirdrail.sinks.snowpipe_streaming.sink import StreamingSink

SEEDS = int(os.environ.get("THIRDRAIL_HANDED_SEEDS", "10"))
MUTANT_SEEDS = 60
JUDGES = {name: Judge(name, columns) for name, columns in our_tables().items()}

Records = list[tuple[Record, bytes | None]]


def carried(records: Records, seed: int, notes: Path) -> FakeSnowflake:
    """Append and carry in pieces; a new process after each piece, crash and theft, with a cut of its own."""
    random, log = Random(seed), MemoryLog()
    server = FakeSnowflake(random, crash_rate=0.02, theft_rate=0.01)
    rest, position, clock = records, 0, FakeClock()
    while rest:
        length = random.randint(2, 9)
        log.append("0", rest[:length])
        rest = rest[length:]
        while True:
            clock.advance(3_600)  # thefts an hour apart are no quarrel
            sink = StreamingSink(server.connect, SnowflakeConfig(), clock, ChannelNotes(notes), lambda _: None)
            limits = Limits(entries=random.choice((1, 2, 4, 1000)))
            pipeline = Pipeline(log, sink, "0", clock, limits=limits, feeds=FEEDS)
            writer.chunks = partial(chunks, chunk_rows=random.choice((1, 2, 3, 50)))  # type: ignore[attr-defined]
            with suppress(Crashed, ChannelInvalid):
                pipeline.open()
                assert pipeline.position >= position, "a position went back"
                position = pipeline.position
                steps = random.randint(1, 200)
                while steps and (pipeline.step() is not None or pipeline.settled < pipeline.position):
                    steps -= 1
                if steps:
                    break
    return server


def differences(seed: int, folder: Path) -> int:
    """Count rows that are in one and not in the other."""
    records = histories(seed)
    expected = without_restart(records)
    try:
        server = carried(records, seed, folder / f"{seed}.json")
    finally:
        writer.chunks = chunks  # type: ignore[attr-defined]
    total = 0
    for table in TABLES:
        lines = [
            line
            for (pipe, _), channel in server.channels.items()
            if pipe == pipe_name(table.name, default_pipes=False)
            for line in channel.rows
        ]
        found, refused = JUDGES[table.name].judged(b"\n".join(lines))
        difference = compared(table, expected.rows(table), found.to_arrow())
        total += len(refused) + difference.only_here + difference.only_there
    return total


def test_rows_are_there_once_whatever_happens(tmp_path: Path) -> None:
    assert [seed for seed in range(SEEDS) if differences(seed, tmp_path)] == []


def forget_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``feed_messages`` go with the other tables, not after them."""

    def deliver(self: delivery.HandedOver, rows: object, span: object) -> dict[str, int]:
        for table in TABLES:
            batch, offsets = delivery.batch_of(table, rows)  # type: ignore[arg-type]
            self._writers[table.name].submit(batch, span, offsets)  # type: ignore[arg-type]
        self.settle()
        return {}

    monkeypatch.setattr(delivery.HandedOver, "deliver", deliver)


def send_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resume at the token's record, not after its row."""
    monkeypatch.setattr(writer, "after", lambda frame, _token: frame)


def promise_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every call's token say that its whole record is in."""
    real = writer.token_of
    monkeypatch.setattr(writer, "token_of", lambda frame, row: Token(real(frame, row).offset + 1))


def believe_what_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take what was accepted for committed."""

    def settle(self: writer.StreamingWriter) -> int | None:
        self._spans.clear()
        self._position = self._end if self._end is not None else self._position
        return self._position

    monkeypatch.setattr(writer.StreamingWriter, "settle", settle)


@pytest.mark.parametrize("broken", [forget_to_wait, send_again, promise_too_much, believe_what_was_sent])
def test_a_protection_switched_off_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Callable[[pytest.MonkeyPatch], None]
) -> None:
    broken(monkeypatch)
    for seed in range(MUTANT_SEEDS):
        with suppress(AssertionError):
            if not differences(seed, tmp_path):
                continue
        return
    pytest.fail(f"{broken.__name__}: {MUTANT_SEEDS} seeds saw nothing")


def test_a_restored_log_is_found_out_though_it_has_grown_until_snowflake_answers(tmp_path: Path) -> None:
    records, clock, server = histories(2), FakeClock(), FakeSnowflake(Random(2))
    for length in (len(records), len(records) // 2):
        log = MemoryLog()
        log.append("0", records[:length])
        sink = StreamingSink(server.connect, SnowflakeConfig(), clock, ChannelNotes(tmp_path / "n"), lambda _: None)
        pipeline = Pipeline(log, sink, "0", clock, feeds=FEEDS)
        if length == len(records):
            while pipeline.step() is not None or pipeline.settled < pipeline.position:
                pass
            continue
        log.append("0", records)
        with pytest.raises(LogBehindDestination):
            pipeline.step()


def test_three_thefts_in_ten_minutes_leave_the_channels_to_the_other(tmp_path: Path) -> None:
    log, clock = MemoryLog(), FakeClock()
    server = FakeSnowflake(Random(1), theft_rate=1.0)
    sink = StreamingSink(server.connect, SnowflakeConfig(), clock, ChannelNotes(tmp_path / "n"), lambda _: None)
    log.append("0", histories(1))
    pipeline = Pipeline(log, sink, "0", clock, feeds=FEEDS)

    def carry() -> None:
        pipeline.open()
        pipeline.step()

    for _ in range(2):
        with pytest.raises(ChannelInvalid):
            carry()
    with pytest.raises(ChannelOwnedElsewhere, match="deployment 'main'"):
        carry()
    with pytest.raises(ChannelOwnedElsewhere):
        pipeline.open()
    clock.advance(601)
    server.theft_rate = 0.0
    pipeline.open()
    while pipeline.step() is not None or pipeline.settled < pipeline.position:
        pass
    assert pipeline.settled == log.end("0")
