"""A query opens the files that can hold what it asks for, and reads the columns that it names: seen from the kernel."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.oracle.synthetic import subway_message
from tests.query.lake import Lake, at, message
from thirdrail import app
from thirdrail.config.settings import Config, SpoolConfig
from thirdrail.model.records import Poll
from thirdrail.model.tables import BY_NAME
from thirdrail.query import warehouse as warehouse_module
from thirdrail.query.warehouse import open_warehouse
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.reader import pin

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace")
MIDNIGHT = 1_789_948_800
EVERY_S = 4 * 3_600
CAPTURES = 30
TRIPS = 60
AS_IF_MANY = """
from thirdrail.cli.main import main
from thirdrail.query import warehouse

warehouse.FEW_FILES = 0
raise SystemExit(main())
"""
"""`thirdrail`, which asks what a query wants of small tables, too."""

CONFIG = Config(spool=SpoolConfig(reserve_gb=0.0, retention_days=9_999), commit_interval_seconds=0.001)


class Read(NamedTuple):
    """What a query made the process do: data files of each table that it opened, and bytes that it read of them."""

    files: dict[str, set[str]]
    bytes: int


@pytest.fixture(autouse=True)
def _as_if_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warehouse_module, "FEW_FILES", 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five days of a feed, polled and committed every four hours: a full picture and a file of each table each time."""
    folder = tmp_path_factory.mktemp("pruning") / "data"
    with app.writing(folder, CONFIG) as work:
        work.note_settings()
        for number in range(CAPTURES):
            at = (MIDNIGHT + number * EVERY_S) * 1_000_000
            body = subway_message(0, TRIPS, later=number * EVERY_S)
            work.append([(Poll(feed_id="subway_g", fetched_at=at), body)])
            work.drain(app.Totals())
    return folder


def read_by(folder: Path, query: str, tmp_path: Path) -> Read:
    """Run a query in a process of its own and watch it."""
    log = tmp_path / "calls"
    watched = ["strace", "-f", "-y", "-e", "trace=openat,read,pread64,preadv", "-o", str(log)]
    command = [sys.executable, "-c", AS_IF_MANY, "sql", "--format", "csv", "--data", str(folder), query]
    subprocess.run([*watched, *command], check=True, capture_output=True, timeout=120)
    files: dict[str, set[str]] = {}
    read = 0
    begun: dict[str, str] = {}
    for line in log.read_text().splitlines():
        thread = line.split()[0]
        if line.endswith("<unfinished ...>"):
            begun[thread] = (
                line  # another thread was faster: the number of bytes comes in a line without the file's name
            )
        told = begun.pop(thread, "") if " resumed>" in line else line
        found = re.search(r"/mta/(\w+)/data/(\S+?\.parquet)", told)
        if found is None:
            continue
        if "openat(" in told:
            files.setdefault(found[1], set()).add(found[2])
        elif " = " in line and line.rpartition(" = ")[2].isdigit():
            read += int(line.rpartition(" = ")[2])
    return Read(files, read)


def days_of(files: set[str]) -> list[str]:
    return sorted({file.split("/")[0].removeprefix("fetched_at_day=") for file in files})


def test_there_is_a_file_of_every_capture(folder: Path) -> None:
    assert len(pin(open_catalog(folder, create=False), BY_NAME["stop_time_updates"]).files) == CAPTURES


def test_of_a_days_rows_the_files_of_that_day_are_opened(folder: Path, tmp_path: Path) -> None:
    query = (
        "SELECT count(*) FROM stop_time_updates "
        "WHERE fetched_at >= TIMESTAMPTZ '2026-09-23 00:00Z' AND fetched_at < TIMESTAMPTZ '2026-09-24 00:00Z'"
    )
    read = read_by(folder, query, tmp_path)
    assert list(read.files) == ["stop_time_updates"]
    assert days_of(read.files["stop_time_updates"]) == ["2026-09-23"]
    assert len(read.files["stop_time_updates"]) == 86_400 // EVERY_S


def test_of_one_capture_one_file_is_opened(folder: Path, tmp_path: Path) -> None:
    read = read_by(folder, "SELECT count(*) FROM trip_updates WHERE capture_offset = 17", tmp_path)
    assert {name: len(files) for name, files in read.files.items()} == {"trip_updates": 1}


def test_each_table_is_asked_for_its_own_span(folder: Path, tmp_path: Path) -> None:
    """Two scans of one table want what either wants; a filter of one table says nothing of another."""
    query = (
        "SELECT count(*) FROM stop_time_updates AS s, trip_updates AS t, trip_updates AS u "
        "WHERE s.capture_offset > 27 AND t.capture_offset = 3 AND u.capture_offset BETWEEN 10 AND 11"
    )
    read = read_by(folder, query, tmp_path)
    assert {name: len(files) for name, files in read.files.items()} == {"stop_time_updates": 3, "trip_updates": 3}


@pytest.mark.parametrize(
    "where",
    [
        "capture_offset = 3 OR trip_key = 'x'",
        "capture_offset <> 3",
        "coalesce(capture_offset, 4) = 3",
        "trip_key = '(\"trip_updates|capture_offset\" = 3)'",
    ],
)
def test_what_is_no_plain_range_leaves_nothing_out(folder: Path, tmp_path: Path, where: str) -> None:
    read = read_by(folder, f"SELECT count(*), max(trip_id) FROM trip_updates WHERE {where}", tmp_path)
    assert len(read.files["trip_updates"]) == CAPTURES


@pytest.mark.parametrize(
    ("query", "day"),
    [
        ("SELECT * FROM predictions_now LIMIT 5", "2026-09-25"),
        ("SELECT * FROM stop_time_updates_as_of('infinity'::TIMESTAMPTZ)", "2026-09-25"),
        ("SELECT * FROM stop_time_updates_as_of(TIMESTAMPTZ '2026-09-22 09:00Z')", "2026-09-22"),
    ],
)
def test_of_a_picture_the_files_of_its_captures_are_opened(folder: Path, tmp_path: Path, query: str, day: str) -> None:
    read = read_by(folder, query, tmp_path)
    assert len(read.files["stop_time_updates"]) == 1
    assert days_of(read.files["stop_time_updates"]) == [day]
    assert set(read.files) == {"stop_time_updates", "feed_messages"}


def test_a_time_that_only_the_query_can_tell_gives_the_same_picture(folder: Path) -> None:
    """Its captures are not known before the query runs: nothing is left out by them."""
    warehouse = open_warehouse(open_catalog(folder, create=False))
    told = "(SELECT max(fetched_at) FROM feed_messages WHERE capture_offset < 9)"
    (at,) = warehouse.sql(f"SELECT {told} AS at").to_pylist()
    rows = warehouse.sql(f"FROM stop_time_updates_as_of({told}) ORDER BY ALL")
    assert len(rows) >= TRIPS
    assert rows.equals(warehouse.sql(f"FROM stop_time_updates_as_of(TIMESTAMPTZ '{at['at']}') ORDER BY ALL"))


@pytest.mark.parametrize(
    "second",
    [
        "\"stop_time_updates_as_of\"(TIMESTAMPTZ '2026-09-24 09:00Z')",
        "stop_time_updates_as_of/* */(TIMESTAMPTZ '2026-09-24 09:00Z')",
        "stop_time_updates_as_of(TIMESTAMPTZ '2026-09-23 09:00Z' + INTERVAL 1 DAY)",
        "as_of('stop_time_updates', TIMESTAMPTZ '2026-09-24 09:00Z')",
    ],
)
def test_beside_a_time_that_is_read_from_the_text_no_other_is_overlooked(folder: Path, second: str) -> None:
    warehouse = open_warehouse(open_catalog(folder, create=False))
    first = "SELECT * FROM stop_time_updates_as_of(TIMESTAMPTZ '2026-09-22 09:00Z')"
    alone = len(warehouse.sql(f"SELECT * FROM {second}"))
    assert alone > 0
    assert len(warehouse.sql(f"{first} UNION ALL SELECT * FROM {second}")) == len(warehouse.sql(first)) + alone


def test_a_feed_that_was_silent_for_a_week_has_no_picture_and_one_of_six_days_has(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    day = 86_400
    polls = [("gone", 0), ("nearly_gone", 1.5 * day), ("alive", 7.25 * day)]
    rows = [message(number, feed_id=name, fetched_at=at(when)) for number, (name, when) in enumerate(polls)]
    lake.append("feed_messages", *rows, log=3)

    def pictures(moment: str) -> list[str]:
        found = lake.warehouse.sql(f"SELECT feed_id FROM pictures_at({moment}) ORDER BY 1").to_pylist()
        return [row["feed_id"] for row in found]

    assert pictures("'infinity'::TIMESTAMPTZ") == ["alive", "nearly_gone"]
    # The newest poll stands for now, however late the time that is asked for.
    assert pictures("TIMESTAMPTZ '2099-01-01'") == ["alive", "nearly_gone"]
    assert pictures(f"TIMESTAMPTZ '{at(2 * day).isoformat()}'") == ["gone", "nearly_gone"]


def test_columns_that_are_not_named_are_not_read(folder: Path, tmp_path: Path) -> None:
    everything = read_by(folder, "SELECT * FROM stop_time_updates", tmp_path)
    one = read_by(folder, "SELECT max(arrival_at) FROM stop_time_updates", tmp_path)
    assert len(one.files["stop_time_updates"]) == len(everything.files["stop_time_updates"]) == CAPTURES
    assert one.bytes < everything.bytes * 0.8
