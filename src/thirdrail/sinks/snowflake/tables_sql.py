"""Tables, pipes and the stage, from the declarations."""

from collections.abc import Iterable

from thirdrail.model.tables import TABLES, Column, Table
from thirdrail.model.tables.doctor import DOCTOR
from thirdrail.sinks.snowflake.account import pipe_name
from thirdrail.sinks.snowflake.statements import MANAGED, STAGE, Names, Statement, literal
from thirdrail.sinks.snowflake.types import cast_type, column_type

SNOWFLAKE_TABLES: tuple[Table, ...] = (*TABLES, DOCTOR)
"""All tables of our schema."""

RETENTION_DAYS = 1
"""Time travel keeps every file that compaction replaced for so long: more days are so many copies of a busy table.
Our own log can fill a table again (`thirdrail rebuild`), so that one day, Snowflake's default, is enough."""


def files_pipe(table: Table) -> str:
    """Give the pipe that loads a table's staged files (method `snowpipe`)."""
    return f"{table.name.upper()}_FILES_PIPE"


def streaming_pipe(table: Table) -> str:
    """Give the pipe that `snowflake ddl` makes for a table's channels (method `snowpipe_streaming`)."""
    return pipe_name(table.name, default_pipes=False)


def columns_sql(table: Table) -> list[str]:
    """Give the columns as they are declared, one a line."""
    return [column_sql(column) for column in table.columns]


def column_sql(column: Column) -> str:
    """Give one column with its type and meaning."""
    must = " NOT NULL" if column.required else ""
    return f"{column.name} {column_type(column)}{must} COMMENT {literal(column.meaning)}"


def create_table(table: Table, names: Names) -> list[Statement]:
    """Give the statements that make a table and keep what it refuses."""
    columns = ",\n    ".join(columns_sql(table))
    options = ["CATALOG = 'SNOWFLAKE'", f"EXTERNAL_VOLUME = '{names.external_volume}'"]
    if names.external_volume != MANAGED:
        options.append(f"BASE_LOCATION = 'thirdrail/{names.schema.lower()}/{table.name}/'")
    options += [
        "ICEBERG_VERSION = 2",
        f"DATA_RETENTION_TIME_IN_DAYS = {RETENTION_DAYS}",
        f"COMMENT = {literal(table.meaning)}",
    ]
    if names.partitioned and "fetched_at" in table.names():
        options.insert(0, "PARTITION BY (DAY(fetched_at))")
    body = "\n  ".join(options)
    name = names.of(table.name.upper())
    return [
        Statement(f"CREATE ICEBERG TABLE IF NOT EXISTS {name} (\n    {columns}\n)\n  {body}"),
        Statement(f"ALTER TABLE {name} SET ERROR_LOGGING = TRUE"),
    ]


def create_streaming_pipe(table: Table, names: Names, *, replace: bool = False) -> Statement:
    """Give the pipe of a table's channels: every column by name, each cast once."""
    return Statement(
        f"{_create_pipe(replace=replace)} {names.of(streaming_pipe(table))}\n"
        f"  COMMENT = {literal(f'Third Rail: channels into {table.name}')}\nAS\n"
        + _copy(table, names, "TABLE(DATA_SOURCE(TYPE => 'STREAMING'))")
    )


def create_files_pipe(table: Table, names: Names, *, replace: bool = False) -> Statement:
    """Give the pipe that loads Parquet files from the stage, when it is told of them.

    A file is loaded whole or not at all: half a file would leave no position to go on from.
    """
    where = f"@{names.of(STAGE)}/{names.deployment}/{table.name}/"
    options = "\nFILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)\nON_ERROR = SKIP_FILE"
    return Statement(
        f"{_create_pipe(replace=replace)} {names.of(files_pipe(table))}\n"
        f"  COMMENT = {literal(f'Third Rail: staged files into {table.name}')}\nAS\n"
        + _copy(table, names, where)
        + options
    )


def _create_pipe(*, replace: bool) -> str:
    return "CREATE OR REPLACE PIPE" if replace else "CREATE PIPE IF NOT EXISTS"


def _copy(table: Table, names: Names, source: str) -> str:
    columns = ",\n    ".join(table.names())
    values = ",\n    ".join(f"$1:{column.name}::{cast_type(column)}" for column in table.columns)
    return (
        f"COPY INTO {names.of(table.name.upper())} (\n    {columns}\n)\n"
        f"FROM (\n  SELECT\n    {values}\n  FROM {source}\n)"
    )


def create_stage(names: Names) -> Statement:
    """Give the stage for files of the method `snowpipe`."""
    return Statement(
        f"CREATE STAGE IF NOT EXISTS {names.of(STAGE)}\n"
        "  FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)\n"
        "  COMMENT = 'Third Rail: micro-batches on their way; each is removed when it is loaded'"
    )


def create_pipes(tables: Iterable[Table], names: Names, *, replace: bool = False) -> list[Statement]:
    """Give both pipes of each table; none for channels where Snowflake's default pipes are used."""
    found: list[Statement] = []
    for table in tables:
        if not names.default_pipes:
            found.append(create_streaming_pipe(table, names, replace=replace))
        if table is not DOCTOR:
            found.append(create_files_pipe(table, names, replace=replace))
    return found
