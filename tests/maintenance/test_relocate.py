"""A folder that was moved is taken as it lies: every row, every position, and the run goes on."""

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.fakes.clock import FakeClock
from tests.oracle.synthetic import HEADER_AT, subway_message
from thirdrail import app
from thirdrail.app.caring import care_for
from thirdrail.app.data_folder import relocated
from thirdrail.config.settings import Config, SpoolConfig
from thirdrail.errors import DataFolderError, DataFolderMoved
from thirdrail.model.records import Poll
from thirdrail.model.tables import ALL_TABLES, TABLES
from thirdrail.query.warehouse import open_warehouse
from thirdrail.sinks.iceberg import relocate as relocate_module
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.reader import pin

CONFIG = Config(spool=SpoolConfig(reserve_gb=0.0, retention_days=9_999), commit_interval_seconds=0.001)


def take_in(folder: Path, first: int, last: int) -> None:
    with app.writing(folder, CONFIG) as work:
        work.note_settings()
        for number in range(first, last):
            poll = Poll(feed_id="subway_g", fetched_at=(HEADER_AT + number * 15 + 5) * 1_000_000)
            work.append([(poll, subway_message(0, 6 + number % 3, later=number * 15))])
            work.drain(app.Totals())


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Where a folder was filled, cared for and filled on, and where it lies now; for all tests of this file."""
    old = tmp_path_factory.mktemp("filled") / "old place"
    take_in(old, 0, 20)
    list(care_for(app.DataFolder.existing(old), CONFIG, FakeClock()))
    take_in(old, 20, 25)
    return old, old.rename(old.with_name("kept"))


@pytest.fixture
def moved(filled: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """Where that folder was, and where a copy of it is that is this test's alone."""
    old, kept = filled
    new = tmp_path / "elsewhere" / "new"
    shutil.copytree(kept, new)
    return old, new


def names_of(folder: Path) -> list[str]:
    """Give every location that the catalog and the current metadata of each table hold."""
    with sqlite3.connect(folder / "catalog.sqlite") as db:
        found = [location for (location,) in db.execute("SELECT metadata_location FROM iceberg_tables")]
    return [*found, *(Path(location.removeprefix("file://")).read_text() for location in found)]


def test_a_moved_folder_is_recognised_and_the_command_is_said(moved: tuple[Path, Path]) -> None:
    old, new = moved
    with pytest.raises(DataFolderMoved, match="was filled at") as refused:
        app.DataFolder.existing(new)
    assert refused.value.hint == f"thirdrail relocate '{old}' {new}"


def test_all_rows_and_positions_move_along_and_the_run_goes_on(moved: tuple[Path, Path]) -> None:
    old, new = moved
    _, tables = relocated(old, new)
    assert tables == sorted(f"mta.{table.name}" for table in ALL_TABLES)
    assert not [text for text in names_of(new) if str(old) in text]
    data = app.DataFolder.existing(new)
    told = app.audit(data, None)
    assert told.ok, told
    assert told.captures == 25
    catalog = open_catalog(new, create=False)
    stops = pin(catalog, TABLES[1])
    # Other readers: PyIceberg's own scan, and a folder that is written on.
    assert len(catalog.load_table(f"mta.{TABLES[1].name}").scan().to_arrow()) == stops.rows
    assert len(open_warehouse(catalog).sql("FROM predictions_now")) > 0
    take_in(new, 25, 35)
    for report in care_for(data, CONFIG, FakeClock()):
        assert report.trouble == ""
    told = app.audit(data, None)
    assert told.ok, told
    assert told.captures == 35
    assert relocated(old, new)[1] == []


def test_a_copy_is_a_folder_of_its_own(tmp_path: Path) -> None:
    old, new = tmp_path / "a", tmp_path / "b"
    take_in(old, 0, 5)
    shutil.copytree(old, new)
    relocated(old, new)
    take_in(new, 5, 8)
    assert app.audit(app.DataFolder.existing(old), None).captures == 5
    shutil.rmtree(old)
    told = app.audit(app.DataFolder.existing(new), None)
    assert told.ok, told
    assert told.captures == 8


def test_a_folder_without_tables_moves(tmp_path: Path) -> None:
    old, new = tmp_path / "a", tmp_path / "b"
    app.DataFolder.for_writing(old)
    old.rename(new)
    assert relocated(old, new)[1] == []
    assert app.DataFolder.existing(new).path == new


@pytest.mark.parametrize("dies_at", [1, 5, 12, 13])
def test_killed_at_any_time_the_same_call_goes_on(
    moved: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, dies_at: int
) -> None:
    """After the nth table was written; the last is after all of them, before the stamp."""
    old, new = moved
    original, turn = relocate_module._written, 0

    def written(*arguments: object) -> str:
        nonlocal turn
        turn += 1
        if turn == dies_at:
            raise KeyboardInterrupt
        return original(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        if dies_at < 13:
            patch.setattr(relocate_module, "_written", written)
        else:
            patch.setattr("thirdrail.app.data_folder._put_stamp", lambda *_: os.kill(os.getpid(), 2))
        with pytest.raises(KeyboardInterrupt):
            relocated(old, new)
    with pytest.raises(DataFolderMoved):
        app.DataFolder.existing(new)
    relocated(old, new)
    told = app.audit(app.DataFolder.existing(new), None)
    assert told.ok, told


def test_wrong_places_are_refused_in_words(moved: tuple[Path, Path], tmp_path: Path) -> None:
    old, new = moved
    before = json.loads((new / "thirdrail.json").read_text())
    with pytest.raises(DataFolderError, match=r"was filled at .*old place, not at /nowhere"):
        relocated(Path("/nowhere"), new)
    with pytest.raises(DataFolderError, match=r"holds no thirdrail\.json"):
        relocated(old, tmp_path / "nothing")
    assert json.loads((new / "thirdrail.json").read_text()) == before
