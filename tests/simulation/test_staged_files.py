"""Exactly once through staged files, and through a change of method in mid-stream: any crashes give the rows of none.

The pipeline, both sinks and their writers are the real ones; Snowflake is in memory and driven by a seed. Against the
official clients and a server of its own: tests/snowpipe.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

import polars as pl
import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.sinks import Crashed
from tests.fakes.snowflake import FakeSnowflake
from tests.fakes.snowpipe import FakeSnowpipe
from tests.simulation.test_change_keeping import FEEDS, histories, without_restart
from tests.simulation.test_handed_over import JUDGES, Records
from thirdrail.capturelog.memory import MemoryLog
from thirdrail.config.settings import SnowflakeConfig
from thirdrail.errors import ChannelInvalid, HandOverPending, SnowflakeUnavailable, StagedFileRefused
from thirdrail.maintenance.sameness import compared
from thirdrail.model.tables import TABLES
from thirdrail.pipeline.loop import Limits, Pipeline
from thirdrail.sinks.snowflake.account import pipe_name
from thirdrail.sinks.snowflake.notes import ChannelNotes
from thirdrail.sinks.snowpipe import writer as files_writer
from thirdrail.sinks.snowpipe.sink import SnowpipeSink
from thirdrail.sinks.snowpipe_streaming import writer as channel_writer
from thirdrail.sinks.snowpipe_streaming.lines import chunks
from thirdrail.sinks.snowpipe_streaming.sink import StreamingSink

SEEDS = int(os.environ.get("THIRDRAIL_HANDED_SEEDS", "10"))
MUTANT_SEEDS = 60
FILES, CHANNELS = "snowpipe", "snowpipe_streaming"
DIES = (Crashed, ChannelInvalid, HandOverPending, SnowflakeUnavailable)
STEPS = 3_000


class Snowflake(NamedTuple):
    """An account that takes both."""

    channels: FakeSnowflake
    files: FakeSnowpipe

    def rows(self, table: str) -> pl.DataFrame:
        """Give what a table holds, whatever brought it."""
        pipe = pipe_name(table, default_pipes=False)
        lines = [row for (name, _), each in self.channels.channels.items() if name == pipe for row in each.rows]
        found, refused = JUDGES[table].judged(b"\n".join(lines))
        assert not refused
        loaded = [pl.DataFrame(each) for each in self.files.rows.get(table, ())]
        return pl.concat([found, *(each.select(found.columns).cast(found.schema) for each in loaded)])


def sink_of(method: str, server: Snowflake, clock: FakeClock, path: Path) -> SnowpipeSink | StreamingSink:
    """Give a method's sink, as a new process makes it."""
    config, notes = SnowflakeConfig(ingestion_method=method, batch_seconds=20), ChannelNotes(path)  # type: ignore[arg-type]

    def nothing(_: object) -> None:
        """Nobody is told."""

    if method == FILES:
        channels = StreamingSink(server.channels.connect, config, clock, notes, nothing)
        return SnowpipeSink(server.files.place, config, clock, notes, nothing, earlier=channels.token)
    files = SnowpipeSink(server.files.place, config, clock, notes, nothing)
    return StreamingSink(server.channels.connect, config, clock, notes, nothing, files.settled)


@contextmanager
def other_cuts(random: Random) -> Iterator[None]:
    """Cut calls of channels at other places in every process."""
    channel_writer.chunks = partial(chunks, chunk_rows=random.choice((1, 2, 3, 50)))  # type: ignore[attr-defined]
    try:
        yield
    finally:
        channel_writer.chunks = chunks  # type: ignore[attr-defined]


def carried(records: Records, seed: int, notes: Path, *, methods: tuple[str, ...], remembers: bool = True) -> Snowflake:
    """Append and carry in pieces; a new process after each piece and crash, with a method and a cut of its own."""
    random, log, clock = Random(seed), MemoryLog(), FakeClock()
    server = Snowflake(
        FakeSnowflake(random, crash_rate=0.01, theft_rate=0.005),
        FakeSnowpipe(random, clock, crash_rate=0.004, lost_rate=0.004, remembers=remembers),
    )
    rest, position, steps = records, 0, 0
    while rest:
        length = random.randint(2, 9)
        log.append("0", rest[:length])
        rest = rest[length:]
        done = False
        while not done:
            clock.advance(3_600)  # thefts an hour apart are no quarrel
            server.files.load_rate = random.choice((0.02, 0.2, 1.0))
            sink = sink_of(random.choice(methods), server, clock, notes)
            limits = Limits(entries=random.choice((1, 2, 4, 1000)))
            pipeline = Pipeline(log, sink, "0", clock, limits=limits, feeds=FEEDS)
            with other_cuts(random), suppress(*DIES):
                pipeline.open()
                assert pipeline.position >= position, "a position went back"
                position, left = pipeline.position, random.randint(1, 400)
                while left and not done:
                    done = pipeline.step() is None and pipeline.settled >= pipeline.position
                    clock.advance(random.choice((0.1, 2.0, 10.0)))
                    left -= 1
            steps += 1
            assert steps < STEPS, "it does not come to an end"
    return server


def differences(seed: int, folder: Path, **how: object) -> int:
    """Count rows that are in one and not in the other."""
    records = histories(seed)
    expected = without_restart(records)
    server = carried(records, seed, folder / f"{seed}.json", **({"methods": (FILES,)} | how))  # type: ignore[arg-type]
    found = [compared(table, expected.rows(table), server.rows(table.name).to_arrow()) for table in TABLES]
    return sum(each.only_here + each.only_there for each in found)


def test_rows_are_there_once_whatever_happens(tmp_path: Path) -> None:
    assert [seed for seed in range(SEEDS) if differences(seed, tmp_path)] == []


def test_rows_are_there_once_however_often_the_method_is_changed(tmp_path: Path) -> None:
    assert [seed for seed in range(SEEDS) if differences(seed, tmp_path, methods=(FILES, CHANNELS))] == []


def believe_what_was_submitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take what was submitted for loaded."""
    monkeypatch.setattr(
        files_writer.FilesWriter, "position", property(lambda self: self._end or (self._known and self._known.offset))
    )


def take_over_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not look at the stage when a table is opened."""
    monkeypatch.setattr(files_writer.FilesWriter, "_ours", lambda *_: {})


def remember_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget how far files were loaded, and keep none of them."""
    monkeypatch.setattr(ChannelNotes, "loaded", lambda *_: None)
    monkeypatch.setattr(
        files_writer.FilesWriter, "_tidy", lambda self: [self._stage.remove(each.path) for each in self._loaded_files]
    )


def switch_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let channels go on while files are not loaded yet."""
    monkeypatch.setattr(files_writer.FilesWriter, "is_settled", property(lambda _: True))


def forget_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files begin without asking the channels."""
    monkeypatch.setattr(StreamingSink, "token", lambda *_: None)


BROKEN = {
    believe_what_was_submitted: (FILES,),
    take_over_nothing: (FILES,),
    remember_nothing: (FILES,),
    switch_without_waiting: (FILES, CHANNELS),
    forget_channels: (FILES, CHANNELS),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_protection_switched_off_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Callable[[pytest.MonkeyPatch], None]
) -> None:
    broken(monkeypatch)
    assert is_noticed(tmp_path, methods=BROKEN[broken]), f"{broken.__name__}: {MUTANT_SEEDS} seeds saw nothing"


def test_a_pipe_that_loads_a_name_twice_is_noticed(tmp_path: Path) -> None:
    assert is_noticed(tmp_path, remembers=False)


def is_noticed(folder: Path, **how: object) -> bool:
    """Whether one of the seeds fails."""
    for seed in range(MUTANT_SEEDS):
        with suppress(AssertionError, StagedFileRefused):
            if not differences(seed, folder, **how):
                continue
        return True
    return False
