"""Rows do not depend on when a process ran: any number of restarts gives the rows of none (design 3a)."""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from random import Random

import polars as pl
import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.sinks import Crashed, CrashingSink
from tests.simulation.histories import history
from thirdrail.capturelog.memory import MemoryLog
from thirdrail.model.feeds import Feed
from thirdrail.model.ports import Sink
from thirdrail.model.records import Record, Settings
from thirdrail.model.tables import TABLES
from thirdrail.pipeline.loop import Limits, Pipeline, StepResult
from thirdrail.pipeline.streams import Streams
from thirdrail.pipeline.transform import Rows
from thirdrail.sinks.memory import MemorySink

FEEDS = {"line": Feed(id="line", family="bus", url="", meaning="simulated")}
SEEDS = int(os.environ.get("THIRDRAIL_SEEDS", "200"))
MUTANT_SEEDS = 200
CRASH_RATE = 0.03

Records = list[tuple[Record, bytes | None]]


def drain(log: MemoryLog, sink: Sink, *, entries: int = 1000) -> None:
    """Run one process until the log is drained (or the process dies)."""
    pipeline = Pipeline(log, sink, "0", FakeClock(), limits=Limits(entries=entries), feeds=FEEDS)
    pipeline.open()
    while pipeline.step() is not None:
        pass
    pipeline.close()


def without_restart(records: Records) -> MemorySink:
    log, sink = MemoryLog(), MemorySink()
    log.append("0", records)
    drain(log, sink)
    return sink


def with_restarts(records: Records, seed: int) -> MemorySink:
    """Append and drain in pieces of random length, with a new process for each and for each crash."""
    random, log, sink = Random(seed), MemoryLog(), MemorySink()
    rest = records
    while rest:
        length = random.randint(2, 9)
        log.append("0", rest[:length])
        rest = rest[length:]
        while True:
            try:
                drain(log, CrashingSink(sink, random, CRASH_RATE), entries=random.choice((2, 4, 1000)))
            except Crashed:
                continue
            break
    return sink


def same(left: MemorySink, right: MemorySink) -> bool:
    return all(left.rows(table).equals(right.rows(table)) for table in TABLES)


def differs(seed: int) -> bool:
    return not same(without_restart(histories(seed)), with_restarts(histories(seed), seed))


def in_processes(function: Callable[[int], bool], seeds: range) -> list[int]:
    """Give the seeds for which the function is true, searched on every core."""
    with pytest.MonkeyPatch.context() as patched, ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        patched.setenv("POLARS_MAX_THREADS", "1")  # one thread a process: the processes fill the cores
        found = pool.map(function, seeds, chunksize=10)
        return [seed for seed, is_true in zip(seeds, found, strict=True) if is_true]


def histories(seed: int) -> Records:
    """A history, every third with a change of settings in its middle."""
    records = history(seed, length=16)
    if seed % 3 == 0:
        wider = Settings(history="every_poll" if seed % 2 else "changes", severities={"*": {"M010": "reject"}})
        records.insert(len(records) // 2, (wider, None))
        records = [record for record in records if getattr(record[0], "duplicate_of", None) is None]
    return records


def test_any_number_of_restarts_gives_the_rows_of_none() -> None:
    assert in_processes(differs, range(SEEDS)) == []


def test_histories_hold_what_they_are_meant_to_hold() -> None:
    outcomes: set[str] = set()
    kinds: set[str] = set()
    accepted: set[bool] = set()
    for seed in range(20):
        sink = without_restart(history(seed))
        messages = pl.from_arrow(sink.rows(TABLES[-1]))
        assert isinstance(messages, pl.DataFrame)
        outcomes |= set(messages["outcome"])
        accepted |= set(messages["accepted"])
        kinds |= set(sink.rows(TABLES[1]).column("change_kind").to_pylist())

    assert outcomes == {"ok", "duplicate", "hollow", "rejected", "decode_error", "network_error"}
    assert kinds == {"added", "changed", "repeated", "removed"}
    assert accepted == {True, False}


def test_without_reading_back_forty_minutes_other_rows_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Streams, "read_back_seconds", 0)

    assert any(differs(seed) for seed in range(MUTANT_SEEDS))


def test_acknowledging_before_the_commit_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log may drop what is acknowledged: a crash between the two would lose it."""

    def eager(pipeline: Pipeline, rows: Rows, result: StepResult) -> None:
        pipeline._log.acknowledge("memory", "0", result.span.end)
        commit(pipeline, rows, result)

    commit = Pipeline._commit
    monkeypatch.setattr(Pipeline, "_commit", eager)

    assert any(loses_what_was_acknowledged(seed) for seed in range(MUTANT_SEEDS))


def test_acknowledging_never_runs_ahead_of_the_tables() -> None:
    assert not any(loses_what_was_acknowledged(seed) for seed in range(SEEDS))


def loses_what_was_acknowledged(seed: int) -> bool:
    """Whether, after a crash, the log was told to forget what some table still lacks."""
    random, log, sink = Random(seed), MemoryLog(), MemorySink()
    log.append("0", history(seed, length=6))
    with suppress(Crashed):
        drain(log, CrashingSink(sink, random, 0.1), entries=2)
    acknowledged = log.acknowledged.get(("memory", "0"), 0)
    return any(sink.positions.get((table.name, log.log_id, "0"), 0) < acknowledged for table in TABLES)
