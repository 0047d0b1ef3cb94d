"""What docs/readers.md says of other engines, run as it stands there; Spark also while tables are written."""

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.contract.test_sinks import commit, wanted
from tests.fakes.clock import FakeClock
from tests.readers.engines import Spark, needs_python_engines, needs_spark, run_python
from tests.simulation.test_commit import EVENTS
from thirdrail import app
from thirdrail.city.messages import body, header_time
from thirdrail.config.settings import Config
from thirdrail.maintenance.care import Policy, care
from thirdrail.model.records import Poll
from thirdrail.model.tables import ALL_TABLES, BY_NAME
from thirdrail.query.rest import CatalogServer
from thirdrail.sinks.iceberg.catalog import LocalCatalog, open_catalog
from thirdrail.sinks.iceberg.reader import pin
from thirdrail.sinks.iceberg.sink import IcebergSink

PAGE = (Path(__file__).parents[2] / "docs" / "readers.md").read_text()
AS_WRITTEN = "http://127.0.0.1:8181"
AT = 1_790_000_000
FEEDS = ("subway_ace", "lirr", "alerts_all", "ene_current")
LOOKS, COMMITS_AT_MOST = 20, 5_000


def snippet(heading: str, language: str) -> str:
    """Give the first piece of code under a heading."""
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    found = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three minutes of four feeds of the city."""
    folder = tmp_path_factory.mktemp("readers") / "data"
    with app.writing(folder, Config()) as work:
        work.note_settings()
        for minute in range(0, 180, 60):
            for feed_id in FEEDS:
                at = (header_time(feed_id, AT) + minute + 3) * 1_000_000
                work.append([(Poll(feed_id=feed_id, fetched_at=at), body(0, feed_id, AT + minute))])
        work.drain(app.Totals())
    return folder


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[CatalogServer]:
    with CatalogServer(open_catalog(folder, create=False)) as server:
        yield server


@needs_python_engines
def test_pyiceberg(served: CatalogServer, tmp_path: Path) -> None:
    printed = run_python(snippet("PyIceberg", "python").replace(AS_WRITTEN, served.url), tmp_path)
    assert printed == "10 rows of the A\n"


@needs_python_engines
def test_polars(served: CatalogServer, tmp_path: Path) -> None:
    printed = run_python(snippet("Polars", "python").replace(AS_WRITTEN, served.url), tmp_path)
    assert "trip_key" in printed
    assert len(re.findall(r"^│ [ACEHFS]+ +┆ [1-9]", printed, re.MULTILINE)) >= 3


@needs_python_engines
def test_clickhouse(served: CatalogServer, folder: Path, tmp_path: Path) -> None:
    printed = run_python(snippet("ClickHouse (chdb)", "python").replace(AS_WRITTEN, served.url), tmp_path)
    counts = [int(line.rsplit(",", 1)[1]) for line in printed.strip().splitlines()]
    assert sum(counts) == pin(open_catalog(folder, create=False), BY_NAME["trip_updates"]).rows


@pytest.fixture(scope="module")
def spark(served: CatalogServer) -> Iterator[Spark]:
    settings = dict(
        line.removeprefix("spark.sql.catalog.city").split("=", 1)
        for line in snippet("Spark", "properties").replace(AS_WRITTEN, served.url).splitlines()
    )
    assert settings.pop("") == "org.apache.iceberg.spark.SparkCatalog"
    with Spark({name.removeprefix("."): value for name, value in settings.items()}) as spark:
        yield spark


@needs_spark
def test_spark_runs_what_the_page_says(spark: Spark) -> None:
    trips, snapshots = snippet("Spark", "sql").strip().rstrip(";").split(";")
    assert {"A", "C", "E"} <= {row["route_id"] for row in spark.sql(trips) if row.get("route_id")}
    assert "append" in {row["operation"] for row in spark.sql(snapshots)}


@needs_spark
@pytest.mark.parametrize("name", [table.name for table in ALL_TABLES])
def test_spark_reads_every_column_of_every_table(spark: Spark, folder: Path, name: str) -> None:
    pinned = pin(open_catalog(folder, create=False), BY_NAME[name])
    nulls = ", ".join(f"count(`{column}`) AS `{column}`" for column in BY_NAME[name].names())
    (found,) = spark.sql(f"SELECT count(*) AS rows_, {nulls} FROM city.mta.{name}")
    ours = pinned.read(pinned.files, BY_NAME[name].names())
    assert found.pop("rows_") == pinned.rows
    assert found == {column: pinned.rows - ours[column].null_count for column in BY_NAME[name].names()}


@needs_spark
def test_spark_cannot_write_through_it(spark: Spark) -> None:
    answer = spark.answer("DELETE FROM city.mta.trip_updates")
    assert answer.startswith("error")
    assert spark.sql("SELECT count(*) AS n FROM city.mta.trip_updates")[0]["n"] > 0


@needs_spark
def test_spark_in_a_loop_sees_every_row_once_while_tables_are_written_and_cared_for(tmp_path: Path) -> None:
    catalog: LocalCatalog = open_catalog(tmp_path, create=True)
    clock = FakeClock()
    writer = IcebergSink(catalog, clock).open(EVENTS, "log", "0")
    commit(writer, 0, 3)
    has_seen_enough = threading.Event()
    merged = 0

    def write() -> None:
        nonlocal merged
        for number in range(1, COMMITS_AT_MOST):
            commit(writer, number * 3, number * 3 + 3)
            if number % 10 == 9:
                report = care(catalog, EVENTS, Policy(), clock)
                assert report.trouble == ""
                merged += report.merged
            if has_seen_enough.is_set():
                return

    looks: list[int] = []
    with (
        CatalogServer(catalog) as server,
        Spark({"type": "rest", "uri": server.url, "cache-enabled": "false"}) as spark,
        ThreadPoolExecutor(1) as pool,
    ):
        writing = pool.submit(write)
        try:
            while not writing.done() and len(set(looks)) < LOOKS:
                (found,) = spark.sql(
                    "SELECT count(*) AS n, count(DISTINCT capture_offset, place) AS d, max(capture_offset) AS m "
                    "FROM city.mta.events"
                )
                assert found["n"] == found["d"] == len(wanted(0, found["m"] + 1))
                looks.append(found["n"])
        finally:
            has_seen_enough.set()
        writing.result(60)
    assert len(set(looks)) == LOOKS
    assert merged > LOOKS
