"""`thirdrail dbt sources` and examples/dbt under dbt-duckdb, against a catalog that is served."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.readers.engines import PYTHON, ROOT, needs_python_engines, run_python
from thirdrail import app
from thirdrail.city.messages import body, header_time
from thirdrail.config.settings import Config
from thirdrail.model.records import Poll
from thirdrail.model.tables import ALL_TABLES
from thirdrail.query.rest import CatalogServer
from thirdrail.sinks.iceberg.catalog import open_catalog

pytestmark = needs_python_engines
AT = 1_790_000_000
FEEDS = ("subway_ace", "lirr")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CatalogServer]:
    folder = tmp_path_factory.mktemp("dbt") / "data"
    with app.writing(folder, Config()) as work:
        work.note_settings()
        for minute in range(0, 180, 60):
            for feed_id in FEEDS:
                at = (header_time(feed_id, AT) + minute + 3) * 1_000_000
                work.append([(Poll(feed_id=feed_id, fetched_at=at), body(0, feed_id, AT + minute))])
        work.drain(app.Totals())
    with CatalogServer(open_catalog(folder, create=False)) as server:
        yield server


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as a user copies it, with the sources that the command prints."""
    folder = tmp_path_factory.mktemp("dbt") / "project"
    shutil.copytree(ROOT / "examples" / "dbt", folder)
    command = [ROOT / "thirdrail", "dbt", "sources", "--plugin", "city"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    (folder / "models" / "sources.yml").write_text(printed)
    return folder


def dbt(project: Path, server: CatalogServer, *arguments: str) -> str:
    program = PYTHON.with_name("dbt")
    ended = subprocess.run(
        [program, "--no-use-colors", *arguments, "--profiles-dir", "."],
        cwd=project,
        env={**os.environ, "THIRDRAIL_CATALOG": server.url, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-3_000:]
    return ended.stdout


def test_the_example_runs_and_its_tests_pass(project: Path, served: CatalogServer) -> None:
    told = dbt(project, served, "build", "--select", "polls_by_feed")
    assert "PASS=3 WARN=0 ERROR=0" in told
    counted = run_python(
        "import duckdb; print(duckdb.connect('city.duckdb').sql('FROM polls_by_feed ORDER BY feed_id').fetchall())",
        project,
    )
    assert [f"'{feed_id}'" in counted for feed_id in FEEDS] == [True, True]
    assert counted.count(", 3, 3, 0)") == len(FEEDS)


def test_every_table_and_column_is_known_to_dbt_with_its_meaning(project: Path, served: CatalogServer) -> None:
    dbt(project, served, "parse")
    manifest = json.loads((project / "target" / "manifest.json").read_text())
    sources = {source["name"]: source for source in manifest["sources"].values()}
    assert set(sources) == {table.name for table in ALL_TABLES}
    for table in ALL_TABLES:
        found = sources[table.name]
        assert found["description"] == table.meaning
        assert {name: column["description"] for name, column in found["columns"].items()} == {
            column.name: column.meaning for column in table.columns
        }
        assert found["config"]["meta"] == {"plugin": "city"}
    assert sources["feed_messages"]["loaded_at_field"] == "fetched_at"
    assert sources["feed_messages"]["freshness"]["error_after"] == {"count": 15, "period": "minute"}
