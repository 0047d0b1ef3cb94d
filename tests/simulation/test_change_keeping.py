"""Rows do not depend on when a process ran: any number of restarts gives the rows of none (design 3a)."""

import os
from random import Random

import polars as pl
import pytest

from tests.fakes.clock import FakeClock
from tests.simulation.histories import history
from thirdrail.capturelog.memory import MemoryLog
from thirdrail.model.feeds import Feed
from thirdrail.model.records import Record, Settings
from thirdrail.model.tables import TABLES
from thirdrail.pipeline.loop import Limits, Pipeline
from thirdrail.pipeline.streams import Streams
from thirdrail.sinks.memory import MemorySink

FEEDS = {"line": Feed("line", "bus", "", "simulated")}
SEEDS = int(os.environ.get("THIRDRAIL_SEEDS", "2000"))
MUTANT_SEEDS = 200

Records = list[tuple[Record, bytes | None]]


def drain(log: MemoryLog, sink: MemorySink, *, entries: int = 1000) -> None:
    """Run one process until the log is drained."""
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
    """Append and drain in pieces of random length, with a new process for each."""
    random, log, sink = Random(seed), MemoryLog(), MemorySink()
    rest = records
    while rest:
        length = random.randint(1, 8)
        log.append("0", rest[:length])
        drain(log, sink, entries=random.choice((1, 3, 1000)))
        rest = rest[length:]
    return sink


def same(left: MemorySink, right: MemorySink) -> bool:
    return all(left.rows(table).equals(right.rows(table)) for table in TABLES)


def histories(seed: int) -> Records:
    """A history, every third with a change of settings in its middle."""
    records = history(seed)
    if seed % 3 == 0:
        wider = Settings(history="every_poll" if seed % 2 else "changes", severities={"*": {"M010": "reject"}})
        records.insert(len(records) // 2, (wider, None))
        records = [record for record in records if getattr(record[0], "duplicate_of", None) is None]
    return records


@pytest.mark.timeout(900)
def test_any_number_of_restarts_gives_the_rows_of_none() -> None:
    odd = [seed for seed in range(SEEDS) if not same(without_restart(histories(seed)), with_restarts(histories(seed), seed))]

    assert odd == []


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
    wanted = {seed: without_restart(histories(seed)) for seed in range(MUTANT_SEEDS)}
    monkeypatch.setattr(Streams, "read_back_seconds", 0)

    assert any(not same(wanted[seed], with_restarts(histories(seed), seed)) for seed in wanted)
