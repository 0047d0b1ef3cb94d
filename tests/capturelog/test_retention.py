"""Which days the spool forgets, and which it must not."""

from pathlib import Path

import pytest

from tests.fakes.clock import FakeClock
from thirdrail.capturelog.day_files import PARTITION
from thirdrail.capturelog.spool import Spool
from thirdrail.model.records import Poll, Settings

DAY = 86_400.0
GIGABYTE = 10**9
JUST_BEFORE_MIDNIGHT = 1_780_012_799_000_000 - 1_000_000


def poll(minute: int, **facts: object) -> Poll:
    return Poll(feed_id="line", fetched_at=minute * 60_000_000, **facts)  # type: ignore[arg-type]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def spool(tmp_path: Path, clock: FakeClock) -> Spool:
    return Spool.open(tmp_path, clock, writable=True)


def a_record_a_day(spool: Spool, clock: FakeClock, days: int) -> None:
    for day in range(days):
        spool.append(PARTITION, [(poll(day * 1440), b"x" * 1000)])
        clock.advance(DAY)


def test_whole_days_that_nobody_needs_go_and_their_settings_stay(spool: Spool, clock: FakeClock) -> None:
    settings = Settings(history="every_poll")
    spool.append(PARTITION, [(settings, None)])
    a_record_a_day(spool, clock, 6)

    assert spool.expire(clock.now(), days=3, size=GIGABYTE) == []
    spool.acknowledge("iceberg", PARTITION, 4)
    deleted = spool.expire(clock.now(), days=3, size=GIGABYTE)

    assert len(deleted) == 3
    assert spool.first(PARTITION) == 4
    assert [spool.settings_before(PARTITION, position) for position in (1, 4, 7)] == [settings] * 3
    assert [path for path in deleted if path.exists()] == []


def test_the_reader_that_is_furthest_behind_decides(spool: Spool, clock: FakeClock) -> None:
    a_record_a_day(spool, clock, 8)
    spool.acknowledge("iceberg", PARTITION, 8)
    spool.acknowledge("snowflake", PARTITION, 2)
    spool.acknowledge("snowflake", PARTITION, 1)  # never goes back

    assert spool.acknowledgements() == {"iceberg": 8, "snowflake": 2}
    assert len(spool.expire(clock.now(), days=3, size=GIGABYTE)) == 2


def test_the_newest_file_stays_however_old(spool: Spool, clock: FakeClock) -> None:
    a_record_a_day(spool, clock, 3)
    spool.acknowledge("iceberg", PARTITION, 3)
    clock.advance(100 * DAY)
    spool.append(PARTITION, [(poll(1), b"y")])
    clock.advance(100 * DAY)

    assert len(spool.expire(clock.now(), days=3, size=1)) == 3
    assert spool.read(PARTITION, 0, 9)[0].body == b"y"


def test_too_many_bytes_delete_the_oldest_days_until_they_fit(spool: Spool, clock: FakeClock) -> None:
    a_record_a_day(spool, clock, 6)
    spool.acknowledge("iceberg", PARTITION, 6)
    sizes = [fact.bytes for fact in spool.facts()]

    assert len(spool.expire(clock.now(), days=100, size=sum(sizes[2:]))) == 2
    assert spool.first(PARTITION) == 2


@pytest.mark.parametrize("more_is_wanted", [True, False])
def test_the_hour_below_an_acknowledgement_stays_whatever_the_size(tmp_path: Path, more_is_wanted: bool) -> None:
    clock = FakeClock(JUST_BEFORE_MIDNIGHT)
    spool = Spool.open(tmp_path, clock, writable=True)
    spool.append(PARTITION, [(poll(1), b"x")])
    clock.advance(30)
    spool.append(PARTITION, [(poll(2), b"y")] * (2 if more_is_wanted else 1))
    spool.acknowledge("iceberg", PARTITION, 2)
    assert len(spool.segments()) == 2

    assert spool.expire(clock.now(), days=3, size=1) == []
    clock.advance(3700)
    spool.append(PARTITION, [(poll(62), b"z")])
    spool.acknowledge("iceberg", PARTITION, spool.end(PARTITION))
    assert len(spool.expire(clock.now(), days=3, size=1)) == 1


def test_a_day_whose_body_a_later_duplicate_names_stays(spool: Spool, clock: FakeClock) -> None:
    (first,) = spool.append(PARTITION, [(poll(0), b"body")])
    clock.advance(DAY)
    spool.append(PARTITION, [(poll(1440), b"other")])
    clock.advance(9 * DAY)
    spool.append(PARTITION, [(poll(14400, outcome="duplicate", duplicate_of=first), None)])
    spool.acknowledge("iceberg", PARTITION, 3)
    clock.advance(DAY)

    assert spool.expire(clock.now(), days=3, size=GIGABYTE) == []
    assert spool.read(PARTITION, 2, 1)[0].body == b"body"


def test_a_duplicate_that_goes_too_keeps_nothing(spool: Spool, clock: FakeClock) -> None:
    (first,) = spool.append(PARTITION, [(poll(0), b"body")])
    spool.append(PARTITION, [(poll(1, duplicate_of=first), None)])
    clock.advance(9 * DAY)
    spool.append(PARTITION, [(poll(14400), b"new")])
    spool.acknowledge("iceberg", PARTITION, 3)

    assert len(spool.expire(clock.now(), days=3, size=GIGABYTE)) == 1


@pytest.mark.parametrize("place", [0, 1, 4])
def test_a_damaged_day_goes_by_the_day_in_its_name(spool: Spool, clock: FakeClock, place: int) -> None:
    a_record_a_day(spool, clock, 8)
    spool.segments()[place].path.write_bytes(b"rubbish" * 1000)
    spool.acknowledge("iceberg", PARTITION, 8)

    assert len(spool.expire(clock.now(), days=3, size=GIGABYTE)) in (4, 5)
