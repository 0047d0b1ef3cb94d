"""SQL over the tables: read-only, one snapshot per table, up to a common position.

``feed_messages`` is committed last, so its position is one that every table has reached: rows above it are hidden
until their capture is complete everywhere.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.manifest import DataFile

from thirdrail.errors import NoDataYet, QueryError
from thirdrail.model.tables import BY_NAME, COMMITS, FEED_MESSAGES, TABLES
from thirdrail.query.days import days_asked
from thirdrail.query.views import MACROS, NEWEST, Needed, needed
from thirdrail.schedule.stations import NAMES, subway_table
from thirdrail.sinks.iceberg.reader import Days, PinnedTable, pin

_VANISHED = (duckdb.InvalidInputException, FileNotFoundError)
"""What a reader hears of a data file or manifest that another program has deleted: Arrow tells DuckDB, and DuckDB us."""

_ENDLESS = (1 << 63) - 1
_READING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)


class Warehouse:
    """The tables and views of one catalog, for reading."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def sql(self, query: str) -> pa.Table:
        """Run one query on fresh snapshots; give the result.

        A data file that another program deleted while we read is one retry on the newest snapshots.

        Raises:
            QueryError: the SQL is wrong, with its place, or would write.
            NoDataYet: there are no tables.
        """
        _refuse_writing(query)
        try:
            return self._run(query)
        except _VANISHED:
            return self._run_again(query)
        except duckdb.Error as error:
            raise QueryError(str(error).strip()) from error

    def _run_again(self, query: str) -> pa.Table:
        try:
            return self._run(query)
        except (duckdb.Error, *_VANISHED) as error:
            raise QueryError(str(error).strip()) from error

    def _run(self, query: str) -> pa.Table:
        try:
            with self.connect(query) as connection:
                return connection.sql(query).to_arrow_table()
        except duckdb.CatalogException:  # a name that is wrong: the suggestion needs to know them all
            with self.connect() as connection:
                return connection.sql(query).to_arrow_table()

    def connect(self, query: str | None = None) -> duckdb.DuckDBPyConnection:
        """Give a DuckDB connection that holds the tables, views and macros, pinned; those alone that a query names.

        It can open the pinned data files and nothing else, and writes nothing to the disk. Files that cannot hold what
        the query asks for are not opened: by bounds of the columns that it filters, and, of tables that it asks for
        pictures alone, by the captures that make up those pictures.
        """
        need = needed(query)
        connection = _locked()
        pinned = self._pin(need.tables, _days(connection, query, need))
        files = {name: list(table.files) for name, table in pinned.items()}
        if need.moments:
            self._prune(files, pinned, need)
        _show(connection, pinned, files)
        for name in NAMES:
            connection.register(f"_{name}", subway_table(name))
            connection.execute(f"CREATE VIEW {name} AS SELECT * FROM _{name}")
        newest = _newest(pinned[FEED_MESSAGES.name]) if need.macros else ""
        for macro in need.macros:
            connection.execute(macro.replace(NEWEST, newest))
        for view in need.views:
            connection.execute(f"CREATE VIEW {view.name} AS {view.sql}")
        return connection

    def _pin(self, names: frozenset[str], days: Days | None) -> dict[str, PinnedTable]:
        """Pin ``feed_messages`` first: the others are then at least as far."""
        wanted = (FEED_MESSAGES, *(each for each in TABLES if each is not FEED_MESSAGES and each.name in names))
        try:
            found = {table.name: pin(self._catalog, table, days=days) for table in wanted}
        except NoSuchTableError as error:
            raise NoDataYet("there are no tables yet", hint="thirdrail replay PATH --feed ID") from error
        if COMMITS.name in names:
            with suppress(NoSuchTableError):  # a folder that an older version wrote has none yet
                found[COMMITS.name] = pin(self._catalog, COMMITS)
        return found

    def _prune(self, files: dict[str, list[DataFile]], pinned: dict[str, PinnedTable], need: Needed) -> None:
        """Leave out files of other captures than those that make up the pictures."""
        messages = pinned[FEED_MESSAGES.name]
        connection = _locked()
        _show(connection, {FEED_MESSAGES.name: messages}, {FEED_MESSAGES.name: list(messages.files)})
        connection.execute(MACROS["pictures_at"].replace(NEWEST, _newest(messages)))
        spans: list[tuple[int, int]] = []
        try:
            for moment in need.moments:
                found = connection.sql(f"SELECT full_offset, capture_offset FROM pictures_at({moment})")
                spans += [(row["full_offset"], row["capture_offset"]) for row in found.to_arrow_table().to_pylist()]
        except duckdb.Error:
            return  # the query itself will say what is wrong with the time
        for name, table in pinned.items():
            if name not in need.whole and table is not messages:
                files[name] = [file for file in files[name] if _meets(table, file, spans)]


def _days(connection: duckdb.DuckDBPyConnection, query: str | None, need: Needed) -> Days | None:
    """Give the days that a query asks for, where it names a time and no picture; else None."""
    if query is None or "fetched_at" not in query.lower() or need.macros or need.views or COMMITS.name in need.tables:
        return None
    for name in need.tables:
        connection.register(name, ds.dataset(BY_NAME[name].arrow_schema.empty_table()))
    days = days_asked(connection, query)
    for name in need.tables:
        connection.unregister(name)
    return days


def _meets(table: PinnedTable, file: DataFile, spans: list[tuple[int, int]]) -> bool:
    """Whether a file can hold rows of captures within one of the spans (both ends included)."""
    low, high = table.bounds(file, table.table.order)
    return low is None or high is None or any(low <= last and high >= first for first, last in spans)


def _newest(messages: PinnedTable) -> str:
    """Give the time of the newest poll, as SQL."""
    return f"to_timestamp({(messages.newest_fetched_at or 0) / 1e6!r})"


def open_warehouse(catalog: Catalog) -> Warehouse:
    """Give the reading side of a catalog."""
    return Warehouse(catalog)


def _common_position(messages: PinnedTable) -> str:
    """Give the SQL of a row's limit: the position of its log that every table has reached.

    A log that ``feed_messages`` does not know yet has no such position. Rows without any position were
    written by another program, which left no way to tell what is complete.
    """
    if not messages.positions:
        return str(_ENDLESS if messages.files else 0)
    limits = " ".join(f"WHEN {_quoted(log_id)} THEN {end}" for (log_id, _), end in messages.positions.items())
    return f"CASE capture_log {limits} ELSE 0 END"


def _show(
    connection: duckdb.DuckDBPyConnection, pinned: Mapping[str, PinnedTable], files: Mapping[str, Sequence[DataFile]]
) -> None:
    """Give a connection a view of each table's files, the rows above the common position left out."""
    limit = _common_position(pinned[FEED_MESSAGES.name])
    for name, table in pinned.items():
        is_restorable = "restored_by_offset" in table.table.names()
        record = "coalesce(restored_by_offset, capture_offset)" if is_restorable else "capture_offset"
        connection.register(f"_{name}", table.whole() if table.deletes else table.dataset(files[name]))
        common = f"{record} < {limit}" if table.table is not COMMITS else "true"
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM _{name} WHERE {common}")


def _locked() -> duckdb.DuckDBPyConnection:
    """Give a connection that has what is registered with it alone: no file, no network, no spilling, and no way back."""
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone='UTC'")
    # The folder for spilling stays open to reading and writing, whatever else is closed.
    connection.execute("SET temp_directory=''")
    connection.execute("SET enable_external_access=false")
    connection.execute("SET lock_configuration=true")
    return connection


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _refuse_writing(query: str) -> None:
    try:
        statements = duckdb.extract_statements(query)
    except duckdb.Error as error:
        raise QueryError(str(error).strip()) from error
    if not statements:
        raise QueryError("no query was given", hint="thirdrail sql 'SELECT * FROM predictions_now LIMIT 10'")
    if len(statements) > 1:
        raise QueryError("one query at a time, please")
    if statements[0].type not in _READING:
        raise QueryError(
            f"{statements[0].type.name} is not for here: sql reads, it does not write",
            hint="for a copy use --format csv or json; any Iceberg reader can open the tables",
        )
