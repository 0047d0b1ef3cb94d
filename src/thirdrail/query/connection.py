"""DuckDB connections that can read pinned files and nothing else."""

from collections.abc import Collection, Iterable, Sequence

import duckdb
from pyiceberg.manifest import DataFile

from thirdrail.model.tables import COMMITS, Column
from thirdrail.sinks.iceberg.files import is_local, local_path
from thirdrail.sinks.iceberg.reader import PinnedTable

_ENDLESS = (1 << 63) - 1
_PLACES = ("capture_log", "capture_offset", "restored_by_offset")
"""Columns by which a row's place in the log is told."""

_TYPES = {
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


def locked(read: Iterable[tuple[PinnedTable, Sequence[DataFile]]]) -> duckdb.DuckDBPyConnection:
    """Give a connection that can open some files and no other, no network, no spilling, and no way back."""
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone='UTC'")
    paths = ", ".join(_quoted(path) for table, files in read for path in _paths(table, files))
    connection.execute(f"SET allowed_paths=[{paths}]")
    # The folder for spilling stays open to reading and writing, whatever else is closed.
    connection.execute("SET temp_directory=''")
    connection.execute("SET enable_external_access=false")
    connection.execute("SET lock_configuration=true")
    return connection


def show(
    connection: duckdb.DuckDBPyConnection,
    table: PinnedTable,
    files: Sequence[DataFile],
    messages: PinnedTable,
    names: Collection[str] | None = None,
) -> None:
    """Give a connection a view of a table's files, the rows above the position that every table has reached left out.

    ``names``: the columns that are wanted, None for all. DuckDB binds a view anew wherever it is named, and takes 0.1 ms
    for a column. It reads files on this machine by itself, columns by field id: in a fifth to a tenth of the CPU that it
    costs to have Arrow read them (decision 12). Arrow hands over what lies elsewhere, or lost rows to another engine.
    """
    name = table.table.name
    is_restorable = "restored_by_offset" in table.table.names()
    record = "coalesce(restored_by_offset, capture_offset)" if is_restorable else "capture_offset"
    common = "true" if table.table is COMMITS else f"{record} < {_common_position(messages)}"
    paths = _paths(table, files)
    if paths:
        wanted = [column for column in table.table.columns if names is None or column.name in {*names, *_PLACES}]
        columns, source = _read_by_field_id(table, wanted, paths)
    else:
        columns, source = "*", f"_{name}"
        connection.register(source, table.whole() if table.deletes else table.dataset(files))
    connection.execute(f"CREATE VIEW {name} AS SELECT {columns} FROM {source} WHERE {common}")


def _read_by_field_id(table: PinnedTable, wanted: Sequence[Column], paths: Sequence[str]) -> tuple[str, str]:
    """Give what to select of a call of ``read_parquet``, and the call; what the table has not got yet is null."""
    columns, fields = [], []
    for column in wanted:
        field_id, type_ = table.field_ids.get(column.name), _TYPES[column.type]
        columns.append(column.name if field_id is not None else f"NULL::{type_} AS {column.name}")
        if field_id is not None:
            fields.append(f"{field_id}: {{name: '{column.name}', type: '{type_}', default_value: NULL}}")
    listed = ", ".join(map(_quoted, paths))
    return ", ".join(columns), f"read_parquet([{listed}], schema=MAP {{{', '.join(fields)}}}, hive_partitioning=false)"


def _paths(table: PinnedTable, files: Sequence[DataFile]) -> list[str]:
    """Give the paths of files that DuckDB can read by itself."""
    if table.deletes or not is_local(table.source.location()):
        return []
    return [str(local_path(file.file_path)) for file in files]


def _common_position(messages: PinnedTable) -> str:
    """Give the SQL of a row's limit: the position of its log that every table has reached.

    A log that ``feed_messages`` does not know yet has no such position. Rows without any position were
    written by another program, which left no way to tell what is complete.
    """
    if not messages.positions:
        return str(_ENDLESS if messages.files else 0)
    limits = " ".join(f"WHEN {_quoted(log_id)} THEN {end}" for (log_id, _), end in messages.positions.items())
    return f"CASE capture_log {limits} ELSE 0 END"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
