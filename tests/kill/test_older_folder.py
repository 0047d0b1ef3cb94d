"""A folder that an older version left when it was killed: ours takes it over, is killed, and loses nothing.

``scripts/older_folder.py`` made the folder; the older code itself is not needed here.
"""

import multiprocessing
import tarfile
from pathlib import Path

import polars as pl
import pytest

from tests.kill import victim
from thirdrail import app
from thirdrail.app.data_folder import DataFolder, relocated
from thirdrail.model.tables import TABLES
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.reader import pin

OLDER = sorted((Path(__file__).parent / "older").glob("*.tar.xz"))
MADE_AT = Path("/tmp/thirdrail-older")
"""Where the script let it lie."""
CAPTURES = 60
PATIENCE_S = 120
TOLD_LATER = {"commits", "quarantine"}
"""Their rows are about what this version does, too."""


def rows(folder: Path) -> dict[str, pl.DataFrame]:
    """Give what each table that a version has holds."""
    catalog = open_catalog(folder, create=False)
    found = {table: pin(catalog, table) for table in TABLES if catalog.table_exists(f"mta.{table.name}")}
    return {t.name: pl.DataFrame(each.read(each.files, t.names())) for t, each in found.items() if each.rows}


def lives(folder: Path, point: str, nth: int) -> int:
    process = multiprocessing.get_context("spawn").Process(
        target=victim.live, args=(folder, CAPTURES, point, nth, victim.EVERY_S)
    )
    process.start()
    process.join(PATIENCE_S)
    assert process.exitcode in (0, -9)
    return process.exitcode or 0


@pytest.mark.parametrize("archive", OLDER, ids=lambda path: path.name.partition(".")[0])
def test_what_an_older_version_left_is_taken_over_under_kills(tmp_path: Path, archive: Path) -> None:
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    folder = tmp_path / "data"
    relocated(MADE_AT, folder)
    left = app.audit(DataFolder.existing(folder), None)
    assert left.ok, left
    assert 0 < left.captures < CAPTURES
    assert left.pending == 1, "it was not killed between two tables"
    before = rows(folder)
    assert len(before["stop_time_updates"]) > left.captures

    deaths = [lives(folder, point, nth) for point, nth in (("data file", 1), ("catalog commit", 7), ("append", 9))]
    assert deaths == [-9, -9, -9]
    assert lives(folder, "", 0) == 0

    report = app.audit(DataFolder.existing(folder), None)
    assert report.ok, report
    assert (report.captures, report.pending) == (CAPTURES, 0)
    after = rows(folder)
    for name in before.keys() - TOLD_LATER:
        # Each row that the older version wrote is there, as it wrote it, and none came to them.
        old, new = before[name], after[name]
        assert new.filter(pl.col("capture_offset") <= old["capture_offset"].max()).height == old.height, name
        assert old.join(new, on=old.columns, how="anti", nulls_equal=True).is_empty(), name
        assert new.height > old.height, name
