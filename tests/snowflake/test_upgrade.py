"""``ddl --diff``: what an upgrade changes, so that the tables end as the new version declares them."""

import re
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from thirdrail.cli.main import commands
from thirdrail.config.settings import SnowflakeConfig
from thirdrail.errors import NoInput, SchemaMismatch
from thirdrail.model.tables import TABLES, Column, Table
from thirdrail.sinks.snowflake.ddl import ddl, described
from thirdrail.sinks.snowflake.statements import names_of
from thirdrail.sinks.snowflake.tables_sql import SNOWFLAKE_TABLES
from thirdrail.sinks.snowflake.upgrade import OldColumn, OldTable, read_old, upgrade

NAMES = names_of(SnowflakeConfig(), {})
NOTHING = "-- Nothing differs: the tables are those of this version.\n"
NOW = read_old(ddl(NAMES), "now")


def _applied(old: list[OldTable], script: str) -> dict[str, dict[str, str]]:
    """The tables after a script: what a database would do with its CREATEs and ALTERs, and with no other statement."""
    tables = {each.table: {column.name: column.type for column in each.columns} for each in old}
    for made in read_old(script, "script") if "CREATE ICEBERG TABLE" in script else []:
        tables.setdefault(made.table, {column.name: column.type for column in made.columns})
    alter = re.compile(
        r"^ALTER ICEBERG TABLE MTA\.REALTIME\.(\w+) (ADD COLUMN IF NOT EXISTS|ALTER COLUMN) (\w+) (.*);$"
    )
    for line in script.splitlines():
        if found := alter.match(line):
            columns, name = tables[found[1].lower()], found[3]
            if found[2].startswith("ADD"):
                columns.setdefault(name, found[4])
            elif found[4].startswith("SET DATA TYPE "):
                assert name in columns
                columns[name] = found[4].removeprefix("SET DATA TYPE ")
    return tables


def _wanted() -> dict[str, dict[str, str]]:
    return {each.table: {column.name: column.type for column in each.columns} for each in NOW}


@st.composite
def older(draw: st.DrawFn) -> list[OldTable]:
    """Today's tables without some columns, some of them narrower, and without some tables."""
    found = []
    for each in NOW:
        if draw(st.integers(0, 9)) == 0:
            continue
        dropped = draw(st.sets(st.sampled_from(range(len(each.columns))), max_size=4))
        narrow = {"LONG": "INT", "DOUBLE": "FLOAT"} if draw(st.booleans()) else {}
        columns = [
            OldColumn(column.name, narrow.get(column.type, column.type), column.required)
            for place, column in enumerate(each.columns)
            if place not in dropped
        ]
        found.append(OldTable(each.table, columns))
    return found


@settings(max_examples=60, deadline=None)
@given(older())
def test_any_older_tables_become_those_of_this_version(old: list[OldTable]) -> None:
    script = upgrade(old, NAMES)
    assert _applied(old, script) == _wanted()
    assert not re.search(r"^(DROP|CREATE OR REPLACE (ICEBERG )?TABLE)", script, re.MULTILINE)
    assert upgrade(read_old(msgspec.json.encode(described()).decode(), "x"), NAMES) == NOTHING


def test_a_printout_reads_back_as_sql_and_as_json() -> None:
    from_json = read_old(msgspec.json.encode(described()).decode(), "x")
    assert from_json == NOW
    assert [each.table for each in NOW] == [table.name for table in SNOWFLAKE_TABLES]


def test_what_did_not_change_needs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "old.sql"
    path.write_text(ddl(NAMES))
    done = CliRunner().invoke(commands, ["snowflake", "ddl", "--diff", str(path)])
    assert done.output == NOTHING


def _without(name: str) -> list[OldTable]:
    return [
        OldTable(each.table, [column for column in each.columns if (each.table, column.name) != ("alerts", name)])
        for each in NOW
    ]


def test_a_new_column_replaces_both_pipes_of_its_table_grants_them_again_and_tells_of_the_hand_over() -> None:
    script = upgrade(_without("alert_class"), NAMES)
    assert re.findall(r"^CREATE OR REPLACE PIPE (\S+)", script, re.MULTILINE) == [
        "MTA.REALTIME.ALERTS_PIPE",
        "MTA.REALTIME.ALERTS_FILES_PIPE",
    ]
    assert "GRANT OPERATE ON PIPE MTA.REALTIME.ALERTS_PIPE TO ROLE THIRDRAIL_INGEST;" in script
    assert "channels restore before.json" in script
    # A NOT NULL column cannot be added to a table that holds rows; our rows always have the value.
    assert "ADD COLUMN IF NOT EXISTS alert_class VARCHAR;" in script


def test_default_pipes_take_columns_by_name_and_are_not_replaced() -> None:
    names = names_of(SnowflakeConfig(default_pipes=True), {})
    script = upgrade(_without("alert_class"), names)
    assert re.findall(r"^CREATE OR REPLACE PIPE (\S+)", script, re.MULTILINE) == ["MTA.REALTIME.ALERTS_FILES_PIPE"]


def test_a_column_that_is_no_longer_written_stays_and_may_be_null() -> None:
    old = [OldTable(each.table, [*each.columns, OldColumn("gone", "VARCHAR", required=True)]) for each in NOW[:1]]
    script = upgrade([*old, *NOW[1:]], NAMES)
    assert "ALTER COLUMN gone DROP NOT NULL;" in script
    assert "DROP COLUMN" not in script


def test_a_type_that_loses_values_is_refused() -> None:
    table = Table("t", "x", (Column("a", "int", "x"),), (), ())
    with pytest.raises(SchemaMismatch, match=r"t\.a was LONG and is INT"):
        upgrade([OldTable("t", [OldColumn("a", "LONG")])], NAMES, [table])


@pytest.mark.parametrize("text", ["", "SELECT 1;", "[{]", '[{"name": "x"}]'])
def test_a_file_that_is_no_printout_is_refused(text: str) -> None:
    with pytest.raises(NoInput):
        read_old(text, "x")


def test_the_command_says_which_file_is_missing(tmp_path: Path) -> None:
    done = CliRunner().invoke(commands, ["snowflake", "ddl", "--diff", str(tmp_path / "none")])
    assert isinstance(done.exception, NoInput)
    assert len(TABLES) < len(SNOWFLAKE_TABLES)
