"""The spool's own promises: days, damage, readers beside a writer."""

import os
import random
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.fakes.clock import FakeClock
from thirdrail.capturelog import append_lock
from thirdrail.capturelog import segment as segment_module
from thirdrail.capturelog.day_files import PARTITION
from thirdrail.capturelog.opening import connect_for_reading
from thirdrail.capturelog.segment import Segment
from thirdrail.capturelog.spool import LEAP, Spool
from thirdrail.errors import LogBusy, LogDamaged
from thirdrail.model.records import Poll, Settings

DAY = 86_400.0
EVERY_POLL = Settings(history="every_poll")


def poll(minute: int, **facts: object) -> Poll:
    return Poll(feed_id="line", fetched_at=minute * 60_000_000, **facts)  # type: ignore[arg-type]


def opened(path: Path, clock: FakeClock) -> Spool:
    return Spool.open(path, clock, writable=True)


def reader_of(path: Path) -> Spool:
    return Spool.open(path, FakeClock(), writable=False)


def listing(path: Path) -> dict[str, tuple[int, int]]:
    return {each.name: (each.stat().st_mtime_ns, each.stat().st_size) for each in path.iterdir()}


def test_a_new_day_goes_on_in_a_new_file_and_the_old_one_is_left_plain(tmp_path: Path) -> None:
    clock = FakeClock()
    spool = opened(tmp_path, clock)
    spool.append(PARTITION, [(Settings(), None), (poll(1), b"a")])
    clock.advance(DAY)
    spool.append(PARTITION, [(poll(2), b"b")])

    assert len(spool.segments()) == 2
    assert [entry.offset for entry in spool.read(PARTITION, 0, 10)] == [0, 1, 2]
    assert [entry.offset for entry in spool.headers(1, 10)] == [1, 2]
    assert [fact.closed for fact in spool.facts()] == [True, False]
    assert not list(tmp_path.glob(f"{spool.segments()[0].path.name}-*"))
    assert spool.settings_before(PARTITION, 3) == Settings()


def test_files_are_written_as_the_house_rules_say(tmp_path: Path) -> None:
    spool = opened(tmp_path, FakeClock())
    spool.append(PARTITION, [(poll(1), b"a")])

    assert spool._writer is not None
    pragmas = {name: spool._writer.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2}
    assert spool.segments()[0].number("PRAGMA page_size") == 16_384


def test_a_clock_that_steps_back_stays_in_the_newest_file(tmp_path: Path) -> None:
    clock = FakeClock()
    spool = opened(tmp_path, clock)
    spool.append(PARTITION, [(poll(1), b"a")])
    clock.jump(-2 * DAY)
    spool.append(PARTITION, [(poll(2), b"b")])
    assert spool.skip(0) == LEAP
    spool.close()
    again = opened(tmp_path, clock)
    again.append(PARTITION, [(poll(3), b"c")])

    assert [segment.day for segment in again.segments()] == ["2026-05-28", "2026-05-28"]
    assert [entry.offset for entry in again.read(PARTITION, 0, 10)] == [0, 1, LEAP]


def test_the_day_changes_beside_a_reader_and_the_old_file_is_closed_when_it_leaves(tmp_path: Path) -> None:
    clock = FakeClock()
    spool = opened(tmp_path, clock)
    spool.append(PARTITION, [(poll(1), b"a")])
    with closing(connect_for_reading(spool.segments()[0].path, "SELECT 1 FROM meta")) as db:
        db.execute("BEGIN")
        db.execute("SELECT * FROM records").fetchone()
        clock.advance(DAY)
        assert spool.append(PARTITION, [(poll(2), b"b")]) == [1]
        assert [fact.closed for fact in spool.facts()] == [False, False]

    spool.append(PARTITION, [(poll(3), b"c")])
    assert [fact.closed for fact in spool.facts()] == [True, False]


def test_readers_meet_no_error_while_days_change_and_expire(tmp_path: Path) -> None:
    clock = FakeClock()
    spool = opened(tmp_path, clock)
    spool.append(PARTITION, [(EVERY_POLL, None)])
    errors: list[BaseException] = []
    rounds = [0, 0]
    stop = threading.Event()

    def watch(number: int) -> None:
        reader = reader_of(tmp_path)
        try:
            while not stop.is_set():
                end = reader.end(PARTITION)
                assert reader.settings_before(PARTITION, end) == EVERY_POLL
                reader.read(PARTITION, 0, 100)
                list(reader.read_back(PARTITION, "line", "live", end, 10_000_000))
                rounds[number] += 1
        except BaseException as error:  # noqa: BLE001 - a thread's top
            errors.append(error)

    threads = [threading.Thread(target=watch, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for day in range(40):
        clock.advance(DAY)
        spool.append(PARTITION, [(poll(day), b"x")])
        spool.acknowledge("r", PARTITION, spool.end(PARTITION))
        spool.expire(clock.now(), days=3, size=10**9)
    stop.set()
    for thread in threads:
        thread.join()

    assert errors == []
    assert min(rounds) > 0
    assert len(spool.segments()) < 10


def test_a_second_appender_is_told_who_holds_the_log_and_readers_are_welcome(tmp_path: Path) -> None:
    spool = opened(tmp_path, FakeClock())
    spool.append(PARTITION, [(poll(1), b"a")])

    with pytest.raises(LogBusy, match=f"process {os.getpid()} since 2026-05-28 20:26:40 UTC"):
        opened(tmp_path, FakeClock())
    reader = reader_of(tmp_path)
    assert [entry.body for entry in reader.read(PARTITION, 0, 10)] == [b"a"]
    spool.append(PARTITION, [(poll(2), b"b")])
    assert reader.end(PARTITION) == 2
    with pytest.raises(LogBusy, match="for reading"):
        reader.append(PARTITION, [(poll(3), b"c")])
    with pytest.raises(LogBusy, match="for reading"):
        reader.expire(0, days=1, size=1)


def test_the_log_keeps_its_id_when_its_days_or_the_id_file_are_gone(tmp_path: Path) -> None:
    clock = FakeClock()
    spool = opened(tmp_path, clock)
    spool.append(PARTITION, [(poll(1), b"a")])
    log_id = spool.log_id
    spool.close()
    (tmp_path / "log_id").write_text("")  # a power cut between making the file and writing it

    with pytest.raises(LogDamaged, match="no capture log"):
        reader_of(tmp_path)
    assert opened(tmp_path, clock).log_id == log_id
    assert reader_of(tmp_path).log_id == log_id


def test_a_file_that_was_not_born_is_no_file(tmp_path: Path) -> None:
    clock = FakeClock()
    spool = opened(tmp_path, clock)
    spool.append(PARTITION, [(poll(1), b"a")])
    half_born = sqlite3.connect(tmp_path / "newborn-1.tmp")
    half_born.execute("CREATE TABLE meta (other)")
    half_born.close()

    assert reader_of(tmp_path).end(PARTITION) == 1
    clock.advance(DAY)
    assert spool.append(PARTITION, [(poll(2), b"b")]) == [1]
    spool.close()
    opened(tmp_path, clock)
    assert not (tmp_path / "newborn-1.tmp").exists()


def test_a_damaged_day_is_named_and_the_others_stay_readable(tmp_path: Path) -> None:
    clock = FakeClock()
    spool = opened(tmp_path, clock)
    for day in range(3):
        spool.append(PARTITION, [(poll(day * 1440), b"x" * 50_000), (poll(day * 1440 + 1), b"y")])
        clock.advance(DAY)
    damaged = spool.segments()[1].path
    damaged.write_bytes(b"rubbish" * 1000)

    assert [entry.offset for entry in spool.read(PARTITION, 0, 10)] == [0, 1]
    with pytest.raises(LogDamaged, match=f"{damaged.name}.*offsets from 2 to 3"):
        spool.read(PARTITION, 2, 10)
    assert [entry.offset for entry in spool.read(PARTITION, 4, 10)] == [4, 5]
    assert [fact.damage is not None for fact in spool.facts()] == [False, True, False]


def test_a_flipped_bit_in_a_body_is_noticed_and_harms_that_body_alone(tmp_path: Path) -> None:
    spool = opened(tmp_path, FakeClock())
    bodies = [random.Random(number).randbytes(100_000) for number in range(3)]
    spool.append(PARTITION, [(poll(number), body) for number, body in enumerate(bodies)])
    spool.close()
    path = spool.segments()[0].path
    content = bytearray(path.read_bytes())
    content[content.index(bodies[1][40_000:40_020])] ^= 1
    path.write_bytes(content)

    reader = reader_of(tmp_path)
    assert [entry.body for entry in reader.read(PARTITION, 0, 10)] == bodies[:1]
    with pytest.raises(LogDamaged, match="offset 1 "):
        reader.read(PARTITION, 1, 10)
    assert reader.entry(2).body == bodies[2]


def test_a_damaged_newest_file_is_left_behind_a_million_offsets_below(tmp_path: Path) -> None:
    clock = FakeClock()
    spool = opened(tmp_path, clock)
    spool.append(PARTITION, [(EVERY_POLL, None)])
    clock.advance(DAY)
    spool.append(PARTITION, [(poll(1), b"x")])
    path = spool.segments()[-1].path
    spool.close()
    path.write_bytes(b"rubbish" * 1000)

    again = opened(tmp_path, clock)
    assert again.end(PARTITION) >= LEAP  # already before the first append: the pipelines open before it
    (offset,) = again.append(PARTITION, [(poll(2), b"y")])
    assert offset >= LEAP
    assert again.settings_before(PARTITION, offset) == EVERY_POLL


def test_skipping_goes_a_million_ahead_and_keeps_settings(tmp_path: Path) -> None:
    spool = opened(tmp_path, FakeClock())
    spool.append(PARTITION, [(Settings(), None)])

    assert spool.skip(2_500_000) == 3 * LEAP
    spool.close()
    again = opened(tmp_path, FakeClock())
    assert again.append(PARTITION, [(poll(1), b"a")]) == [3 * LEAP]
    assert again.settings_before(PARTITION, 3 * LEAP) == Settings()


def test_a_body_is_found_by_its_digest_in_any_origin_and_day_but_not_in_another_feed(tmp_path: Path) -> None:
    clock = FakeClock()
    spool = opened(tmp_path, clock)
    spool.append(PARTITION, [(poll(1), b"a"), (poll(2, origin="replay-1"), b"b")])
    clock.advance(DAY)
    spool.append(PARTITION, [(poll(3, duplicate_of=1), None)])
    digest = spool.entry(1).record.body_sha256  # type: ignore[union-attr]

    assert spool.find_body("line", digest) == 1
    assert spool.find_body("other", digest) is None
    assert spool.entry(2).body == b"b"


def test_reading_changes_nothing_in_the_folder(tmp_path: Path) -> None:
    clock = FakeClock()
    spool = opened(tmp_path, clock)
    for _ in range(2):
        spool.append(PARTITION, [(poll(1), b"a")])
        clock.advance(DAY)
    spool.acknowledge("iceberg", PARTITION, 1)
    spool.close()
    before = listing(tmp_path)

    reader = reader_of(tmp_path)
    assert [entry.body for entry in reader.read(PARTITION, 0, 5)] == [b"a", b"a"]
    assert reader.acknowledgements() == {"iceberg": 1}
    assert [fact.closed for fact in reader.facts()] == [True, True]
    reader.close()
    assert listing(tmp_path) == before


def test_two_that_append_although_a_lock_should_prevent_it_give_no_offset_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Safety never rests on the lock: across a change of day too, and when one was killed in the middle of it."""
    monkeypatch.setattr(append_lock, "take", lambda path, _now: os.open(path, os.O_RDWR | os.O_CREAT))
    clock = FakeClock()
    one, other = opened(tmp_path, clock), opened(tmp_path, clock)
    given = [one.append(PARTITION, [(poll(1), b"a")]), other.append(PARTITION, [(poll(2), b"b"), (poll(3), b"c")])]
    clock.advance(DAY)
    given += [other.append(PARTITION, [(poll(4), b"d")]), one.append(PARTITION, [(poll(5), b"e")])]
    assert given == [[0], [1, 2], [3], [4]]
    clock.advance(DAY)
    create, killed = Segment.create, RuntimeError("killed between the mark and the file")

    def die(*_: object) -> Segment:
        raise killed

    monkeypatch.setattr(Segment, "create", die)
    with pytest.raises(RuntimeError):
        one.append(PARTITION, [(poll(6), b"f")])
    monkeypatch.setattr(Segment, "create", create)

    assert other.append(PARTITION, [(poll(6), b"f")]) == [5]
    assert [entry.offset for entry in one.read(PARTITION, 0, 100)] == [0, 1, 2, 3, 4, 5]
    one.close()
    other.close()


def test_a_read_that_fails_in_passing_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when another process opens or closes the file at that moment."""
    spool = opened(tmp_path, FakeClock())
    spool.append(PARTITION, [(poll(1), b"a")])
    passing, connect = iter([True, True]), segment_module.connect_for_reading

    def fail_first(path: Path, probe: str) -> sqlite3.Connection:
        if next(passing, False):
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error
        return connect(path, probe)

    monkeypatch.setattr(segment_module, "connect_for_reading", fail_first)
    assert spool.end(PARTITION) == 1
    passing = iter([True] * 99)
    with pytest.raises(LogDamaged, match="disk I/O error"):
        spool.end(PARTITION)
