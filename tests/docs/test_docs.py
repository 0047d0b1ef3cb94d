"""Pages that tell of the code are held equal to it."""

import re
from pathlib import Path

import pytest

from tests.integration.test_recordings import DATA, POLLS, replay
from thirdrail.cli.main import commands
from thirdrail.config import reference
from thirdrail.model.rules import RULES
from thirdrail.model.tables import TABLES
from thirdrail.observe import logs, metrics
from thirdrail.query.reference import tables_reference
from thirdrail.query.views import VIEWS
from thirdrail.query.warehouse import open_warehouse
from thirdrail.sinks.iceberg.catalog import open_catalog

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
TABLES_PAGE = (ROOT / "docs" / "tables.md").read_text()


def test_every_promise_names_tests_that_exist_or_says_not_yet() -> None:
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]*) \|$", (ROOT / "docs" / "promises.md").read_text(), re.MULTILINE)

    assert [int(number) for number, _ in rows] == list(range(1, 23))
    for number, named in rows:
        if named.strip() == "not yet":
            continue
        for path in named.split(","):
            text = (ROOT / path.strip()).read_text()
            assert re.search(r"^ *def test_", text, re.MULTILINE), (number, path)
            assert "pytest.mark.skip(" not in text, (number, path)


def test_the_configuration_page_is_what_the_command_prints() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == reference.reference()


def test_the_page_of_metrics_is_what_the_command_prints() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text() == metrics.reference()


def test_the_page_of_events_is_what_the_command_prints() -> None:
    assert (ROOT / "docs" / "events.md").read_text() == logs.reference()


def test_the_tables_page_ends_with_the_generated_reference() -> None:
    assert TABLES_PAGE.endswith(tables_reference())


def test_every_rule_table_view_and_command_is_documented() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert all(f"| {rule.id} |" in page for rule in RULES)
    assert all(f"`{table.name}`" in README for table in TABLES)
    assert all(f"`{view.name}`" in README for view in VIEWS)
    assert all(f"`{name}`" in README for name in commands.commands)


def test_the_readme_names_only_make_targets_and_files_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make ([a-z]+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link


def test_the_rooms_of_the_architecture_page_are_the_rooms_of_the_code() -> None:
    rooms = {
        path.name for path in (ROOT / "src" / "thirdrail").iterdir() if path.is_dir() and path.name != "__pycache__"
    }
    page = (ROOT / "docs" / "architecture.md").read_text()

    assert [room for room in rooms if not re.search(rf"\b{room}\b", page)] == []


def queries(page: str) -> list[str]:
    blocks = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    return [*blocks, *re.findall(r'thirdrail sql[^"]*"(.*?)"', page, re.DOTALL)]


@pytest.mark.recordings
@pytest.mark.skipif(not DATA.exists(), reason="recordings: ../shared/data is absent")
def test_every_query_of_the_readme_and_of_the_tables_page_runs(tmp_path: Path) -> None:
    replay(tmp_path / "data", "subway_1234567s", POLLS, history="changes")
    warehouse = open_warehouse(open_catalog(tmp_path / "data", create=False))
    (first,) = queries(README)
    next_trains = warehouse.sql(first)
    wrong_count, right_count, wrong_now, right_now = (warehouse.sql(query) for query in queries(TABLES_PAGE))

    assert len(next_trains) == 10
    assert next_trains.column("minutes_away").to_pylist() == sorted(next_trains.column("minutes_away").to_pylist())
    assert set(next_trains.column("route_id").to_pylist()) >= {"1", "7"}
    assert wrong_count.column(0)[0].as_py() != right_count.column(0)[0].as_py()
    assert right_now.column(0)[0].as_py() == 175
    assert wrong_now.column(0)[0].as_py() > 175
