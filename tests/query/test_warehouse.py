"""What can be read, what cannot, and which rows are shown."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from pyiceberg.table import Table

from tests.query.lake import Lake, arrow, message
from thirdrail.errors import NoDataYet, QueryError
from thirdrail.model.tables import BY_NAME, NAMESPACE, TABLES
from thirdrail.query.warehouse import Warehouse


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake's")


def trip(offset: int, key: str = "a", **values: object) -> dict[str, object]:
    return {"capture_offset": offset, "change_kind": "added", "trip_key": key, **values}


def shown(warehouse: Warehouse, name: str = "trip_updates") -> list[int]:
    found = warehouse.sql(f"SELECT capture_offset FROM {name} ORDER BY ALL")
    return found.column("capture_offset").to_pylist()


def test_empty_tables_have_their_columns_and_every_view_runs(lake: Lake) -> None:
    views = ("trips_now", "vehicles_now", "predictions_now", "feed_freshness")
    for table in TABLES:
        found = lake.warehouse.sql(f"FROM {table.name}")
        assert (found.column_names, len(found)) == (table.names(), 0)
    assert [len(lake.warehouse.sql(f"FROM {view}")) for view in views] == [0, 0, 0, 0]


def test_a_catalog_without_tables_says_so(lake: Lake) -> None:
    lake.catalog.drop_table((NAMESPACE, "quarantine"))

    with pytest.raises(NoDataYet, match="no tables yet"):
        lake.warehouse.sql("SELECT 1")


def test_a_capture_is_hidden_until_feed_messages_lists_it(lake: Lake) -> None:
    lake.append("feed_messages", message(0), message(1), log=2)
    lake.append("trip_updates", trip(0), trip(1), trip(2), log=3)
    assert shown(lake.warehouse) == [0, 1]

    lake.append("feed_messages", message(2), log=3)
    assert shown(lake.warehouse) == [0, 1, 2]


def test_a_log_that_feed_messages_does_not_know_yet_is_hidden(lake: Lake) -> None:
    lake.append("trip_updates", trip(0), log=1)
    assert shown(lake.warehouse) == []

    lake.append("feed_messages", message(0, capture_log="other"), other=1)
    assert shown(lake.warehouse) == []


def test_each_log_has_its_own_position(lake: Lake) -> None:
    lake.append("trip_updates", trip(7), trip(8, capture_log="other"), log=8, other=9)
    lake.append("feed_messages", message(7), log=8, other=3)
    assert shown(lake.warehouse) == [7]


class BusyCatalog:
    """A catalog in which a whole span is committed after a reader has loaded a table so many times."""

    def __init__(self, lake: Lake, loads: int) -> None:
        self._lake, self._left = lake, loads

    def load_table(self, name: tuple[str, str]) -> Table:
        table = self._lake.catalog.load_table(name)
        self._left -= 1
        if self._left == 0:
            self._lake.append("trip_updates", trip(1), log=2)
            self._lake.append("feed_messages", message(1), log=2)
        return table


def test_a_capture_that_arrives_while_tables_are_pinned_is_whole_or_hidden(tmp_path: Path) -> None:
    joined = "SELECT t.trip_key FROM feed_messages m LEFT JOIN trip_updates t USING (capture_offset)"
    found = []
    for loads in range(1, 6):
        lake = Lake(tmp_path / str(loads))
        lake.append("trip_updates", trip(0), log=1)
        lake.append("feed_messages", message(0), log=1)
        rows = Warehouse(BusyCatalog(lake, loads)).sql(joined).to_pylist()  # type: ignore[arg-type]
        assert [row["trip_key"] for row in rows] == ["a"] * len(rows), f"after {loads} loads"
        found.append(len(rows))
    assert set(found) == {1, 2}, "it arrived before and after feed_messages was pinned"


def test_restored_rows_come_with_the_order_that_restored_them(lake: Lake) -> None:
    lake.append("feed_messages", message(0), log=5)
    restored = trip(0, change_kind="restored", restored_by_offset=5)
    lake.append("trip_updates", restored, log=6)
    assert shown(lake.warehouse) == []

    lake.append("feed_messages", message(6), log=7)
    assert shown(lake.warehouse) == [0]


def test_the_snapshot_of_another_program_is_walked_past(lake: Lake) -> None:
    lake.append("trip_updates", trip(0), trip(1), log=2)
    lake.append("feed_messages", message(0), log=1)
    lake.append("feed_messages", message(1))

    assert shown(lake.warehouse) == [0]


def test_where_no_snapshot_tells_a_position_every_row_is_shown(lake: Lake) -> None:
    lake.append("trip_updates", trip(0), trip(1))
    lake.append("feed_messages", message(0))

    assert shown(lake.warehouse) == [0, 1]


def test_a_column_that_came_later_is_null_in_a_table_from_before(lake: Lake) -> None:
    """Read by a newer version, before that has written into it."""
    table = lake.catalog.load_table((NAMESPACE, "trip_updates"))
    with table.update_schema(allow_incompatible_changes=True) as update:
        update.delete_column("direction_id")
    table.append(arrow(BY_NAME["trip_updates"], [trip(0, trip_id="one")]).drop_columns(["direction_id"]))
    lake.append("feed_messages", message(0), log=1)

    assert lake.warehouse.sql("SELECT trip_id, direction_id FROM trip_updates").to_pylist() == [
        {"trip_id": "one", "direction_id": None}
    ]


@pytest.fixture(scope="module")
def one_trip(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Read by many tests, written by none."""
    lake = Lake(tmp_path_factory.mktemp("one_trip"))
    lake.append("trip_updates", trip(0), log=1)
    lake.append("feed_messages", message(0), log=1)
    return lake


WRITING = [
    "CREATE TABLE mine AS SELECT 1",
    "INSERT INTO trip_updates SELECT * FROM trip_updates",
    "DELETE FROM trip_updates",
    "COPY trip_updates TO 'out.csv'",
    "COPY (SELECT 1) TO 'out.parquet'",
    "EXPORT DATABASE 'out'",
    "ATTACH 'out.db'",
    "INSTALL httpfs",
    "SET enable_external_access=true",
    "SELECT 1; DROP VIEW trips_now",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO 'out.csv'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '.tmp/out.csv'",
    "EXPLAIN (ANALYZE, FORMAT json) EXPLAIN ANALYZE COPY (SELECT 1) TO 'out.csv'",
]


@pytest.mark.parametrize("query", WRITING)
def test_sql_that_writes_is_refused_and_leaves_nothing(
    one_trip: Lake, query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".tmp").mkdir()  # where DuckDB would spill
    monkeypatch.chdir(tmp_path)
    with pytest.raises(QueryError):
        one_trip.warehouse.sql(query)
    assert list(tmp_path.rglob("*")) == [tmp_path / ".tmp"]


EXPLAINING = ["EXPLAIN ANALYZE ", "explain analyze", "/* */ EXPLAIN ANALYZE ", "EXPLAIN(ANALYZE)"]


@pytest.mark.parametrize("explain", EXPLAINING)
def test_a_data_file_is_not_written_over(one_trip: Lake, explain: str) -> None:
    """It is the one thing that a connection may open, and DuckDB would write to it, too."""
    (path,) = one_trip.data_files("trip_updates")
    before = path.read_bytes()

    with pytest.raises(QueryError):
        one_trip.warehouse.sql(f"{explain}COPY (SELECT 1 FROM trip_updates) TO '{path}' (FORMAT parquet)")
    assert path.read_bytes() == before


@pytest.mark.parametrize("explain", ["EXPLAIN ", "EXPLAIN ANALYZE ", "explain (analyze, format json) "])
def test_a_query_is_explained(one_trip: Lake, explain: str) -> None:
    (plan,) = one_trip.warehouse.sql(f"{explain}SELECT trip_key FROM trip_updates").to_pylist()
    assert "READ_PARQUET" in str(plan).upper()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM read_csv('https://localhost:1/x.csv')",
        "EXPLAIN ANALYZE SELECT * FROM read_csv('{secret}')",
    ],
)
def test_no_file_but_the_tables_own_can_be_read(one_trip: Lake, query: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")

    with pytest.raises(QueryError):
        one_trip.warehouse.sql(query.format(secret=secret, folder=tmp_path))


def test_a_name_that_is_no_table_is_not_looked_up_in_the_program(one_trip: Lake) -> None:
    with pytest.raises(QueryError, match="Table with name TABLES does not exist"):
        one_trip.warehouse.sql("SELECT * FROM TABLES")


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("SELECT FROM WHERE", "^"),
        ("SELECT tripkey FROM trip_updates", "trip_key"),
        ("FROM as_of('trips', now())", "trips_as_of"),
        ("FROM trip_updates_of", "trip_updates"),
        ("SELECT 'x'::INTEGER FROM range(1)", "x"),
    ],
)
def test_wrong_sql_is_told_with_its_place_or_the_nearest_name(one_trip: Lake, query: str, place: str) -> None:
    with pytest.raises(QueryError) as error:
        one_trip.warehouse.sql(query)

    assert place in str(error.value)


def test_text_that_looks_like_a_call_stays_text(one_trip: Lake) -> None:
    found = one_trip.warehouse.sql("SELECT 'as_of(''trip_updates'', now())' AS said")

    assert found.to_pylist() == [{"said": "as_of('trip_updates', now())"}]


class VanishingFiles:
    """A warehouse whose data files another program deletes after they were pinned, so many times over."""

    def __init__(self, lake: Lake, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
        self.left, self.pinned = times, 0
        connect = Warehouse.connect

        def vanishing(warehouse: Warehouse, query: str | None = None) -> duckdb.DuckDBPyConnection:
            self.pinned += 1
            connection = connect(warehouse, query)
            if self.left:
                self.left -= 1
                self._compact(lake)
            return connection

        monkeypatch.setattr(Warehouse, "connect", vanishing)

    @staticmethod
    def _compact(lake: Lake) -> None:
        """Write the rows anew, as another engine does, and delete the old files."""
        table = lake.catalog.load_table((NAMESPACE, "trip_updates"))
        old = lake.data_files("trip_updates")
        table.overwrite(table.scan().to_arrow())
        for path in old:
            path.unlink()


@pytest.fixture
def vanishing(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], VanishingFiles]:
    lake.append("trip_updates", trip(0), log=1)
    lake.append("feed_messages", message(0), log=1)
    return lambda times: VanishingFiles(lake, monkeypatch, times)


def test_a_vanished_file_is_one_retry_on_the_newest_snapshot(
    lake: Lake, vanishing: Callable[[int], VanishingFiles]
) -> None:
    files = vanishing(1)

    assert shown(lake.warehouse) == [0]
    assert files.pinned == 2


def test_files_that_vanish_twice_are_an_error_in_words(lake: Lake, vanishing: Callable[[int], VanishingFiles]) -> None:
    vanishing(2)

    with pytest.raises(QueryError, match="parquet"):
        shown(lake.warehouse)


def test_times_are_in_utc_and_new_york_can_be_asked_for(one_trip: Lake) -> None:
    found = one_trip.warehouse.sql("""
        SELECT fetched_at::VARCHAR AS utc, timezone('America/New_York', fetched_at)::VARCHAR AS local
        FROM feed_messages""")

    assert found.to_pylist() == [{"utc": "2026-05-28 20:00:00+00", "local": "2026-05-28 16:00:00"}]
