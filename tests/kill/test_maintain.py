"""`kill -9` at every step of a merge, of expiry and of deletion: nothing named is gone, nothing is left for ever."""

import multiprocessing
import os
import random
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from pyiceberg.catalog import Catalog

from tests.contract.test_sinks import commit, pairs, wanted
from tests.fakes.clock import FakeClock
from tests.kill import carer
from tests.simulation.test_commit import EVENTS
from thirdrail.maintenance.care import care, named_files
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.commit import KEPT_SNAPSHOTS
from thirdrail.sinks.iceberg.files import local_path
from thirdrail.sinks.iceberg.sink import IcebergSink

KILLS = int(os.environ.get("THIRDRAIL_CARE_KILLS", "30"))
KILLS_PER_FOLDER = 15
PATIENCE_S = 60


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Give processes that are forked from one that has imported everything and started no thread."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.kill.carer"])
    return context


def lives(processes: ForkServerContext, folder: Path, rounds: int, point: str, nth: int) -> bool:
    """Let a carer live; tell whether it was killed."""
    process = processes.Process(target=carer.live, args=(folder, rounds, point, nth))
    process.start()
    process.join(PATIENCE_S)
    assert process.exitcode in (0, -9), f"{point} {nth}: exit code {process.exitcode}"
    return process.exitcode == -9


def look(folder: Path, where: str) -> int:
    """Every row up to the position is there, once; every file that any kept snapshot names exists."""
    table = open_catalog(folder, create=False).load_table("mta.events")
    rows = pairs(table.scan().to_arrow())
    position = max((offset for offset, _ in rows), default=-1) + 1
    assert rows == wanted(0, position), where
    missing = [path for path in named_files(table) if not local_path(path).exists()]
    assert not missing, f"{where}: {missing}"
    return position


@pytest.mark.parametrize("seed", range((KILLS + KILLS_PER_FOLDER - 1) // KILLS_PER_FOLDER))
def test_whenever_care_is_killed_nothing_named_is_gone_and_the_next_round_cleans_up(
    processes: ForkServerContext, tmp_path: Path, seed: int
) -> None:
    chances = random.Random(seed)
    points = [*carer.POINTS, carer.RANDOM]
    died = rounds = position = 0
    left_behind: set[Path] = set()
    while died < KILLS_PER_FOLDER:
        rounds += 1
        point = chances.choice(points)
        nth = chances.randint(1, 9) if point in ("deletion", carer.RANDOM) else 1
        if lives(processes, tmp_path, rounds, point, nth):
            died += 1
        if (tmp_path / "catalog.sqlite").exists():
            before, position = position, look(tmp_path, f"after round {rounds} at {point!r}")
            assert position >= before
            left_behind |= unnamed(open_catalog(tmp_path, create=False))
        assert rounds < 8 * KILLS_PER_FOLDER, "the points are passed too seldom for this to be a test"
    assert not lives(processes, tmp_path, rounds + 1, "", 0)
    assert look(tmp_path, "at the end") >= (rounds + 1) * carer.COMMITS_A_ROUND - 2

    # What the dead left behind goes once old snapshots have, and nothing that is named does.
    catalog, clock = open_catalog(tmp_path, create=False), FakeClock()
    left_behind |= unnamed(catalog)
    writer = IcebergSink(catalog, clock).open(EVENTS, "log", "0")
    start = writer.position or 0
    for at in range(start, start + KEPT_SNAPSHOTS + 1):
        commit(writer, at, at + 1)
    for at in range(3):
        assert care(catalog, EVENTS, carer.AT_ONCE, clock).trouble == ""
        commit(writer, start + KEPT_SNAPSHOTS + 1 + at, start + KEPT_SNAPSHOTS + 2 + at)
    assert len(left_behind) >= KILLS_PER_FOLDER // 2
    assert not left_behind & unnamed(catalog)
    look(tmp_path, "after cleaning up")


def unnamed(catalog: Catalog) -> set[Path]:
    """Give the data files on the disk that no kept snapshot names."""
    table = catalog.load_table("mta.events")
    there = set(local_path(table.location()).rglob("*.parquet"))
    return there - {local_path(path) for path in named_files(table)}
