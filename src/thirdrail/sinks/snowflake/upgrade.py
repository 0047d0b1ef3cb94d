"""What an upgrade changes in Snowflake: from the tables of an older version to those of this one."""

import re
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from thirdrail.errors import NoInput, SchemaMismatch
from thirdrail.model.tables import Table
from thirdrail.sinks.snowflake.access_sql import pipe_grants, table_grants
from thirdrail.sinks.snowflake.monitoring_sql import view_grants, views
from thirdrail.sinks.snowflake.statements import Names, Statement, literal, script
from thirdrail.sinks.snowflake.tables_sql import SNOWFLAKE_TABLES, create_pipes, create_table
from thirdrail.sinks.snowflake.types import column_type

_WIDER = {("INT", "LONG"), ("FLOAT", "DOUBLE")}
_TABLE = re.compile(r"CREATE ICEBERG TABLE IF NOT EXISTS \S*?(\w+) \(\n(.*?)\n\)\n", re.DOTALL)
_COLUMN = re.compile(r"^ {4}(\w+) (.+?)( NOT NULL)? COMMENT '", re.MULTILINE)

_HAND_OVER = """The column list of a pipe cannot be altered: the pipe is replaced, and that makes it another pipe. Its
channels, their offset tokens, its load history and its grants are gone. Third Rail refuses to go on without tokens
rather than load rows twice, so hand them over:
  1. stop `run` (Ctrl-C, or `./deploy.sh stop`)
  2. thirdrail snowflake status --json > before.json    -- through the OLD pipes; again after a minute, until it is the
     same as before: what was sent is then committed
  3. run this script
  4. thirdrail snowflake channels restore before.json   -- opens each channel with the token that it had
  5. start `run` of the new version
No account has confirmed here that a first token given at opening is kept; `channels restore` reads it back and says.
Snowflake documents SYSTEM$SNOWPIPE_STREAMING_UPDATE_CHANNEL_OFFSET_TOKEN(table, channel, token) for the same end."""


class OldColumn(msgspec.Struct, frozen=True):
    """A column as an older version declared it."""

    name: str
    type: str
    required: bool = False


class OldTable(msgspec.Struct, frozen=True):
    """A table as an older version declared it."""

    table: str
    columns: list[OldColumn]


class Change(NamedTuple):
    """What becomes of a table that was there before."""

    table: Table
    statements: list[Statement]
    is_other_list: bool
    """Whether the column list, or a cast, of its pipes is another one."""


def read_old(text: str, where: str) -> list[OldTable]:
    """Give the tables of an older version, from what its ``ddl`` or ``ddl --json`` printed.

    Raises:
        NoInput: it is neither.
    """
    if text.lstrip().startswith("["):
        try:
            return msgspec.json.decode(text, type=list[OldTable])
        except msgspec.MsgspecError as error:
            raise NoInput(f"{where} is not what `thirdrail snowflake ddl --json` prints: {error}") from error
    found = [
        OldTable(name.lower(), [OldColumn(each[0], each[1], bool(each[2])) for each in _COLUMN.findall(body)])
        for name, body in _TABLE.findall(text)
    ]
    if not found:
        raise NoInput(f"{where} names no tables", hint="give what `thirdrail snowflake ddl` of that version printed")
    return found


def upgrade(old: Iterable[OldTable], names: Names, tables: Iterable[Table] = SNOWFLAKE_TABLES) -> str:
    """Give the script that brings the tables of an older version to this one; a comment alone when nothing differs.

    Nothing is dropped: a column that is no longer written stays, and may be null from now on.

    Raises:
        SchemaMismatch: a type changed in a way that loses values.
    """
    before = {each.table: each for each in old}
    wanted = tuple(tables)
    new = [table for table in wanted if table.name not in before]
    changes = [_change(before[table.name], table, names) for table in wanted if table.name in before]
    replaced = [change.table for change in changes if change.is_other_list]
    parts = [
        ("Columns", [statement for change in changes for statement in change.statements]),
        ("New tables", [statement for table in new for statement in _made(table, names)]),
        ("Pipes", _replaced(replaced, names)),
    ]
    if not any(statements for _, statements in parts):
        return "-- Nothing differs: the tables are those of this version.\n"
    return script([*parts, ("Views", [*views(names), *view_grants(names)])])


def _made(table: Table, names: Names) -> list[Statement]:
    return [*create_table(table, names), *create_pipes([table], names), *table_grants(table, names)]


def _replaced(tables: list[Table], names: Names) -> list[Statement]:
    statements = create_pipes(tables, names, replace=True)
    if not statements:
        return []
    granted = [statement for table in tables for statement in pipe_grants(table, names)]
    return [Statement("", _HAND_OVER), *statements, *granted]


def _change(old: OldTable, table: Table, names: Names) -> Change:
    before = {column.name: column for column in old.columns}
    alter = f"ALTER ICEBERG TABLE {names.of(table.name.upper())}"
    found: list[Statement] = []
    is_other_list = False
    for column in table.columns:
        was, kind = before.pop(column.name, None), column_type(column)
        if was is None:
            is_other_list = True
            found.append(Statement(f"{alter} ADD COLUMN IF NOT EXISTS {column.name} {kind}"))
            found.append(Statement(f"{alter} ALTER COLUMN {column.name} COMMENT {literal(column.meaning)}"))
            continue
        if was.type != kind:
            is_other_list = True
            found.append(Statement(_widened(alter, table, column.name, was.type, kind)))
        if was.required and not column.required:
            found.append(Statement(f"{alter} ALTER COLUMN {column.name} DROP NOT NULL"))
    for gone in before.values():
        is_other_list = True
        if gone.required:
            found.append(Statement(f"{alter} ALTER COLUMN {gone.name} DROP NOT NULL", "No longer written; it stays."))
    return Change(table, found, is_other_list)


def _widened(alter: str, table: Table, name: str, was: str, kind: str) -> str:
    if (was, kind) not in _WIDER:
        raise SchemaMismatch(
            f"{table.name}.{name} was {was} and is {kind}: values would be lost",
            hint="this is a defect of Third Rail: a column of another meaning needs another name",
        )
    return f"{alter} ALTER COLUMN {name} SET DATA TYPE {kind}"
