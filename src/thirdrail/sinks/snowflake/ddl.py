"""All SQL of an installation, in the order in which it is run, and the tables as data for a later ``--diff``."""

from collections.abc import Iterable
from typing import Any

from thirdrail.model.tables import Table
from thirdrail.sinks.snowflake.access_sql import grants, identity_statements
from thirdrail.sinks.snowflake.monitoring_sql import view_grants, views
from thirdrail.sinks.snowflake.statements import Names, Statement, script
from thirdrail.sinks.snowflake.tables_sql import SNOWFLAKE_TABLES, create_pipes, create_stage, create_table
from thirdrail.sinks.snowflake.types import column_type

_HEAD = """Made by `thirdrail snowflake ddl`; docs/snowflake.md goes through it statement by statement.
Run it as a role that may make databases, roles and users (ACCOUNTADMIN, or SYSADMIN + SECURITYADMIN), as often as you
like: nothing is dropped and no table or pipe is replaced. Upgrades: `thirdrail snowflake ddl --diff THIS_FILE`.

ENABLE_ICEBERG_STREAMING is not here and is not needed: it is a property of the *client* of the older streaming SDK
(Java, "classic"), not an option of a table. Channels through pipes write Iceberg tables without it."""

_DEFAULT_PIPES = """Channels use the default pipes, which Snowflake makes by itself on first use, one per table:
  <TABLE>-STREAMING, columns by name, no casts. They cannot be altered or dropped and need no OPERATE."""


def parts(names: Names, tables: Iterable[Table] = SNOWFLAKE_TABLES) -> list[tuple[str, list[Statement]]]:
    """Give titled parts of statements."""
    wanted = tuple(tables)
    return [
        ("Third Rail in Snowflake", [Statement("", _HEAD)]),
        ("Who, and where", identity_statements(names)),
        ("Tables", [statement for table in wanted for statement in create_table(table, names)]),
        ("Stage and pipes", [*_pipes_note(names), create_stage(names), *create_pipes(wanted, names)]),
        ("Views", views(names)),
        ("Grants", [*grants(wanted, names), *view_grants(names)]),
    ]


def _pipes_note(names: Names) -> list[Statement]:
    return [Statement("", _DEFAULT_PIPES)] if names.default_pipes else []


def ddl(names: Names, tables: Iterable[Table] = SNOWFLAKE_TABLES) -> str:
    """Give the whole script."""
    return script(parts(names, tables))


def statements(names: Names, tables: Iterable[Table] = SNOWFLAKE_TABLES) -> list[str]:
    """Give the statements alone."""
    return [statement.sql for _, each in parts(names, tables) for statement in each if statement.sql]


def described(tables: Iterable[Table] = SNOWFLAKE_TABLES) -> list[dict[str, Any]]:
    """Give the tables as data: what ``ddl --json`` prints and ``ddl --diff`` reads."""
    return [
        {
            "table": table.name,
            "columns": [
                {"name": column.name, "type": column_type(column), "required": column.required}
                for column in table.columns
            ],
        }
        for table in tables
    ]
