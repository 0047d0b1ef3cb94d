"""SQL over the tables: read-only, one snapshot per table, up to a common position.

``feed_messages`` is committed last, so its position is one that every table has reached: rows above it are hidden
until their capture is complete everywhere.
"""

from collections.abc import Iterable

import duckdb
import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError

from thirdrail.errors import NoDataYet, QueryError
from thirdrail.model.tables import FEED_MESSAGES, TABLES
from thirdrail.query.views import needed
from thirdrail.schedule.stations import NAMES, subway_table
from thirdrail.sinks.iceberg.files import local_path
from thirdrail.sinks.iceberg.reader import PinnedTable, pin

_DUCK_TYPES = {
    "string": "VARCHAR",
    "int": "INTEGER",
    "long": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamptz": "TIMESTAMPTZ",
    "list<string>": "VARCHAR[]",
}
_VANISHED = (duckdb.IOException, duckdb.PermissionException, FileNotFoundError)
"""What a reader hears of a data file or manifest that another program has deleted.

A locked connection looks for a missing file's name as a folder, and is not permitted to.
"""

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

        It can open the pinned data files and nothing else, and writes nothing to the disk.
        """
        pinned = self._pin()
        connection = duckdb.connect(":memory:")
        connection.execute("SET TimeZone='UTC'")
        limit = _common_position(pinned[FEED_MESSAGES.name])
        for name, table in pinned.items():
            _register(connection, name, table, limit)
        for name in NAMES:
            connection.register(f"_{name}", subway_table(name))
            connection.execute(f"CREATE VIEW {name} AS SELECT * FROM _{name}")
        macros, views = needed(query)
        for macro in macros:
            connection.execute(macro)
        for view in views:
            connection.execute(f"CREATE VIEW {view.name} AS {view.sql}")
        _lock(connection, pinned.values())
        return connection

    def _pin(self) -> dict[str, PinnedTable]:
        """Pin ``feed_messages`` first: the others are then at least as far."""
        try:
            return {table.name: pin(self._catalog, table) for table in (FEED_MESSAGES, *TABLES[:-1])}
        except NoSuchTableError as error:
            raise NoDataYet("there are no tables yet", hint="thirdrail replay PATH --feed ID") from error


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


def _register(connection: duckdb.DuckDBPyConnection, name: str, pinned: PinnedTable, limit: str) -> None:
    """Make a view of one table's files, found by field id, with the rows above the common position left out."""
    if not pinned.files:
        connection.register(f"_{name}", pinned.table.arrow_schema.empty_table())
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM _{name}")
        return
    record = (
        "coalesce(restored_by_offset, capture_offset)"
        if "restored_by_offset" in pinned.table.names()
        else "capture_offset"
    )
    if pinned.deletes:
        connection.register(f"_{name}", pinned.whole())
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM _{name} WHERE {record} < {limit}")
        return
    fields = ", ".join(
        f"{pinned.field_ids[column.name]}: {{name: '{column.name}', type: '{_DUCK_TYPES[column.type]}', default_value: NULL}}"
        for column in pinned.table.columns
    )
    read = f"read_parquet([{_paths(pinned)}], schema=MAP {{{fields}}})"
    connection.execute(f"CREATE VIEW {name} AS SELECT * FROM {read} WHERE {record} < {limit}")


def _lock(connection: duckdb.DuckDBPyConnection, pinned: Iterable[PinnedTable]) -> None:
    """Leave a connection the pinned files alone: no other file, no network, no spilling, and no way back."""
    files = ", ".join(paths for table in pinned if (paths := _paths(table)))
    connection.execute(f"SET allowed_paths=[{files}]")
    # The folder for spilling stays open to reading and writing, whatever else is closed.
    connection.execute("SET temp_directory=''")
    connection.execute("SET enable_external_access=false")
    connection.execute("SET lock_configuration=true")


def _paths(pinned: PinnedTable) -> str:
    return ", ".join(_quoted(str(local_path(file.file_path))) for file in pinned.files)


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
