"""What an emulator's folder holds, for queries, beside a server that writes it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import duckdb
import msgspec
import polars as pl
import pyarrow as pa

from thirdrail.emulator.rows import Column, Judge
from thirdrail.emulator.storage import CHANNEL, TABLES
from thirdrail.errors import NoDataYet, QueryError


def connected(folder: Path) -> duckdb.DuckDBPyConnection:
    """Give a connection that sees every table as it is now.

    Beside them ``refused`` rows, ``channels``, and the files that were ``submitted`` to pipes.

    Raises:
        NoDataYet: no emulator has served from there.
    """
    if not (folder / TABLES).exists():
        raise NoDataYet(f"{folder} holds nothing of an emulator", hint="thirdrail emulator serve --data DIR")
    tables = msgspec.json.decode((folder / TABLES).read_bytes(), type=dict[str, dict[str, Column]])
    connection = duckdb.connect()
    connection.execute("SET TimeZone='UTC'")
    with closing(sqlite3.connect(f"file:{folder.absolute() / 'emulator.sqlite'}?mode=ro", uri=True)) as db:
        files = db.execute("SELECT tbl, name FROM files ORDER BY id").fetchall()
        for view in ("channels", "refused", "submitted"):
            cursor = db.execute(f"SELECT * FROM {view}")  # noqa: S608 - named here
            _register(connection, view, [each[0] for each in cursor.description], cursor.fetchall())
    for table, columns in tables.items():
        names = [str(folder.absolute() / name) for tbl, name in files if tbl == table]
        if names:
            connection.from_parquet(names).create_view(table)
        else:
            empty = Judge(table, columns).empty
            connection.register(table, empty.with_columns(**{CHANNEL: empty[:, 0].cast(str)}).to_arrow())
    return connection


def _register(
    connection: duckdb.DuckDBPyConnection, name: str, columns: list[str], rows: list[tuple[object, ...]]
) -> None:
    connection.register(name, pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None).to_arrow())


def query(folder: Path, sql: str) -> pa.Table:
    """Give the answer to a query.

    Raises:
        QueryError: it does not run.
        NoDataYet: no emulator has served from there.
    """
    try:
        return connected(folder).sql(sql).to_arrow_table()
    except (duckdb.Error, AttributeError) as error:  # None for what gives no rows
        raise QueryError(f"the query does not run: {error}") from error
