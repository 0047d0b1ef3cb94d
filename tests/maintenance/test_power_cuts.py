"""The power goes at every step of care: what was not synced is empty, and nothing that the table names is."""

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from tests.contract.test_sinks import commit, pairs, wanted
from tests.fakes.catalogs import PowerCutDisk
from tests.fakes.clock import FakeClock
from tests.fakes.sinks import Crashed
from tests.kill.carer import AT_ONCE, COMMITS_A_ROUND, POINTS
from tests.kill.victim import arm
from tests.simulation.test_commit import EVENTS
from thirdrail.maintenance.care import care, named_files
from thirdrail.sinks.iceberg import files
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.files import local_path
from thirdrail.sinks.iceberg.sink import IcebergSink

SEEDS = int(os.environ.get("THIRDRAIL_CARE_CUTS", "6"))
ROUNDS = 6
"""Cuts of each seed, each after twelve commits: enough for merges of merges, expiry and deletions."""


@pytest.fixture
def power(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PowerCutDisk:
    """A disk under the tables that forgets what was not synced; the catalog's SQLite keeps its own promise."""
    disk = PowerCutDisk(tmp_path / "warehouse")
    monkeypatch.setattr(files.os, "fsync", disk.fsync)
    return disk


def gone() -> None:
    raise Crashed


def emptied(folder: Path) -> list[str]:
    """Give the files that the table or one of its snapshots names and that are empty or gone, as far as they tell."""
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as listed:
        if lost := _empty(next(listed.execute("SELECT metadata_location FROM iceberg_tables"))):
            return lost
    table = open_catalog(folder, create=False).load_table("mta.events")
    lists = [snapshot.manifest_list for snapshot in table.metadata.snapshots]
    if lost := _empty(lists):
        return lost
    manifests = {each.manifest_path for snapshot in table.metadata.snapshots for each in snapshot.manifests(table.io)}
    return _empty(manifests) or _empty(named_files(table))


def _empty(locations: Iterable[str]) -> list[str]:
    paths = {local_path(location) for location in locations}
    return sorted(path.name for path in paths if not path.exists() or path.stat().st_size == 0)


def cut(folder: Path, disk: PowerCutDisk, seed: int, *, is_synced: bool = True) -> tuple[int, list[str]]:
    """Care under power cuts; give how often the power went, and what the table lost."""
    chances, clock, cuts = Random(seed), FakeClock(), 0
    for number in range(ROUNDS):
        catalog = open_catalog(folder, create=True)
        writer = IcebergSink(catalog, clock).open(EVENTS, "log", "0")
        for at in range(writer.position or 0, (number + 1) * COMMITS_A_ROUND):
            commit(writer, at, at + 1)
        point = chances.choice([*POINTS])
        take_back = arm(*POINTS[point], chances.randint(1, 3) if point == "deletion" else 1, end=gone)
        try:
            with pytest.MonkeyPatch.context() as patch:
                if not is_synced:
                    patch.setattr(files.os, "fsync", lambda _descriptor: None)
                care(catalog, EVENTS, AT_ONCE, clock)
        except Crashed:
            cuts += 1
            disk.cut()
        finally:
            take_back()
        lost = emptied(folder)
        if lost:
            return cuts, [f"after {point!r}: {name}" for name in lost]
        rows = pairs(open_catalog(folder, create=False).load_table("mta.events").scan().to_arrow())
        assert rows == wanted(0, (number + 1) * COMMITS_A_ROUND), f"after {point!r}"
    return cuts, []


def test_a_power_cut_at_any_step_of_care_loses_nothing_that_is_named(tmp_path: Path, power: PowerCutDisk) -> None:
    cuts = 0
    for seed in range(SEEDS):
        power._directory = tmp_path / str(seed) / "warehouse"
        power._directory.parent.mkdir()
        happened, lost = cut(tmp_path / str(seed), power, seed)
        assert lost == [], f"seed {seed}"
        cuts += happened
    assert cuts >= 2 * SEEDS, "the steps are passed too seldom for this to be a test"


def test_without_syncs_of_care_it_is_noticed(tmp_path: Path, power: PowerCutDisk) -> None:
    _, lost = cut(tmp_path, power, 1, is_synced=False)
    assert lost != []
