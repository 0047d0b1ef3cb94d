"""Who may do what: a service user with a key pair, a role that may insert, a role that may read."""

from collections.abc import Iterable

from thirdrail.model.tables import Table
from thirdrail.model.tables.doctor import DOCTOR
from thirdrail.sinks.snowflake.statements import MANAGED, STAGE, Names, Statement
from thirdrail.sinks.snowflake.tables_sql import files_pipe, streaming_pipe

_MAKE_KEY = """The key pair is made where Third Rail runs; the private half never leaves it:
  openssl genrsa 2048 | openssl pkcs8 -topk8 -v2 aes256 -inform PEM -out thirdrail_key.p8
  openssl rsa -in thirdrail_key.p8 -pubout -out thirdrail_key.pub
  grep -v PUBLIC thirdrail_key.pub | tr -d '\\n'
snowflake.private_key_path = "thirdrail_key.p8", its passphrase in SNOWFLAKE_PRIVATE_KEY_PASSPHRASE.
`thirdrail snowflake ddl --public-key thirdrail_key.pub` writes the next statement with the key in it."""

_SET_KEY = "ALTER USER {user} SET RSA_PUBLIC_KEY = '{key}'"

_ROTATION = """Another key without a pause (a user has two places for keys, and both are valid):
  1. ALTER USER {user} SET RSA_PUBLIC_KEY_2 = '<the new key>';
  2. point snowflake.private_key_path to the new file and restart; `thirdrail snowflake doctor` shows its fingerprint
  3. ALTER USER {user} UNSET RSA_PUBLIC_KEY;
  and the next time the other way round. DESC USER {user} shows both fingerprints."""


def identity_statements(names: Names) -> list[Statement]:
    """Give database, schema, roles and the user."""
    user, role, reader = names.user, names.role, names.reader
    return [
        Statement(f"CREATE DATABASE IF NOT EXISTS {names.database}"),
        Statement(f"CREATE SCHEMA IF NOT EXISTS {names.database}.{names.schema}"),
        Statement(f"CREATE ROLE IF NOT EXISTS {role} COMMENT = 'Third Rail: inserts, and nothing else'"),
        Statement(f"CREATE ROLE IF NOT EXISTS {reader} COMMENT = 'Third Rail: reads tables and views'"),
        Statement(
            f"CREATE USER IF NOT EXISTS {user}\n  TYPE = SERVICE\n  DEFAULT_ROLE = {role}\n"
            "  COMMENT = 'Third Rail: signs in with a key alone'",
            "TYPE = SERVICE: no password, no browser, no second factor; a key pair is all that it can use.",
        ),
        _key(names),
        Statement("", _ROTATION.format(user=user)),
        Statement(f"GRANT ROLE {role} TO USER {user}"),
        Statement(
            f"GRANT ROLE {reader} TO ROLE SYSADMIN", "So that administrators see the tables, as Snowflake advises."
        ),
    ]


def _key(names: Names) -> Statement:
    """Give the statement that sets the user's key; as a comment while no key is known, so that a script runs whole."""
    if names.public_key:
        return Statement(_SET_KEY.format(user=names.user, key=names.public_key), _MAKE_KEY)
    key = "<the key: one line, without BEGIN and END>"
    return Statement("", f"{_MAKE_KEY}\n{_SET_KEY.format(user=names.user, key=key)};")


def grants(tables: Iterable[Table], names: Names) -> list[Statement]:
    """Give what the two roles need, and no more: no OWNERSHIP, no warehouse, no SELECT for the writer."""
    role, reader = names.role, names.reader
    found = [
        Statement(f"GRANT USAGE ON DATABASE {names.database} TO ROLE {role}"),
        Statement(f"GRANT USAGE ON SCHEMA {names.database}.{names.schema} TO ROLE {role}"),
    ]
    if names.external_volume != MANAGED:
        found.append(Statement(f"GRANT USAGE ON EXTERNAL VOLUME {names.external_volume} TO ROLE {role}"))
    found += stage_grants(names)
    found += [
        Statement(f"GRANT USAGE ON DATABASE {names.database} TO ROLE {reader}"),
        Statement(f"GRANT USAGE ON SCHEMA {names.database}.{names.schema} TO ROLE {reader}"),
    ]
    if names.warehouse:
        found.append(Statement(f"GRANT USAGE ON WAREHOUSE {names.warehouse} TO ROLE {reader}"))
    for table in tables:
        found += table_grants(table, names)
    return found


def stage_grants(names: Names) -> list[Statement]:
    """Give the grants on the stage of files."""
    return [
        Statement(
            f"GRANT READ ON STAGE {names.of(STAGE)} TO ROLE {names.role}",
            "Method snowpipe alone: WRITE puts and removes files, and Snowflake wants READ to be granted first.\n"
            "PUT, LIST and REMOVE need no warehouse.",
        ),
        Statement(f"GRANT WRITE ON STAGE {names.of(STAGE)} TO ROLE {names.role}"),
    ]


def table_grants(table: Table, names: Names) -> list[Statement]:
    """Give the grants on one table and its pipes."""
    name = names.of(table.name.upper())
    return [
        Statement(f"GRANT INSERT ON TABLE {name} TO ROLE {names.role}"),
        Statement(f"GRANT SELECT ON TABLE {name} TO ROLE {names.reader}"),
        *pipe_grants(table, names),
    ]


def pipe_grants(table: Table, names: Names) -> list[Statement]:
    """Give the grants on the pipes of a table; a pipe that is replaced has lost them."""
    found = []
    if not names.default_pipes:
        found.append(Statement(f"GRANT OPERATE ON PIPE {names.of(streaming_pipe(table))} TO ROLE {names.role}"))
    if table is not DOCTOR:
        # OPERATE submits files, MONITOR reads what became of them.
        pipe = names.of(files_pipe(table))
        found += [Statement(f"GRANT {right} ON PIPE {pipe} TO ROLE {names.role}") for right in ("OPERATE", "MONITOR")]
    return found
