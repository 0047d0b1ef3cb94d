"""The version before is killed at its work; this one opens its tables, gives them their new columns, and goes on."""

import multiprocessing
from multiprocessing.context import ForkServerContext
from pathlib import Path

import polars as pl
import pytest

from tests.fakes.clock import FakeClock
from tests.kill import upgraded
from thirdrail import app
from thirdrail.app.rebuilding import rebuild
from thirdrail.model.tables import BY_NAME
from thirdrail.query.warehouse import open_warehouse
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.reader import pin

PATIENCE_S = 120
OLDER, NEWER = 130, 260
"""Captures at every 15 s: over half an hour each, so that full pictures lie on both sides."""


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.kill.upgraded"])
    return context


def lives(processes: ForkServerContext, folder: Path, captures: int, seed: int | None, *, is_older: bool) -> int:
    arguments = (folder, captures, seed)
    process = processes.Process(target=upgraded.live, args=arguments, kwargs={"is_older": is_older})
    process.start()
    process.join(PATIENCE_S)
    assert process.exitcode in (0, -9)
    return process.exitcode or 0


@pytest.mark.parametrize("seed", [1, 2])
def test_new_columns_come_to_tables_that_a_killed_older_version_left(
    processes: ForkServerContext, tmp_path: Path, seed: int
) -> None:
    folder = tmp_path / "data"
    assert lives(processes, folder, OLDER // 2, None, is_older=True) == 0
    older = OLDER
    while lives(processes, folder, older, seed, is_older=True) == 0:
        older += 5  # it was done before its time came
        assert older < NEWER
    lives(processes, folder, NEWER, seed, is_older=False)
    assert lives(processes, folder, NEWER, None, is_older=False) == 0

    report = app.audit(app.DataFolder.existing(folder), None)
    assert report.ok, report
    assert (report.captures, report.pending) == (NEWER, 0)
    catalog = open_catalog(folder, create=False)
    for name, columns in upgraded.NEW.items():
        pinned = pin(catalog, BY_NAME[name])
        assert set(pinned.since) == columns
        (at,) = {position for each in pinned.since.values() for position in each.values()}
        assert 0 < at < NEWER
        rows = pl.DataFrame(pinned.read(pinned.files, ["capture_offset", *columns]))
        for column in columns:
            has_value = pl.col(column).is_not_null()
            assert rows.filter(has_value & (pl.col("capture_offset") < at)).is_empty()
    views = open_warehouse(catalog)
    assert len(views.sql("FROM predictions_now")) > 0
    assert views.sql("SELECT count(*) AS n FROM stop_time_updates WHERE arrival_at IS NULL").to_pylist()[0]["n"] > 0
    assert views.sql("SELECT count(*) AS n FROM stop_time_updates WHERE arrival_at IS NOT NULL").to_pylist()[0]["n"] > 0

    # And whoever wants the columns in the past has them made anew.
    before = views.sql("SELECT count(*) AS n FROM stop_time_updates WHERE capture_offset < 60").to_pylist()[0]["n"]
    data = app.DataFolder.existing(folder)
    rebuild(data, BY_NAME["stop_time_updates"], None, None, FakeClock(), lambda *_: None)
    assert {at for each in pin(catalog, BY_NAME["stop_time_updates"]).since.values() for at in each.values()} == {0}
    # Arrivals are all that moves, so what the older version took for unchanged is written now.
    found = views.sql(
        "SELECT count(*) AS n, count(arrival_at) AS known FROM stop_time_updates WHERE capture_offset < 60"
    )
    (counts,) = found.to_pylist()
    assert counts["n"] > 2 * before
    assert counts["known"] > 0
    report = app.audit(data, None)
    assert report.ok, report


@pytest.mark.parametrize("workers", [1, 2])
def test_what_an_older_version_left_between_two_tables_is_counted_as_it_was_written(
    processes: ForkServerContext, tmp_path: Path, workers: int
) -> None:
    """All tables but ``feed_messages`` have rows that were compared without the new columns."""
    folder = tmp_path / "data"
    process = processes.Process(target=upgraded.live_until_between_tables, args=(folder, OLDER, OLDER - 5))
    process.start()
    process.join(PATIENCE_S)
    assert process.exitcode == -9
    arguments = {"is_older": False, "workers": workers}
    process = processes.Process(target=upgraded.live, args=(folder, NEWER, None), kwargs=arguments)
    process.start()
    process.join(PATIENCE_S)
    assert process.exitcode == 0
    report = app.audit(app.DataFolder.existing(folder), None)
    assert report.ok, report
    assert (report.captures, report.pending) == (NEWER, 0)


def test_the_way_back_over_new_columns_is_refused_and_harms_nothing(
    processes: ForkServerContext, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    assert lives(processes, folder, 20, None, is_older=True) == 0
    assert lives(processes, folder, 40, None, is_older=False) == 0
    process = processes.Process(target=upgraded.is_refused, args=(folder,))
    process.start()
    process.join(PATIENCE_S)
    assert process.exitcode == 0
    assert lives(processes, folder, 60, None, is_older=False) == 0
    report = app.audit(app.DataFolder.existing(folder), None)
    assert report.ok, report
    assert (report.captures, report.pending) == (60, 0)
