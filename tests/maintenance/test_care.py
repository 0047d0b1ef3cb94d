"""Care on real tables: the same rows in fewer files, whoever else is at work and wherever it is killed."""

import os
import threading
from pathlib import Path
from random import Random

import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table.snapshots import Operation

from tests.contract.test_sinks import commit, pairs, wanted
from tests.fakes.catalogs import FaultyCatalog
from tests.fakes.clock import FakeClock
from tests.fakes.sinks import Crashed
from tests.simulation.test_commit import EVENTS
from thirdrail.errors import CatalogUnavailable, CommitConflict
from thirdrail.maintenance import care as care_module
from thirdrail.maintenance.care import HOUR_US, Policy, care, named_files
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.files import local_path
from thirdrail.sinks.iceberg.folder import Folder, Found
from thirdrail.sinks.iceberg.positions import positions_of
from thirdrail.sinks.iceberg.reader import pin
from thirdrail.sinks.iceberg.rewrite import Outcome, rewrite
from thirdrail.sinks.iceberg.sink import IcebergSink, IcebergWriter

NAME = ("mta", "events")
AT_ONCE = Policy(0, 0)
SEEDS = int(os.environ.get("THIRDRAIL_CARE_SEEDS", "40"))
RACES = int(os.environ.get("THIRDRAIL_RACES", "60"))


def writer(catalog: SqlCatalog) -> IcebergWriter:
    return IcebergSink(catalog, FakeClock()).open(EVENTS, "log", "0")


def filled(folder: Path, commits: int) -> SqlCatalog:
    catalog = open_catalog(folder, create=True)
    each = writer(catalog)
    for number in range(commits):
        commit(each, number * 3, number * 3 + 3)
    return catalog


def held(catalog: SqlCatalog) -> list[tuple[int, int]]:
    """Read through PyIceberg's own scan, which shares no code with ours."""
    return pairs(catalog.load_table(NAME).scan().to_arrow())


def on_disk(folder: Path) -> set[Path]:
    return set((folder / "warehouse" / "mta" / "events" / "data").rglob("*.parquet"))


def test_small_files_become_few_and_rows_positions_and_counts_stay(tmp_path: Path) -> None:
    catalog = filled(tmp_path, 40)
    before = catalog.load_table(NAME).current_snapshot()

    report = care(catalog, EVENTS, Policy(), FakeClock())

    assert (report.files, report.merged, report.into, report.trouble) == (40, 40, 1, "")
    found = pin(catalog, EVENTS)
    assert len(found.files) == 1
    assert held(catalog) == wanted(0, 120)
    after = catalog.load_table(NAME).current_snapshot()
    assert before is not None
    assert after is not None
    assert after.summary is not None
    assert after.summary.operation == Operation.REPLACE
    assert positions_of(after) == positions_of(before) == {("log", "0"): 120}
    totals = ("total-records", "total-data-files", "deleted-records", "added-records")
    assert [after.summary.additional_properties[name] for name in totals] == ["120", "1", "120", "120"]
    assert care(catalog, EVENTS, Policy(), FakeClock()).merged == 0
    commit(writer(catalog), 120, 123)
    assert held(catalog) == wanted(0, 123)


def test_a_dry_run_tells_the_same_and_does_nothing(tmp_path: Path) -> None:
    catalog = filled(tmp_path, 20)
    before = catalog.load_table(NAME).metadata_location

    report = care(catalog, EVENTS, AT_ONCE, FakeClock(), dry_run=True)

    assert (report.merged, report.into) == (16, 1) or (report.merged, report.into) == (20, 1)
    assert catalog.load_table(NAME).metadata_location == before
    assert len(on_disk(tmp_path)) == 20


def test_replaced_files_stay_while_a_snapshot_names_them_and_go_after(tmp_path: Path) -> None:
    catalog = filled(tmp_path, 16)
    old = on_disk(tmp_path)
    care(catalog, EVENTS, AT_ONCE, FakeClock())
    assert on_disk(tmp_path) > old, "older snapshots name them"
    each = writer(catalog)
    for number in range(16, 80):
        commit(each, number * 3, number * 3 + 3)

    care(catalog, EVENTS, AT_ONCE, FakeClock())  # first seen unnamed
    report = care(catalog, EVENTS, AT_ONCE, FakeClock())

    assert report.deleted >= 16
    assert not old & on_disk(tmp_path)
    named = {local_path(path) for path in named_files(catalog.load_table(NAME))}
    assert named <= on_disk(tmp_path)
    assert held(catalog) == wanted(0, 240)


def test_an_orphan_waits_a_day_of_commits_and_what_is_named_is_never_touched(tmp_path: Path) -> None:
    catalog = filled(tmp_path, 3)
    orphan = next(iter(on_disk(tmp_path))).with_name("orphan.parquet")
    orphan.write_bytes(b"left by a crash")

    for _ in range(3):
        care(catalog, EVENTS, Policy(), FakeClock())
    assert orphan.exists()
    care(catalog, EVENTS, Policy(0, 1), FakeClock())
    assert orphan.exists(), "nothing has been committed since it was seen"
    commit(writer(catalog), 9, 12)
    assert care(catalog, EVENTS, Policy(HOUR_US, 1), FakeClock()).deleted == 1
    assert not orphan.exists()
    assert held(catalog) == wanted(0, 12)


class NoListing:
    """A store that takes and gives files, and does not say which it has, as one may that was told so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Folder, "files", self._files)

    def _files(self, below: str, suffixes: tuple[str, ...]) -> dict[str, Found]:
        raise OSError("AWS Error ACCESS_DENIED during ListObjectsV2 operation")


def test_a_listing_that_fails_is_told_and_nothing_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = filled(tmp_path, 3)
    orphan = next(iter(on_disk(tmp_path))).with_name("orphan.parquet")
    orphan.write_bytes(b"left by a crash")
    care(catalog, EVENTS, AT_ONCE, FakeClock())
    commit(writer(catalog), 9, 12)
    there = on_disk(tmp_path)
    with monkeypatch.context() as patched:
        NoListing(patched)
        report = care(catalog, EVENTS, AT_ONCE, FakeClock())
    assert "leftovers stay for now" in report.trouble
    assert "ACCESS_DENIED" in report.trouble
    assert report.deleted == 0
    assert on_disk(tmp_path) == there
    assert care(catalog, EVENTS, AT_ONCE, FakeClock()).deleted == 1
    assert not orphan.exists()


def test_a_manifest_that_cannot_be_read_is_told_and_nothing_is_deleted(tmp_path: Path) -> None:
    """What it names would seem to be named by nothing."""
    catalog = filled(tmp_path, 3)
    care(catalog, EVENTS, AT_ONCE, FakeClock())
    table = catalog.load_table(NAME)
    oldest = min(table.metadata.snapshots, key=lambda each: each.sequence_number or 0)
    local_path(oldest.manifest_list).rename(tmp_path / "aside")
    commit(writer(catalog), 9, 12)
    there = on_disk(tmp_path)
    fresh = open_catalog(tmp_path, create=False)
    assert "leftovers stay for now" in care(fresh, EVENTS, AT_ONCE, FakeClock()).trouble
    assert on_disk(tmp_path) == there


def test_an_append_in_between_is_kept_and_the_rewrite_staged_again(tmp_path: Path) -> None:
    catalog = filled(tmp_path, 8)
    for number in range(RACES):
        faulty = FaultyCatalog(catalog, Random(0), 0.0)
        start = 24 + number * 3

        def intruder(start: int = start) -> None:
            commit(writer(catalog), start, start + 3)

        pinned = pin(catalog, EVENTS)
        group = sorted(pinned.files, key=lambda file: file.record_count)[:4]
        faulty.before_commit = intruder
        assert rewrite(faulty, NAME, pinned, group, FakeClock()) is Outcome.REWRITTEN  # type: ignore[arg-type]
        assert writer(catalog).position == start + 3
    assert held(catalog) == wanted(0, 24 + RACES * 3)


def test_a_rewrite_whose_files_are_gone_is_given_up_and_its_file_is_an_orphan(tmp_path: Path) -> None:
    catalog = filled(tmp_path, 8)
    faulty = FaultyCatalog(catalog, Random(0), 0.0)
    faulty.before_commit = lambda: care(catalog, EVENTS, Policy(), FakeClock())  # type: ignore[assignment, return-value]
    pinned = pin(catalog, EVENTS)

    assert rewrite(faulty, NAME, pinned, pinned.files, FakeClock()) is Outcome.GIVEN_UP  # type: ignore[arg-type]

    assert held(catalog) == wanted(0, 24)
    assert len(on_disk(tmp_path)) == 10


@pytest.mark.parametrize("seed", range(SEEDS))
def test_care_beside_a_writer_with_lost_answers_and_crashes_keeps_every_row(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    real = open_catalog(tmp_path, create=True)
    faulty = FaultyCatalog(real, random, 0.35)
    end, position = 60, 0
    writer(real)
    while position < end:
        try:
            each = IcebergSink(faulty, FakeClock()).open(EVENTS, "log", "0")  # type: ignore[arg-type]
            position = each.position or 0
            for _ in range(random.randint(1, 9)):
                step = min(end, position + random.randint(1, 3))
                commit(each, position, step)
                position = step
            care(faulty, EVENTS, AT_ONCE, FakeClock())  # type: ignore[arg-type]
        except (Crashed, CommitConflict, CatalogUnavailable):
            position = writer(real).position or 0
        assert held(real) == wanted(0, writer(real).position or 0), seed
    care(real, EVENTS, AT_ONCE, FakeClock())
    named = {local_path(path) for path in named_files(real.load_table(NAME))}
    assert named <= on_disk(tmp_path)


def test_a_crash_between_any_two_deletions_leaves_a_whole_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = filled(tmp_path, 16)
    care(catalog, EVENTS, AT_ONCE, FakeClock())
    each = writer(catalog)
    for number in range(16, 80):
        commit(each, number * 3, number * 3 + 3)
    care(catalog, EVENTS, AT_ONCE, FakeClock())
    real = Folder._delete
    deaths = 0
    while True:
        left = Random(deaths).randint(0, 3)

        def delete(folder: Folder, path: str) -> None:
            nonlocal left
            if left == 0:
                raise Crashed
            left -= 1
            real(folder, path)

        monkeypatch.setattr(Folder, "_delete", delete)
        try:
            if not care(catalog, EVENTS, AT_ONCE, FakeClock()).deleted:
                break
        except Crashed:
            deaths += 1
        assert held(catalog) == wanted(0, 240)
    assert deaths > 3


def test_readers_in_a_loop_see_every_row_once_throughout(tmp_path: Path) -> None:
    catalog = filled(tmp_path, 8)
    done, failures = threading.Event(), []

    def read() -> None:
        own = open_catalog(tmp_path, create=False)
        while not done.is_set():
            found = held(own)
            if found != wanted(0, (found[-1][0] // 3 + 1) * 3):
                failures.append(found)

    reader = threading.Thread(target=read)
    reader.start()
    each = writer(catalog)
    for number in range(8, 120):
        commit(each, number * 3, number * 3 + 3)
        if number % 5 == 0:
            care(catalog, EVENTS, Policy(0, HOUR_US), FakeClock())
    done.set()
    reader.join()
    assert failures == []
    assert held(catalog) == wanted(0, 360)
    assert len(pin(catalog, EVENTS).files) < 24


def test_deletes_of_another_engine_are_not_compacted_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = filled(tmp_path, 8)
    manifests = catalog.load_table(NAME).current_snapshot().manifests(catalog.load_table(NAME).io)  # type: ignore[union-attr]
    assert {manifest.content for manifest in manifests} == {0}
    from thirdrail.sinks.iceberg import rewrite as rewrite_module  # noqa: PLC0415

    class Deletes:
        content = 1

    real = rewrite_module.parent_manifests
    monkeypatch.setattr(rewrite_module, "parent_manifests", lambda table: [*real(table), Deletes()])
    report = care(catalog, EVENTS, Policy(), FakeClock())
    assert (report.given_up, report.merged) == (1, 0)
    assert care_module.never() is False
    assert held(catalog) == wanted(0, 24)
