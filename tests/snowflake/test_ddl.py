"""The generated SQL: the very text, run where a stand-in can, parsed where it cannot, and said where neither can."""

import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fakesnow
import pytest
import snowflake.connector
import sqlglot
from click.testing import CliRunner
from snowflake.connector.cursor import SnowflakeCursor
from sqlglot import exp

from thirdrail.cli.main import commands
from thirdrail.config.settings import SnowflakeConfig
from thirdrail.errors import ConfigError
from thirdrail.model.tables import FEED_MESSAGES, TABLES
from thirdrail.sinks.snowflake.ddl import ddl, statements
from thirdrail.sinks.snowflake.statements import Names, names_of
from thirdrail.sinks.snowflake.tables_sql import SNOWFLAKE_TABLES

# What DuckDB says to fakesnow of how fakesnow uses it.
pytestmark = pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result")

GOLDEN = Path(__file__).parent / "golden.sql"
AT = datetime(2026, 7, 1, 12, 0, 30, tzinfo=UTC)
NAMES = names_of(SnowflakeConfig(), {})

# Statements that neither fakesnow runs nor sqlglot understands: nothing here but an account has an opinion on them.
UNTRIED = {
    "CREATE ROLE IF NOT EXISTS": 2,
    "CREATE USER IF NOT EXISTS": 1,
    "GRANT ROLE": 2,
    "GRANT OPERATE ON PIPE": 33,
    "GRANT MONITOR ON PIPE": 16,
    "CREATE PIPE IF NOT EXISTS, up to AS": 33,
}
# Words that Snowflake does not take as a column's name without quotes (its page "Reserved & limited keywords").
RESERVED = frozenset(
    re.findall(
        r"\w+",
        """account all alter and any as between by case cast check column connect connection constraint create cross
    current current_date current_time current_timestamp current_user database delete distinct drop else exists false
    following for from full grant group gscluster having ilike in increment inner insert intersect into is issue join
    lateral left like localtime localtimestamp minus natural not null of on or order organization qualify regexp revoke
    right rlike row rows sample schema select set some start table tablesample then to trigger true try_cast union
    unique update using values view when whenever where with""",
    )
)


@pytest.fixture
def cursor() -> Iterator[SnowflakeCursor]:
    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    with fakesnow.patch():
        yield snowflake.connector.connect(database="MTA", schema="REALTIME").cursor()


def _for_fakesnow(statement: str) -> str:
    """Leave out a table's comment: fakesnow 0.12.1 puts it into SQL of its own without doubling the quotes."""
    if statement.startswith("CREATE ICEBERG TABLE"):
        return statement[: statement.rindex("\n  COMMENT = ")]
    return statement


def _run(cursor: SnowflakeCursor, names: Names = NAMES) -> list[str]:
    """Run what can be run; give what could not."""
    left = []
    for statement in statements(names):
        try:
            cursor.execute(_for_fakesnow(statement))
        except Exception:  # noqa: BLE001 - whatever it stumbles over, the statement was not run
            left.append(statement)
    return left


def _is_parsed(sql: str) -> bool:
    return not isinstance(sqlglot.parse_one(sql, read="snowflake"), exp.Command)


def test_the_script_is_the_one_that_was_reviewed() -> None:
    """After a change that is meant: ``snowflake ddl > tests/snowflake/golden.sql``, and read the difference."""
    assert ddl(NAMES) == GOLDEN.read_text()


def test_the_command_prints_the_script_without_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE", "SCHEMA", "USER", "ROLE", "WAREHOUSE"):
        monkeypatch.delenv(f"SNOWFLAKE_{name}", raising=False)
    done = CliRunner().invoke(commands, ["snowflake", "ddl"])
    assert done.exit_code == 0, done.output
    assert done.output == GOLDEN.read_text()


def test_every_statement_is_run_or_parsed_or_listed_as_untried(cursor: SnowflakeCursor) -> None:
    untried: dict[str, int] = {}
    for statement in _run(cursor):
        head, _, body = statement.partition("\nAS\n")
        if body:
            assert _is_parsed(body), body
        if not _is_parsed(statement):
            kind = next((kind for kind in UNTRIED if head.startswith(kind.partition(",")[0])), statement)
            untried[kind] = untried.get(kind, 0) + 1
    assert untried == UNTRIED


def test_tables_stage_and_views_really_run_and_running_them_twice_keeps_the_rows(cursor: SnowflakeCursor) -> None:
    left = _run(cursor)
    assert not [each for each in left if re.match(r"CREATE (ICEBERG|STAGE|OR REPLACE VIEW|DATABASE|SCHEMA)", each)]
    cursor.execute("INSERT INTO THIRDRAIL_DOCTOR (run_id, row_number, sent_at) SELECT 'a', 0, CURRENT_TIMESTAMP()")

    assert _run(cursor) == left
    assert cursor.execute("SELECT COUNT(*) FROM THIRDRAIL_DOCTOR").fetchone() == (1,)  # type: ignore[union-attr]


def test_nothing_is_dropped_and_nothing_that_holds_data_or_tokens_is_replaced() -> None:
    for statement in statements(NAMES):
        assert not re.search(r"\b(DROP|TRUNCATE|DELETE)\b", re.sub(r"'(?:[^']|'')*'", "", statement)), statement
        if "OR REPLACE" in statement:
            assert statement.startswith("CREATE OR REPLACE VIEW"), statement
        elif statement.startswith("CREATE"):
            assert "IF NOT EXISTS" in statement.partition("\n")[0], statement


def test_every_column_is_in_its_table_and_in_both_pipes_in_the_same_order() -> None:
    pipes = [each for each in statements(NAMES) if each.startswith("CREATE PIPE")]
    for table in TABLES:
        mine = [each for each in pipes if f"\nCOPY INTO MTA.REALTIME.{table.name.upper()} (" in each]
        assert len(mine) == 2
        for pipe in mine:
            body = pipe.partition("\nAS\n")[2]
            listed = re.findall(r"^    (\w+),?$", body, re.MULTILINE)
            read = re.findall(r"^    \$1:(\w+)::", body, re.MULTILINE)
            assert listed == read == table.names()


def test_no_column_has_a_name_that_needs_quotes() -> None:
    names = {name for table in SNOWFLAKE_TABLES for name in table.names()}
    assert not names & RESERVED
    assert all(re.fullmatch(r"[a-z_][a-z0-9_]*", name) for name in names)


def test_the_writer_may_insert_and_operate_and_nothing_else() -> None:
    granted = {
        re.sub(r"MTA\S*", "…", each.removeprefix("GRANT ").partition(" TO ROLE")[0])
        for each in statements(NAMES)
        if each.endswith("TO ROLE THIRDRAIL_INGEST")
    }
    assert granted == {
        "USAGE ON DATABASE …",
        "USAGE ON SCHEMA …",
        "READ ON STAGE …",
        "WRITE ON STAGE …",
        "INSERT ON TABLE …",
        "OPERATE ON PIPE …",
        "MONITOR ON PIPE …",
    }


def _invoke(*arguments: str) -> Any:
    return CliRunner().invoke(commands, ["snowflake", "ddl", *arguments])


def test_switches_change_what_they_say(tmp_path: Path) -> None:
    assert "PARTITION BY" not in _invoke().output
    assert _invoke("--partitioned").output.count("PARTITION BY (DAY(fetched_at))") == len(TABLES)
    default = _invoke("--default-pipes").output
    assert "_FILES_PIPE" in default
    assert "DATA_SOURCE" not in default
    assert "<TABLE>-STREAMING" in default
    own = _invoke("--external-volume", "my_vol", "--warehouse", "wh").output
    assert "EXTERNAL_VOLUME = 'MY_VOL'\n  BASE_LOCATION = 'thirdrail/realtime/trip_updates/'" in own
    assert "GRANT USAGE ON EXTERNAL VOLUME MY_VOL TO ROLE THIRDRAIL_INGEST;" in own
    assert "GRANT USAGE ON WAREHOUSE WH TO ROLE THIRDRAIL_INGEST_READER;" in own
    key = tmp_path / "key.pub"
    key.write_text("-----BEGIN PUBLIC KEY-----\nMIIB\nIjAN\n-----END PUBLIC KEY-----\n")
    assert "\nALTER USER THIRDRAIL_SVC SET RSA_PUBLIC_KEY = 'MIIBIjAN';\n" in _invoke("--public-key", str(key)).output


def test_a_private_key_is_not_printed(tmp_path: Path) -> None:
    key = tmp_path / "key.p8"
    key.write_text("-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----\n")
    done = _invoke("--public-key", str(key))
    assert done.exit_code != 0
    assert "SECRET" not in f"{done.output}{done.exception}"


def test_a_name_that_would_need_quotes_is_refused() -> None:
    with pytest.raises(ConfigError, match="no plain name"):
        names_of(SnowflakeConfig(), {}, {"schema": "a; DROP TABLE b"})


def test_names_come_from_the_option_then_the_configuration_then_the_environment() -> None:
    environment = {"SNOWFLAKE_DATABASE": "env_db", "SNOWFLAKE_SCHEMA": "env_schema", "SNOWFLAKE_ROLE": "env_role"}
    names = names_of(SnowflakeConfig(schema="conf", role="conf_role"), environment, {"role": "given"})
    assert (names.database, names.schema, names.role) == ("ENV_DB", "CONF", "GIVEN")


def _poll(cursor: SnowflakeCursor, feed: str, minutes: int, **values: Any) -> None:
    """Insert one row of feed_messages; counts are 0 unless given."""
    row: dict[str, Any] = {}
    for column in FEED_MESSAGES.columns:
        if column.required:
            row[column.name] = {"string": "x", "boolean": True}.get(column.type, 0)
    row |= {"feed_id": feed, "feed_family": feed, "outcome": "ok", "body_sha256": "s", "wire_bytes": 100}
    row |= {"fetched_at": AT + timedelta(minutes=minutes)} | values
    row = {name: value for name, value in row.items() if not name.startswith("dq_") and name != "rule_counts"}
    names = ", ".join([*row, "dq_flags", "rule_counts"])
    marks = ", ".join(["%s"] * len(row))
    cursor.execute(
        f"INSERT INTO FEED_MESSAGES ({names}) SELECT {marks}, ARRAY_CONSTRUCT(), ARRAY_CONSTRUCT()",
        tuple(value.isoformat() if isinstance(value, datetime) else value for value in row.values()),
    )


def test_the_views_give_the_right_numbers_over_inserted_rows(cursor: SnowflakeCursor) -> None:
    _run(cursor)
    _poll(cursor, "subway", 0, trip_updates_passed=90, stop_time_updates_passed=9, trip_updates_written=5)
    _poll(cursor, "subway", 0, alerts_quarantined=1, vehicle_positions_removed=2, outcome="ok")
    _poll(cursor, "subway", 1, trip_updates_passed=50, trip_updates_quarantined=50)
    _poll(cursor, "subway", 70, outcome="decode_error")
    _poll(cursor, "bus", 0, outcome="http_error", body_sha256=None, wire_bytes=None)

    quality = cursor.execute(
        "SELECT feed_id, rows_passed, rows_refused, row_score, messages, messages_refused, message_score "
        "FROM THIRDRAIL_QUALITY ORDER BY feed_id, hour"
    ).fetchall()  # type: ignore[union-attr]
    assert [tuple(None if value is None else round(float(value), 4) for value in row[1:]) for row in quality] == [
        (0, 0, None, 0, 0, None),
        (149, 51, 0.745, 3, 0, 1),
        (0, 0, None, 1, 1, 0),
    ]
    throughput = cursor.execute(
        "SELECT feed_family, polls, rows_in_pictures, rows_written, removals_written, wire_bytes "
        "FROM THIRDRAIL_THROUGHPUT ORDER BY feed_family, minute"
    ).fetchall()  # type: ignore[union-attr]
    assert [tuple(row) for row in throughput] == [
        ("bus", 1, 0, 0, 0, None),
        ("subway", 2, 99, 5, 2, 200),
        ("subway", 1, 50, 0, 0, 100),
        ("subway", 1, 0, 0, 0, 100),
    ]
    ages = cursor.execute("SELECT feed_id, age_s FROM THIRDRAIL_FRESHNESS ORDER BY feed_id").fetchall()  # type: ignore[union-attr]
    assert ages[0][1] - ages[1][1] == 70 * 60
    delays = cursor.execute("SELECT COUNT(*) FROM THIRDRAIL_DELAYS").fetchone()  # type: ignore[union-attr]
    assert delays == (4,)


def test_tables_of_every_switch_are_parsed_as_well() -> None:
    names = replace(names_of(SnowflakeConfig(), {}, {"external_volume": "vol"}), partitioned=True, default_pipes=True)
    tables = [each for each in statements(names) if each.startswith("CREATE ICEBERG TABLE")]
    assert len(tables) == len(SNOWFLAKE_TABLES)
    for statement in tables:
        made = sqlglot.parse_one(statement, read="snowflake")
        assert isinstance(made, exp.Create), statement
        assert made.find(exp.PartitionedByProperty) or "THIRDRAIL_DOCTOR" in statement
