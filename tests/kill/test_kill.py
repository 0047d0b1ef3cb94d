"""`kill -9` at named points of a commit, of an append and of a day's change, and at random moments."""

import multiprocessing
import os
import random
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from pyiceberg.catalog.sql import SqlCatalog

from tests.kill import victim
from tests.kill.judge import difference
from thirdrail import app
from thirdrail.model.tables import NAMESPACE, TABLES
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.positions import current_positions

KILLS = int(os.environ.get("THIRDRAIL_KILLS", "50"))
AT_ONCE = 2
KILLS_PER_FOLDER = 10
CAPTURES_A_KILL = 5
TURNS_AT_MOST = 4 * KILLS_PER_FOLDER
STEPS_S = (15, 20_000, 50_000)
"""Between two appends: within a day of the spool, and several times across its change."""

PATIENCE_S = 120


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Give processes that are forked from one that has imported everything and started no thread."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.kill.victim"])
    return context


def test_whenever_it_is_killed_nothing_is_missing_and_nothing_is_there_twice(
    processes: ForkServerContext, tmp_path: Path
) -> None:
    """Several folders, ten kills each, then the work is finished and judged by audit and by counting anew."""
    folders = [tmp_path / f"data-{number}" for number in range((KILLS + KILLS_PER_FOLDER - 1) // KILLS_PER_FOLDER)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        killed = sum(pool.map(lambda each: one_folder(processes, each[1], each[0]), enumerate(folders)))

    assert killed >= KILLS


def one_folder(processes: ForkServerContext, folder: Path, seed: int) -> int:
    """Kill again and again, looking at the tables in between; give how many died."""
    chances = random.Random(seed)
    step = STEPS_S[seed % len(STEPS_S)]
    points = [point for point in (*victim.POINTS, victim.RANDOM) if step > victim.EVERY_S or "day" not in point]
    died = 0
    before: dict[str, int] = {}
    turn = 0
    while died < KILLS_PER_FOLDER:
        point = chances.choice(points)
        nth = chances.randint(1, 2 if "day" in point else 9)
        died += lives(processes, folder, (turn + 1) * CAPTURES_A_KILL, point, nth, step) != 0
        before = check_positions(folder, before, f"after turn {turn} at {point!r}")
        turn += 1
        assert turn < TURNS_AT_MOST, "the points are passed too seldom for this to be a test"
    captures = turn * CAPTURES_A_KILL
    assert lives(processes, folder, captures, "", 0, step) == 0

    report = app.audit(app.DataFolder.existing(folder), None)
    assert report.ok, report
    assert (report.captures, report.pending) == (captures, 0)
    expected, missing, too_many = difference(folder, folder.with_name(f"{folder.name}-exported"))
    assert expected > captures * victim.TRIPS
    assert (missing, too_many) == (0, 0)
    return died


def lives(processes: ForkServerContext, folder: Path, captures: int, point: str, nth: int, step: int) -> int:
    """Let a victim live; give its exit code: 0 when it finished, -9 when it was killed."""
    process = processes.Process(target=victim.live, args=(folder, captures, point, nth, step))
    process.start()
    process.join(PATIENCE_S)
    assert process.exitcode in (0, -9), f"{point} {nth}: exit code {process.exitcode}"
    return process.exitcode or 0


def check_positions(folder: Path, before: dict[str, int], where: str) -> dict[str, int]:
    """Every table can be read, and none has gone back."""
    if not (folder / "catalog.sqlite").exists():
        return before
    catalog: SqlCatalog = open_catalog(folder, create=False)
    found = dict(before)
    for table in TABLES:
        name = (NAMESPACE, table.name)
        if not catalog.table_exists(name):
            assert table.name not in before, f"{table.name} is gone {where}"
            continue
        loaded = catalog.load_table(name)
        positions = current_positions(loaded.metadata)
        position = max(positions.values(), default=0)
        assert position >= before.get(table.name, 0), f"{table.name} went back {where}"
        loaded.scan().to_arrow()
        found[table.name] = position
    return found
