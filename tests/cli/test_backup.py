"""`backup` beside a run that appends, merges, expires and deletes; `restore` anywhere; damage by its name."""

import json
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest

from tests.cli.conftest import Command
from tests.fakes.clock import FakeClock
from tests.maintenance.test_relocate import CONFIG, take_in
from thirdrail import app
from thirdrail.app import backup as backup_module
from thirdrail.app.backup import CONTENTS, DATA, Contents, backup, contents_of, restore
from thirdrail.app.caring import care_for
from thirdrail.config.settings import MaintenanceConfig
from thirdrail.errors import BackupDamaged, BackupFailed, DataFolderError, DataFolderMoved
from thirdrail.model.tables import ALL_TABLES, TABLES
from thirdrail.sinks.iceberg import housekeeping
from thirdrail.sinks.iceberg.catalog import LocalCatalog, open_catalog
from thirdrail.sinks.iceberg.reader import pin
from thirdrail.sinks.snowflake.arrivals import FOLDER as ARRIVALS
from thirdrail.sinks.snowflake.arrivals import Arrivals, arrivals

HASTY = msgspec.structs.replace(CONFIG, maintenance=MaintenanceConfig(replaced_minutes=0.0, snapshots=3))
"""Merged files go at the next look, so that what a snapshot named a moment ago may be gone."""


def rows_below(folder: Path, position: int) -> dict[str, pa.Table]:
    """Give every table's rows of captures below a position, in an order of their own."""
    catalog = open_catalog(folder, create=False)
    found = {}
    for table in TABLES:
        pinned = pin(catalog, table)
        rows = pinned.read(pinned.files, table.names())
        rows = rows.filter(pa.compute.less(rows["capture_offset"], position))
        texts = sorted(str(row) for row in rows.to_pylist())
        found[table.name] = texts
    return found


def care(folder: Path) -> None:
    """Merge, let go of what was merged, and sweep metadata that nothing names, at once."""
    clock = FakeClock()
    data = app.DataFolder.existing(folder)
    list(care_for(data, HASTY, clock))
    catalog = open_catalog(folder, create=False)
    for table in ALL_TABLES:
        housekeeping.sweep(catalog.load_table(("mta", table.name)), 2**62, grace_us=0)


@contextmanager
def busy(folder: Path, begin: int) -> Iterator[Callable[[], int]]:
    """Append and care without a pause; gives how many captures were taken in so far."""
    stopping, taken, failed = threading.Event(), [begin], []

    def go() -> None:
        try:
            while not stopping.is_set():
                take_in(folder, taken[0], taken[0] + 3)
                taken[0] += 3
                care(folder)
        except BaseException as error:  # told below, by the test's own thread
            failed.append(error)
            raise

    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield lambda: taken[0]
    finally:
        stopping.set()
        thread.join(120)
    assert not failed, failed


@pytest.mark.timeout(300)
def test_a_backup_beside_a_writer_and_care_is_whole_and_goes_on_elsewhere(tmp_path: Path) -> None:
    old, new = tmp_path / "data", tmp_path / "else where" / "data"
    take_in(old, 0, 12)
    with busy(old, 12) as taken:
        made: list[Contents] = []
        while len(made) < 3 or taken() <= 12:  # on a busy machine a copy is quicker than the writer's first captures
            made.append(backup(app.DataFolder.existing(old), tmp_path / f"copy{len(made)}"))
    for number, contents in enumerate(made):
        target = new.with_name(f"data{number}")
        folder, _, tables = restore(tmp_path / f"copy{number}", target)
        assert len(tables) == len(ALL_TABLES)
        assert str(old) not in json.dumps([str(path) for path in target.rglob("*")])
        assert contents.position >= 12
        # The tables of the copy, before anything goes on there: those of the folder at that position.
        assert rows_below(target, contents.position) == rows_below(old, contents.position)
        told = app.audit(folder, None)
        assert told.ok, told
        assert told.captures > 0
    # What the log has beyond the tables is carried on from there, and so is what comes after.
    last = new.with_name("data2")
    before = app.audit(app.DataFolder.existing(last), None).captures
    take_in(last, 900, 905)
    told = app.audit(app.DataFolder.existing(last), None)
    assert told.ok, told
    assert told.captures >= before + 5
    assert told.pending == 0


@pytest.fixture
def taken_in(tmp_path: Path) -> Path:
    take_in(tmp_path / "data", 0, 6)
    return tmp_path / "data"


def test_a_file_that_goes_before_it_is_copied_makes_a_second_round(
    taken_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything is merged, and what was merged is deleted, once the first catalog has been read."""
    original, turn = backup_module._Copy._tables, 0

    def tables(copy: object) -> object:
        nonlocal turn
        turn += 1
        found = original(copy)  # type: ignore[arg-type]
        if turn == 1:
            take_in(taken_in, 6, 16)
            care(taken_in)
            take_in(taken_in, 16, 17)
            care(taken_in)
        return found

    monkeypatch.setattr(backup_module._Copy, "_tables", tables)
    made = backup(app.DataFolder.existing(taken_in), tmp_path / "copy")
    assert made.rounds == 2
    there = {str(path.relative_to(tmp_path / "copy" / DATA)) for path in (tmp_path / "copy" / DATA).rglob("*.*")}
    assert {name for name in there if "/data/" in name} == {name for name in made.files if "/data/" in name}
    folder, _, _ = restore(tmp_path / "copy", tmp_path / "new")
    told = app.audit(folder, None)
    assert told.ok, told
    assert told.captures == 17


def test_a_folder_that_goes_faster_than_it_is_copied_is_said(
    taken_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = backup_module._copied

    def copied(source: Path, copy: Path) -> object:
        if source.suffix == ".parquet":
            raise FileNotFoundError(source)
        return original(source, copy)

    monkeypatch.setattr(backup_module, "_copied", copied)
    with pytest.raises(BackupFailed, match="in each of 5 rounds"):
        backup(app.DataFolder.existing(taken_in), tmp_path / "copy")
    with pytest.raises(BackupDamaged, match=r"no whole backup: it holds no backup\.json"):
        restore(tmp_path / "copy", tmp_path / "new")


def test_a_day_that_retention_takes_meanwhile_makes_a_second_round_without_a_gap(
    taken_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two days before today's; the older ones go while today's files are copied."""
    spool = taken_in / "spool"
    (today,) = spool.glob("????-*.sqlite")
    older = [spool / f"2020-01-0{day}_{0:012d}.sqlite" for day in (1, 2)]
    for number, path in enumerate(older):
        shutil.copy(today, path.with_name(path.name.replace("0" * 12, f"{number:012d}")))
    names = sorted(path.name for path in spool.glob("2020-*.sqlite"))
    renamed = today.with_name(today.name.replace("_000000000000", "_000000000002"))
    today.rename(renamed)
    original, turn = backup_module._Copy._copy_day, 0

    def copy_day(copy: object, name: str) -> None:
        nonlocal turn
        turn += 1
        if turn == 2:
            for each in names:
                (spool / each).unlink()
        original(copy, name)  # type: ignore[arg-type]

    monkeypatch.setattr(backup_module._Copy, "_copy_day", copy_day)
    made = backup(app.DataFolder.existing(taken_in), tmp_path / "copy")
    assert made.rounds == 2
    assert [name for name in made.files if name.startswith("spool/2")] == [f"spool/{renamed.name}"]
    assert [path.name for path in (tmp_path / "copy" / DATA / "spool").glob("2*")] == [renamed.name]


def test_the_log_of_a_copy_is_never_behind_its_tables_nor_its_acknowledgements_ahead(
    taken_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are committed and acknowledged just before the catalog is copied, and just after."""
    original = backup_module._Copy._tables

    def tables(copy: object) -> object:
        take_in(taken_in, 6, 8)
        found = original(copy)  # type: ignore[arg-type]
        take_in(taken_in, 8, 10)
        return found

    monkeypatch.setattr(backup_module._Copy, "_tables", tables)
    made = backup(app.DataFolder.existing(taken_in), tmp_path / "copy")
    spool = tmp_path / "copy" / DATA / "spool"
    with sqlite3.connect(spool / "acknowledged.sqlite") as db:
        (acknowledged,) = db.execute("SELECT max(position) FROM positions").fetchone()
    (day,) = spool.glob("????-*.sqlite")
    with sqlite3.connect(day) as db:
        (last,) = db.execute("SELECT max(offset) FROM records").fetchone()
    assert 0 < acknowledged <= made.position <= last + 1


def test_when_rows_came_into_snowflake_goes_along(taken_in: Path, tmp_path: Path) -> None:
    Arrivals(taken_in / ARRIVALS, "snowpipe_streaming", "log", FakeClock()).note(5)
    backup(app.DataFolder.existing(taken_in), tmp_path / "copy")
    folder, _, _ = restore(tmp_path / "copy", tmp_path / "new")
    assert [each.end_offset for each in arrivals(folder.path / ARRIVALS, 0)] == [5]


def test_what_lies_in_the_copy_is_plain_files_with_their_digests(taken_in: Path, tmp_path: Path) -> None:
    made = backup(app.DataFolder.existing(taken_in), tmp_path / "copy")
    there = {
        str(path.relative_to(tmp_path / "copy" / DATA))
        for path in (tmp_path / "copy" / DATA).rglob("*")
        if path.is_file()
    }
    assert there == set(made.files)
    assert not [name for name in there if name.endswith(("-wal", "-shm", "-journal", ".lock"))]
    assert contents_of(tmp_path / "copy") == made


def test_a_damaged_day_goes_along_as_it_lies_and_is_named(taken_in: Path, tmp_path: Path) -> None:
    (day,) = (taken_in / "spool").glob("????-*.sqlite")
    day.write_bytes(b"not SQLite at all" * 1000)
    made = backup(app.DataFolder.existing(taken_in), tmp_path / "copy")
    assert made.damaged_days == [f"spool/{day.name}"]
    assert (tmp_path / "copy" / DATA / "spool" / day.name).read_bytes() == day.read_bytes()


def test_the_commands_say_what_was_copied_and_what_to_do_next(thirdrail: Command, filled: Path, tmp_path: Path) -> None:
    said = thirdrail("backup", tmp_path / "copy")
    assert said.code == 0
    assert "tables up to offset" in said.out
    again = thirdrail("backup", tmp_path / "copy")
    assert again.code == 2
    assert "is not empty: a backup overwrites nothing" in again.err

    new = tmp_path / "new place"
    said = thirdrail("restore", tmp_path / "copy", "--data", new)
    assert said.code == 0
    assert f"audit --data '{new}'" in said.out
    assert thirdrail("audit", "--data", new).code == 0
    assert thirdrail("restore", tmp_path / "copy", "--data", new).code == 2

    facts = thirdrail("backup", tmp_path / "second", "--json").json
    assert facts["files"] > 10
    assert facts["damaged_days"] == []
    facts = thirdrail("restore", tmp_path / "second", "--data", tmp_path / "third", "--json").json
    assert facts["folder"] == str(tmp_path / "third")


def test_restored_at_its_old_place_nothing_is_relocated(thirdrail: Command, filled: Path, tmp_path: Path) -> None:
    thirdrail("backup", tmp_path / "copy")
    shutil.rmtree(filled)
    said = thirdrail("restore", tmp_path / "copy")
    assert said.code == 0
    assert "relocated" not in said.out
    assert thirdrail("audit").code == 0


def test_damage_is_named_and_nothing_is_restored(thirdrail: Command, filled: Path, tmp_path: Path) -> None:
    thirdrail("backup", tmp_path / "copy")
    copy, new = tmp_path / "copy" / DATA, tmp_path / "new"
    hurt, gone = sorted(copy.rglob("*.parquet"))[:2]
    data = bytearray(hurt.read_bytes())
    data[len(data) // 2] ^= 1
    hurt.write_bytes(data)
    gone.unlink()
    said = thirdrail("restore", tmp_path / "copy", "--data", new)
    assert said.code == 1
    assert str(hurt.relative_to(copy)) in said.err
    assert str(gone.relative_to(copy)) in said.err
    assert "nothing was restored" in said.err
    assert not new.exists()

    (tmp_path / "copy" / CONTENTS).write_text("{")
    assert "is damaged" in thirdrail("restore", tmp_path / "copy", "--data", new).err


def test_wrong_places_are_refused_before_anything_is_copied(thirdrail: Command, filled: Path, tmp_path: Path) -> None:
    assert "lies within" in thirdrail("backup", filled / "copy").err
    (tmp_path / "file").touch()
    assert "is a file" in thirdrail("backup", tmp_path / "file").err
    assert "holds no data yet" in thirdrail("backup", tmp_path / "copy", "--data", tmp_path / "nothing").err
    assert not (tmp_path / "copy").exists()
    thirdrail("backup", tmp_path / "copy")
    assert "cannot be used" in thirdrail("restore", tmp_path / "copy", "--data", tmp_path / "50%").err


def test_a_copy_that_was_moved_by_hand_is_recognised_as_one(taken_in: Path, tmp_path: Path) -> None:
    backup(app.DataFolder.existing(taken_in), tmp_path / "copy")
    with pytest.raises(DataFolderMoved):
        app.DataFolder.existing(tmp_path / "copy" / DATA)


def test_tables_that_another_catalog_lists_are_refused(taken_in: Path, tmp_path: Path) -> None:
    (taken_in / "catalog.json").write_text('{"type": "rest", "uri": "http://127.0.0.1:1"}')
    with pytest.raises(DataFolderError, match="are listed by rest"):
        backup(app.DataFolder.existing(taken_in), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_table_with_files_elsewhere_is_refused(taken_in: Path, tmp_path: Path) -> None:
    catalog = open_catalog(taken_in, create=False)
    assert isinstance(catalog, LocalCatalog)
    catalog.create_namespace_if_not_exists("other")
    schema = pa.schema([pa.field("n", pa.int64())])
    table = catalog.create_table("other.mine", schema=schema, location=f"file://{tmp_path}/elsewhere")
    table.append(pa.table({"n": [1]}))
    catalog.engine.dispose()
    with pytest.raises(DataFolderError, match=r"other\.mine names file://.*elsewhere"):
        backup(app.DataFolder.existing(taken_in), tmp_path / "copy")
