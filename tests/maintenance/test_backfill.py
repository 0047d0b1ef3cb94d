"""A table that came later gets the rows of the captures before: all that the log holds, once, without a gap."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.sinks import Crashed
from tests.oracle.synthetic import HEADER_AT, subway_message
from thirdrail import app
from thirdrail.app.rebuilding import Backfilled, backfill, rebuild
from thirdrail.capturelog.day_files import PARTITION
from thirdrail.config.settings import Config, SpoolConfig
from thirdrail.errors import CapturesGone, NoDataYet
from thirdrail.maintenance import rebuild as rebuild_module
from thirdrail.model.records import Poll
from thirdrail.model.tables import BY_NAME, Role
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.reader import pin

STOPS = BY_NAME["stop_time_updates"]
EVERY_S = 15
DAY_S = 86_400
BEFORE, AFTER = 30, 6
KEPT_DAYS = 9_999.0


def take_in(folder: Path, first: int, last: int, *, day: int = 0, days_kept: float = KEPT_DAYS) -> None:
    """Captures of a day, every 15 seconds of it from the first."""
    config = Config(spool=SpoolConfig(reserve_gb=0.0, retention_days=days_kept), commit_interval_seconds=0.001)
    clock = FakeClock((HEADER_AT + day * DAY_S) * 1_000_000)
    with app.writing(folder, config, clock) as work:
        work.note_settings()
        for number in range(first, last):
            later = day * DAY_S + number * EVERY_S
            poll = Poll(feed_id="subway_g", fetched_at=(HEADER_AT + later + 5) * 1_000_000)
            work.append([(poll, subway_message(0, 6 + number % 3, later=later))])
            if number % 7 == 0:
                work.drain(app.Totals())
        work.drain(app.Totals())


def at(number: int) -> int:
    return (HEADER_AT + number * EVERY_S) * 1_000_000


def rows(folder: Path, below: int) -> list[str]:
    """What captures below an offset say in the table, without what tells of the process that wrote it."""
    pinned = pin(open_catalog(folder, create=False), STOPS)
    found = pinned.read(pinned.files, [*STOPS.names(Role.IDENTITY, Role.CONTENT)])
    return sorted(map(str, found.filter(pc.less(found["capture_offset"], below)).to_pylist()))


def fill(folder: Path, since: int | None = None, *, dry_run: bool = False) -> Backfilled:
    data = app.DataFolder.existing(folder)
    return backfill(data, STOPS, since, FakeClock(), lambda *_: None, dry_run=dry_run)


def audited(folder: Path) -> int:
    """Every row is as it must be; give how many there are."""
    told = app.audit(app.DataFolder.existing(folder), None)
    assert told.ok, told
    return told.rows_found


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[str]]:
    """A folder whose table was lost and made anew: as if a newer version had brought it; a copy; and its rows before.

    For all tests of this file: what is not to be changed is the copy.
    """
    folder = tmp_path_factory.mktemp("later") / "data"
    take_in(folder, 0, BEFORE)
    before = rows(folder, 1 << 40)
    open_catalog(folder, create=False).drop_table("mta.stop_time_updates")
    with pytest.raises(NoDataYet):
        fill(folder)
    take_in(folder, BEFORE, BEFORE + AFTER)
    return folder, Path(shutil.copytree(folder, folder.with_name("kept"))), before


@pytest.fixture
def came_later(kept: tuple[Path, Path, list[str]]) -> tuple[Path, list[str]]:
    """That folder as it was, and the rows that it had. Paths in tables are absolute: it lies where it always lay."""
    folder, copy, before = kept
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)
    return folder, before


def test_a_table_that_comes_later_begins_where_the_others_are_and_audit_knows(
    came_later: tuple[Path, list[str]],
) -> None:
    folder, before = came_later
    pinned = pin(open_catalog(folder, create=False), STOPS)
    assert list(pinned.begun.values()) == [BEFORE + 1]  # the first record is of settings
    assert rows(folder, BEFORE + 1) == []
    found = audited(folder)
    dry = fill(folder, dry_run=True)
    assert (dry.start, dry.end, dry.captures, dry.rows) == (0, BEFORE + 1, BEFORE, None)
    assert audited(folder) == found
    assert before


def test_it_is_filled_with_the_rows_that_it_would_have_had(came_later: tuple[Path, list[str]]) -> None:
    folder, before = came_later
    found = audited(folder)
    done = fill(folder)
    assert (done.captures, done.rows) == (BEFORE, len(before))
    assert rows(folder, BEFORE + 1) == before
    assert audited(folder) == found + len(before)
    again = fill(folder)
    assert (again.captures, again.rows) == (0, 0)
    take_in(folder, BEFORE + AFTER, BEFORE + 2 * AFTER)
    assert audited(folder) > found + len(before)


def test_back_to_a_time_and_then_further_leaves_no_gap(came_later: tuple[Path, list[str]]) -> None:
    folder, before = came_later
    found = audited(folder)
    done = fill(folder, at(20))
    assert (done.start, done.end, done.captures) == (21, BEFORE + 1, BEFORE - 20)
    assert audited(folder) == found + (done.rows or 0)
    done = fill(folder, at(10))
    assert (done.start, done.end) == (11, 21)
    assert fill(folder, at(15)).captures == 0
    assert fill(folder).captures == 10
    assert rows(folder, BEFORE + 1) == before
    assert audited(folder) == found + len(before)


def test_a_rebuild_of_a_time_before_it_began_leaves_no_gap_either(came_later: tuple[Path, list[str]]) -> None:
    folder, _ = came_later
    done, _ = rebuild(app.DataFolder.existing(folder), STOPS, at(5), at(9), FakeClock(), lambda *_: None)
    assert (done.start, done.end) == (6, BEFORE + 1)
    audited(folder)
    assert fill(folder).captures == 5
    audited(folder)


def test_what_dies_between_the_two_tables_is_done_by_the_same_call(
    came_later: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, before = came_later
    original = rebuild_module.exchange

    def exchange(catalog: object, table: object, *arguments: object) -> object:
        if table is STOPS:
            raise Crashed
        return original(catalog, table, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(rebuild_module, "exchange", exchange)
        with pytest.raises(Crashed):
            fill(folder)
    audited(folder)
    assert fill(folder).rows == len(before)
    audited(folder)
    assert rows(folder, BEFORE + 1) == before


def test_a_table_of_the_first_day_is_never_filled(tmp_path: Path) -> None:
    take_in(tmp_path / "data", 0, 9)
    pinned = pin(open_catalog(tmp_path / "data", create=False), STOPS)
    assert list(pinned.begun.values()) == [0]
    assert fill(tmp_path / "data").captures == 0


def test_what_retention_took_cannot_be_filled_and_is_said(tmp_path: Path) -> None:
    """Two days, of which the log holds the second alone when the table comes; then there is a third."""
    folder = tmp_path / "data"
    take_in(folder, 0, 9)
    take_in(folder, 0, 9, day=5)
    open_catalog(folder, create=False).drop_table("mta.stop_time_updates")
    take_in(folder, 0, 9, day=9, days_kept=6)
    done = fill(folder)
    assert done.log_first > 0
    assert done.oldest_capture == (HEADER_AT + 5 * DAY_S + 5) * 1_000_000
    assert (done.start, done.captures) == (done.log_first, 9)
    assert done.rows
    audited(folder)
    with pytest.raises(CapturesGone):
        fill(folder, at(99 * DAY_S))


def test_iceberg_added_later_begins_with_the_logs_first_capture(tmp_path: Path) -> None:
    """Captures were taken in by a folder without tables; all that the log holds goes into them at the first start."""
    folder = tmp_path / "data"
    with app.writing(folder, Config(spool=SpoolConfig(reserve_gb=0.0))) as work:
        work.note_settings()
        offsets = work.append([(Poll(feed_id="subway_g", fetched_at=at(0)), subway_message(0, 6))])
        assert work.log.end(PARTITION) == offsets[-1] + 1
    catalog = open_catalog(folder, create=False)
    for table in BY_NAME:
        catalog.drop_table(("mta", table))
    take_in(folder, 1, 4)
    assert audited(folder) > 0
    assert pa.compute.min(pin(catalog, STOPS).read(pin(catalog, STOPS).files, ["capture_offset"])[0]).as_py() == 1
