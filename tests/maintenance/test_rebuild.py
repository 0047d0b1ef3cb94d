"""Rows made anew by a corrected decoder take the place of the old ones: all, once, beside whoever writes."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.fakes.clock import FakeClock
from tests.oracle.synthetic import HEADER_AT, subway_message
from thirdrail import app
from thirdrail.app.caring import care_for
from thirdrail.app.rebuilding import rebuild
from thirdrail.config.settings import Config, SpoolConfig
from thirdrail.errors import CapturesGone
from thirdrail.model.records import Poll
from thirdrail.model.tables import BY_NAME, Table
from thirdrail.pipeline import transform
from thirdrail.sinks.iceberg import exchange as exchange_module
from thirdrail.sinks.iceberg.catalog import LocalCatalog, open_catalog
from thirdrail.sinks.iceberg.reader import PinnedTable, pin

STOPS = BY_NAME["stop_time_updates"]
CONFIG = Config(spool=SpoolConfig(reserve_gb=0.0, retention_days=9_999), commit_interval_seconds=0.001)
EVERY_S = 15


def take_in(folder: Path, first: int, last: int, *, at_a_time: int = 5) -> None:
    with app.writing(folder, CONFIG) as work:
        work.note_settings()
        for number in range(first, last):
            poll = Poll(feed_id="subway_g", fetched_at=(HEADER_AT + number * EVERY_S + 5) * 1_000_000)
            work.append([(poll, subway_message(0, 6 + number % 3, later=number * EVERY_S))])
            if number % at_a_time == 0:
                work.drain(app.Totals())
        work.drain(app.Totals())


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Make rows by a decoder that gets a column wrong and loses every seventh row; call it to put that right."""
    original = transform.to_arrow

    def to_arrow(table: Table, *arguments: object) -> pa.Table:
        rows = original(table, *arguments)  # type: ignore[arg-type]
        if table is not STOPS or not len(rows):
            return rows
        place = rows.schema.get_field_index("stop_id")
        rows = rows.set_column(
            place, rows.schema.field(place), pa.repeat(pa.scalar("X1N", pa.large_string()), len(rows))
        )
        return rows.filter(pc.not_equal(pc.bit_wise_and(rows["entity_ordinal"], 7), 5))

    monkeypatch.setattr(transform, "to_arrow", to_arrow)
    return monkeypatch.undo


def held(folder: Path) -> PinnedTable:
    return pin(open_catalog(folder, create=False), STOPS)


def again(folder: Path, since: int | None = None, until: int | None = None) -> tuple[int, int, int]:
    done, _ = rebuild(app.DataFolder.existing(folder), STOPS, since, until, FakeClock(), lambda *_: None)
    return done.captures, done.rows_before, done.rows


def at(number: int) -> int:
    return (HEADER_AT + number * EVERY_S) * 1_000_000


def test_what_a_wrong_decoder_wrote_is_made_anew(tmp_path: Path, wrong: Callable[[], None]) -> None:
    folder = tmp_path / "data"
    take_in(folder, 0, 40)
    before = held(folder)
    wrong()
    data = app.DataFolder.existing(folder)
    told = app.audit(data, None)
    assert told.altered > 0
    assert told.missing > 0

    captures, rows_before, rows = again(folder)
    assert (captures, rows_before) == (40, before.rows)
    assert rows == before.rows + told.missing
    after = held(folder)
    assert after.rows == rows
    assert after.positions == before.positions
    told = app.audit(data, None)
    assert told.ok, told
    assert again(folder) == (40, rows, rows)


def test_a_part_of_the_time_is_made_anew_and_the_rest_stays(tmp_path: Path, wrong: Callable[[], None]) -> None:
    """The files hold five captures each, and the part begins and ends within one."""
    folder = tmp_path / "data"
    take_in(folder, 0, 40)
    wrong()
    captures, _, rows = again(folder, at(12), at(27))
    assert captures == 15
    pinned = held(folder)
    found = pinned.read(pinned.files, ["capture_offset", "stop_id"])
    offsets = found.filter(pc.not_equal(found["stop_id"], "X1N"))["capture_offset"]
    assert len(offsets) == rows
    low, high = pc.min(offsets).as_py(), pc.max(offsets).as_py()
    assert high - low == 14
    wrongly = found.filter(pc.equal(found["stop_id"], "X1N"))["capture_offset"].to_pylist()
    assert not [offset for offset in wrongly if low <= offset <= high]
    # The rows of other captures are as they were; audit finds them wrong, and nothing doubled.
    told = app.audit(app.DataFolder.existing(folder), None)
    assert (told.duplicated, told.unexpected) == (0, 0)
    assert told.altered == len(wrongly)


def test_merged_files_too_and_no_file_is_left_behind(tmp_path: Path, wrong: Callable[[], None]) -> None:
    folder = tmp_path / "data"
    take_in(folder, 0, 60, at_a_time=2)
    wrong()
    data = app.DataFolder.existing(folder)
    for report in care_for(data, CONFIG, FakeClock()):
        assert report.trouble == ""
    merged = held(folder)
    assert len(merged.files) < 20
    again(folder, at(10), at(50))
    told = app.audit(data, None)
    assert (told.duplicated, told.unexpected) == (0, 0)
    again(folder)
    assert app.audit(data, None).ok


def test_a_writer_and_care_in_between_are_waited_for(
    tmp_path: Path, wrong: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Just before the exchange is committed, ten captures come in and files are merged: it is staged again."""
    folder = tmp_path / "data"
    take_in(folder, 0, 40, at_a_time=2)
    wrong()
    original = exchange_module.new_manifest
    turns = iter([True])

    def new_manifest(*arguments: object) -> object:
        if next(turns, False):
            take_in(folder, 40, 50)
            list(care_for(app.DataFolder.existing(folder), CONFIG, FakeClock()))
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(exchange_module, "new_manifest", new_manifest)
    assert again(folder)[0] == 40
    told = app.audit(app.DataFolder.existing(folder), None)
    assert told.ok, told
    assert told.captures == 50


def test_an_answer_that_was_lost_doubles_nothing(
    tmp_path: Path, wrong: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    take_in(folder, 0, 20)
    wrong()
    original = LocalCatalog.commit_table
    turns = iter([True])

    def commit_table(self: LocalCatalog, *arguments: object) -> object:
        answer = original(self, *arguments)  # type: ignore[arg-type]
        if next(turns, False):
            raise OSError("the answer was lost")
        return answer

    monkeypatch.setattr(LocalCatalog, "commit_table", commit_table)
    again(folder)
    assert app.audit(app.DataFolder.existing(folder), None).ok


def test_what_the_log_no_longer_holds_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    take_in(folder, 0, 10)
    with pytest.raises(CapturesGone, match="holds nothing of that time"):
        again(folder, None, at(0) - 1)


def test_rows_tell_which_version_made_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    take_in(folder, 0, 10)
    monkeypatch.setattr("thirdrail.app.rebuilding.PIPELINE_VERSION", 77)
    again(folder)
    pinned = held(folder)
    assert pc.unique(pinned.read(pinned.files, ["pipeline_version"])["pipeline_version"]).to_pylist() == [77]
