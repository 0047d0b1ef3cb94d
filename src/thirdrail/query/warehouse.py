"""SQL over the tables: read-only, one snapshot per table, up to a common position.

``feed_messages`` is committed last, so its position is one that every table has reached: rows above it are hidden
until their capture is complete everywhere.
"""

import re

import duckdb
import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError

from thirdrail.errors import NoDataYet, QueryError
from thirdrail.model.tables import FEED_MESSAGES, TABLES
from thirdrail.query.views import AS_OF_MACROS, PICTURES_AT, VIEWS
from thirdrail.schedule.stations import NAMES, subway_table
from thirdrail.sinks.iceberg.files import local_path
from thirdrail.sinks.iceberg.reader import PinnedTable, pin

_AS_OF = re.compile(r"\bas_of\s*\(\s*'(\w+)'\s*,", re.IGNORECASE)
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
        rewritten = _AS_OF.sub(r"\1_as_of(", query)
        try:
            return self._run(rewritten)
        except duckdb.IOException:
            return self._run(rewritten)
        except duckdb.Error as error:
            raise QueryError(str(error).strip()) from error

    def _run(self, query: str) -> pa.Table:
        with self.connect() as connection:
            return connection.sql(query).to_arrow_table()

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Give a DuckDB connection that holds the tables, views and macros, pinned; it cannot write to the disk."""
        pinned = self._pin()
        connection = duckdb.connect(":memory:")
        connection.execute("SET TimeZone='UTC'")
        common = {log_id: position for (log_id, _), position in pinned[FEED_MESSAGES.name].positions.items()}
        for name, table in pinned.items():
            _register(connection, name, table, common)
        for name in NAMES:
            connection.register(f"_{name}", subway_table(name))
            connection.execute(f"CREATE VIEW {name} AS SELECT * FROM _{name}")
        for macro in (PICTURES_AT, *AS_OF_MACROS):
            connection.execute(macro)
        for view in VIEWS:
            connection.execute(f"CREATE VIEW {view.name} AS {view.sql}")
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


def _register(connection: duckdb.DuckDBPyConnection, name: str, pinned: PinnedTable, common: dict[str, int]) -> None:
    """Make a view of one table's files, found by field id, with the rows above the common position left out."""
    if not pinned.files:
        connection.register(f"_{name}", pinned.table.arrow_schema.empty_table())
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM _{name}")
        return
    files = ", ".join(_quoted(str(local_path(file.file_path))) for file in pinned.files)
    fields = ", ".join(
        f"{place}: {{name: '{column.name}', type: '{_DUCK_TYPES[column.type]}', default_value: NULL}}"
        for place, column in enumerate(pinned.table.columns, start=1)
    )
    record = (
        "coalesce(restored_by_offset, capture_offset)"
        if "restored_by_offset" in pinned.table.names()
        else "capture_offset"
    )
    limits = " ".join(f"WHEN {_quoted(log_id)} THEN {position}" for log_id, position in common.items())
    where = f"WHERE {record} < CASE capture_log {limits} ELSE 9223372036854775807 END" if limits else ""
    connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet([{files}], schema=MAP {{{fields}}}) {where}")


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
