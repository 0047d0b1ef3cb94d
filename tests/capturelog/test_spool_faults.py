"""What kill -9, a full disk and a disk that fails to write do to the spool. Real processes, real SQLite.

A power cut is not simulated here: that an fsynced WAL survives one is SQLite's and the disk's promise.
"""

import random
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.fakes.clock import FakeClock
from thirdrail.capturelog.day_files import PARTITION
from thirdrail.capturelog.spool import LEAP, Spool
from thirdrail.errors import DiskFull
from thirdrail.model.records import Poll, Settings

SOURCES = str(Path(__file__).parents[2])
ROUNDS = 20


def body_of(number: int) -> bytes:
    return random.Random(number).randbytes(20_000)


PRELUDE = f"""
import sys
sys.path[:0] = [{SOURCES!r}, {SOURCES + "/src"!r}]
from pathlib import Path
from tests.capturelog.test_spool_faults import body_of
from tests.fakes.clock import FakeClock
from thirdrail.capturelog.day_files import PARTITION
from thirdrail.capturelog.spool import Spool
from thirdrail.model.records import Poll, Settings

directory = Path(sys.argv[1])


def append(spool, number):
    offsets = spool.append(PARTITION, [(Poll(feed_id="line", fetched_at=number), body_of(number))])
    print(offsets[0], number, flush=True)

"""

APPENDS_WITHOUT_END = f"""{PRELUDE}
spool = Spool.open(directory, FakeClock(), writable=True)
number = spool.end(PARTITION)
while True:
    append(spool, number)
    number += 1
"""

CHANGES_THE_DAY_WITHOUT_END = f"""{PRELUDE}
clock = FakeClock(FakeClock().now() + 86_400_000_000 * len(list(directory.glob("*.sqlite"))))
spool = Spool.open(directory, clock, writable=True)
if spool.settings_before(PARTITION, spool.end(PARTITION)) is None:
    spool.append(PARTITION, [(Settings(history="every_poll"), None)])
number = spool.end(PARTITION)
while True:
    clock.advance(86_400)
    append(spool, number)
    number += 1
"""

APPENDS_ON_A_DISK_THAT_FAILS = f"""{PRELUDE}
import resource
spool = Spool.open(directory, FakeClock(), writable=True)
spool.append(PARTITION, [(Settings(history="every_poll"), None)])
# Past this size write() fails with EFBIG, which SQLite reports as it does EIO: SQLITE_IOERR_WRITE.
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
for number in range(100):
    append(spool, number)
"""


class KilledAppender:
    """A child that appends and prints what was acknowledged, until it is killed with SIGKILL."""

    def __init__(self, script: str, directory: Path) -> None:
        self._command = [sys.executable, "-c", script, str(directory)]
        self.acknowledged: dict[int, int] = {}

    def run_and_kill_after(self, lines: int) -> None:
        with subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for _ in range(lines):
                self._note(child.stdout.readline())
            child.kill()
            for line in child.stdout.read().splitlines(keepends=True):
                if line.endswith("\n"):
                    self._note(line)

    def _note(self, line: str) -> None:
        offset, number = map(int, line.split())
        assert self.acknowledged.setdefault(offset, number) == number, "an offset was given twice"


class FullDisk:
    """Lets the file that is being appended to grow by no page more, until ``free``: SQLITE_FULL, as at ENOSPC."""

    def __init__(self, spool: Spool) -> None:
        assert spool._writer is not None
        self._db = spool._writer
        pages = self._db.execute("PRAGMA page_count").fetchone()[0]
        self._db.execute(f"PRAGMA max_page_count={pages + 3}")

    def free(self) -> None:
        self._db.execute("PRAGMA max_page_count=1000000")


def held(directory: Path) -> dict[int, bytes | None]:
    reader = Spool.open(directory, FakeClock(), writable=False)
    entries = reader.read(PARTITION, 0, 1_000_000, 10**9)
    return {entry.offset: entry.body for entry in entries}


def test_kill_9_in_mid_append_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    appender = KilledAppender(APPENDS_WITHOUT_END, tmp_path)
    for round_ in range(ROUNDS):
        appender.run_and_kill_after(3 + 5 * (round_ % 7))
        found = held(tmp_path)
        assert sorted(found) == list(range(len(found)))

    assert len(appender.acknowledged) > 300
    assert {offset: found[offset] for offset in appender.acknowledged} == {
        offset: body_of(number) for offset, number in appender.acknowledged.items()
    }


def test_kill_9_in_a_day_change_leaves_whole_files_and_one_sequence(tmp_path: Path) -> None:
    appender = KilledAppender(CHANGES_THE_DAY_WITHOUT_END, tmp_path)
    for round_ in range(ROUNDS):
        appender.run_and_kill_after(1 + round_ % 4)
        reader = Spool.open(tmp_path, FakeClock(), writable=False)
        assert [fact.damage for fact in reader.facts() if fact.damage] == []
        found = held(tmp_path)
        assert sorted(found) == list(range(len(found)))
        assert reader.settings_before(PARTITION, reader.end(PARTITION)) == Settings(history="every_poll")

    assert len(reader.segments()) > ROUNDS
    for offset, number in appender.acknowledged.items():
        assert found[offset] == body_of(number)
    # The next appender closes the days that the killed ones left open.
    with_writer = Spool.open(tmp_path, FakeClock(), writable=True)
    assert all(fact.closed for fact in with_writer.facts()[:-1])
    with_writer.close()


def test_on_a_full_disk_nothing_of_a_batch_is_appended_and_all_resumes_when_there_is_space(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, FakeClock(), writable=True)
    spool.append(PARTITION, [(Poll(feed_id="line", fetched_at=0), body_of(0))])
    disk = FullDisk(spool)

    batch = [(Poll(feed_id="line", fetched_at=number), body_of(number)) for number in range(1, 9)]
    for _ in range(2):
        with pytest.raises(DiskFull, match="no space"):
            spool.append(PARTITION, batch)
        assert list(held(tmp_path)) == [0]
    disk.free()
    assert spool.append(PARTITION, batch) == list(range(1, 9))
    assert held(tmp_path) == {number: body_of(number) for number in range(9)}


def test_when_the_disk_fails_to_write_a_file_the_log_goes_on_in_another_a_million_above(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", APPENDS_ON_A_DISK_THAT_FAILS, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    acknowledged = dict(tuple(map(int, line.split())) for line in done.stdout.splitlines())

    found = held(tmp_path)
    assert found.pop(0) is None  # the settings
    assert found == {offset: body_of(number) for offset, number in acknowledged.items()}
    assert len(acknowledged) == 100
    reader = Spool.open(tmp_path, FakeClock(), writable=False)
    firsts = [segment.first for segment in reader.segments()]
    assert firsts == [2 * LEAP * place for place in range(len(firsts))]
    assert len(firsts) > 1
    assert reader.settings_before(PARTITION, firsts[-1]) == Settings(history="every_poll")


LEAVES_A_HOT_JOURNAL = """
import os, signal, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA journal_mode=DELETE")
db.execute("PRAGMA cache_size=1")
db.execute("BEGIN IMMEDIATE")
db.execute("CREATE TABLE half_done (x BLOB)")
for _ in range(50):
    db.execute("INSERT INTO half_done VALUES (randomblob(100000))")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_day_whose_closing_was_killed_half_way_is_rolled_back_by_its_first_reader(tmp_path: Path) -> None:
    clock = FakeClock()
    with closing(Spool.open(tmp_path, clock, writable=True)) as spool:
        spool.append(PARTITION, [(Poll(feed_id="line", fetched_at=1), body_of(1))])
        clock.advance(86_400)
        spool.append(PARTITION, [(Poll(feed_id="line", fetched_at=2), body_of(2))])
    day = min(tmp_path.glob("*.sqlite"))
    subprocess.run([sys.executable, "-c", LEAVES_A_HOT_JOURNAL, str(day)], check=False)
    assert day.with_name(day.name + "-journal").stat().st_size > 0

    with closing(Spool.open(tmp_path, clock, writable=False)) as reader:
        assert [entry.body for entry in reader.read(PARTITION, 0, 10)] == [body_of(1), body_of(2)]
