"""The spool's own promises: days, retention, damage, kill -9, readers beside a writer."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.clock import FakeClock
from thirdrail.capturelog.spool import LEAP, PARTITION, Spool
from thirdrail.errors import LogBusy, LogDamaged
from thirdrail.model.records import Poll, Settings

DAY = 86_400.0
GIGABYTE = 10**9


def poll(minute: int, **facts: object) -> Poll:
    return Poll(feed_id="line", fetched_at=minute * 60_000_000, **facts)  # type: ignore[arg-type]


def opened(path: Path, clock: FakeClock) -> Spool:
    return Spool.open(path, clock, writable=True)


def test_a_new_day_goes_on_in_a_new_file_and_the_old_one_is_left_plain(tmp_path: Path) -> None:
    clock = FakeClock()
    spool = opened(tmp_path, clock)
    spool.append(PARTITION, [(Settings(), None), (poll(1), b"a")])
    clock.advance(DAY)
    spool.append(PARTITION, [(poll(2), b"b")])

    assert len(spool.segments()) == 2
    assert [entry.offset for entry in spool.read(PARTITION, 0, 10)] == [0, 1, 2]
    assert not list(tmp_path.glob(f"{spool.segments()[0].path.name}-*"))
    assert spool.settings_before(PARTITION, 3) == Settings()


def test_a_clock_that_steps_back_stays_in_the_newest_file(tmp_path: Path) -> None:
    clock = FakeClock()
    spool = opened(tmp_path, clock)
    spool.append(PARTITION, [(poll(1), b"a")])
    clock.jump(-2 * DAY)
    spool.append(PARTITION, [(poll(2), b"b")])

    assert len(spool.segments()) == 1
    assert spool.end(PARTITION) == 2


def test_a_second_appender_is_told_who_holds_the_log_and_readers_are_welcome(tmp_path: Path) -> None:
    spool = opened(tmp_path, FakeClock())
    spool.append(PARTITION, [(poll(1), b"a")])

    with pytest.raises(LogBusy, match=f"process {os.getpid()} since"):
        opened(tmp_path, FakeClock())
    reader = Spool.open(tmp_path, FakeClock(), writable=False)
    assert [entry.body for entry in reader.read(PARTITION, 0, 10)] == [b"a"]
    spool.append(PARTITION, [(poll(2), b"b")])
    assert reader.end(PARTITION) == 2


def test_retention_deletes_whole_days_that_nobody_needs(tmp_path: Path) -> None:
    clock = FakeClock()
    spool = opened(tmp_path, clock)
    settings = Settings(history="every_poll")
    spool.append(PARTITION, [(settings, None)])
    for day in range(6):
        spool.append(PARTITION, [(poll(day * 1440), b"x" * 1000)])
        clock.advance(DAY)

    assert spool.expire(clock.now(), days=3, size=GIGABYTE) == []
    spool.acknowledge("iceberg", PARTITION, 4)
    deleted = spool.expire(clock.now(), days=3, size=GIGABYTE)

    assert len(deleted) == 3
    assert spool.first(PARTITION) == 4
    assert spool.settings_before(PARTITION, 4) == settings


def test_retention_keeps_a_day_whose_body_a_later_duplicate_names(tmp_path: Path) -> None:
    clock = FakeClock()
    spool = opened(tmp_path, clock)
    (first,) = spool.append(PARTITION, [(poll(0), b"body")])
    clock.advance(DAY)
    spool.append(PARTITION, [(poll(1440), b"other")])
    clock.advance(9 * DAY)
    spool.append(PARTITION, [(poll(14400, outcome="duplicate", duplicate_of=first), None)])
    spool.acknowledge("iceberg", PARTITION, 3)
    clock.advance(DAY)

    assert spool.expire(clock.now(), days=3, size=GIGABYTE) == []
    assert spool.read(PARTITION, 2, 1)[0].body == b"body"


def test_a_damaged_day_is_named_and_the_others_stay_readable(tmp_path: Path) -> None:
    clock = FakeClock()
    spool = opened(tmp_path, clock)
    for day in range(3):
        spool.append(PARTITION, [(poll(day * 1440), b"x" * 50_000)])
        clock.advance(DAY)
    damaged = spool.segments()[1].path
    damaged.write_bytes(b"rubbish" * 1000)

    with pytest.raises(LogDamaged, match=damaged.name):
        spool.read(PARTITION, 1, 1)
    assert spool.read(PARTITION, 2, 1)[0].offset == 2
    assert [fact.damage is not None for fact in spool.facts()] == [False, True, False]


def test_a_damaged_newest_file_is_left_behind_a_million_offsets_below(tmp_path: Path) -> None:
    clock = FakeClock()
    spool = opened(tmp_path, clock)
    spool.append(PARTITION, [(poll(1), b"x")])
    path = spool.segments()[0].path
    spool.close()
    path.write_bytes(b"rubbish" * 1000)

    (offset,) = opened(tmp_path, clock).append(PARTITION, [(poll(2), b"y")])
    assert offset >= LEAP


def test_skipping_goes_a_million_ahead_and_keeps_settings(tmp_path: Path) -> None:
    spool = opened(tmp_path, FakeClock())
    spool.append(PARTITION, [(Settings(), None)])

    assert spool.skip(2_500_000) == 3 * LEAP
    assert spool.append(PARTITION, [(poll(1), b"a")]) == [3 * LEAP]
    assert spool.settings_before(PARTITION, 3 * LEAP) == Settings()


def test_reading_changes_nothing_in_the_folder(tmp_path: Path) -> None:
    spool = opened(tmp_path, FakeClock())
    spool.append(PARTITION, [(poll(1), b"a")])
    spool.close()
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.suffix == ".sqlite"}

    reader = Spool.open(tmp_path, FakeClock(), writable=False)
    assert reader.read(PARTITION, 0, 5)[0].body == b"a"
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.suffix == ".sqlite"} == before


APPENDER = """
import sys
from pathlib import Path
from thirdrail.capturelog.spool import PARTITION, Spool
from thirdrail.model.records import Poll
from thirdrail.observe.clock import SystemClock

spool = Spool.open(Path(sys.argv[1]), SystemClock(), writable=True)
number = spool.end(PARTITION)
while True:
    body = f"{number:06d}".encode() * 3000
    offset = spool.append(PARTITION, [(Poll(feed_id="line", fetched_at=number), body)])[0]
    print(offset, number, flush=True)
    number += 1
"""


def test_kill_9_in_mid_append_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    acknowledged: dict[int, int] = {}
    for round_ in range(8):
        child = subprocess.Popen([sys.executable, "-c", APPENDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        for _ in range(5 + 7 * round_):
            offset, number = child.stdout.readline().split()
            acknowledged[int(offset)] = int(number)
        child.send_signal(signal.SIGKILL)
        child.wait()
        for line in child.stdout.read().splitlines():
            if len(line.split()) == 2 and line.endswith(line.split()[1]):
                acknowledged.setdefault(int(line.split()[0]), int(line.split()[1]))
        child.stdout.close()

    reader = Spool.open(tmp_path, FakeClock(), writable=False)
    entries = reader.read(PARTITION, 0, 100_000, 10**9)
    found = {entry.offset: entry for entry in entries}
    assert [entry.offset for entry in entries] == list(range(len(entries)))
    assert len(acknowledged) > 100
    for offset, number in acknowledged.items():
        assert found[offset].body == f"{number:06d}".encode() * 3000
