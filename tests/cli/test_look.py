"""``tables``, ``sql`` and ``audit``."""

import csv
import io
from pathlib import Path

import pytest

from tests.cli.conftest import FEED, Command
from thirdrail import app
from thirdrail.maintenance.audit import AuditReport
from thirdrail.model.tables import ALL_TABLES, BY_NAME


def test_tables_are_listed_with_their_figures(thirdrail: Command, filled: Path) -> None:
    listed = thirdrail("tables", "--json").json

    assert [each["table"] for each in listed] == [table.name for table in ALL_TABLES]
    assert all(
        list(each) == ["table", "rows", "data_files", "snapshots", "bytes", "newest_fetched_at"] for each in listed
    )
    messages = next(each for each in listed if each["table"] == "feed_messages")
    assert (messages["rows"], messages["newest_fetched_at"]) == (3, "2026-05-28T20:28:45Z")
    assert messages["bytes"] > 0


@pytest.mark.parametrize("columns", [40, 60, 120, None])
def test_the_list_of_tables_fits_and_no_number_is_cut(thirdrail: Command, filled: Path, columns: int | None) -> None:
    listed = thirdrail("tables", "--json").json

    said = thirdrail("tables", columns=columns)

    lines = said.out.splitlines()
    assert max(map(len, lines)) <= (columns or 200)
    for each, line in zip(listed, lines[1:], strict=True):
        assert line.split()[:2] == [each["table"], f"{each['rows']:,}"]
    assert all(line == line.rstrip() for line in lines), "no blanks at the ends of lines"
    is_narrow = columns is not None and columns < 80
    assert ("not shown" in said.err) is is_narrow


def test_a_table_is_described_column_by_column(thirdrail: Command) -> None:
    described = thirdrail("tables", "stop_time_updates", "--json").json["columns"]

    declared = BY_NAME["stop_time_updates"].columns
    assert [each["name"] for each in described] == [column.name for column in declared]
    assert all(each["meaning"] and each["type"] and each["role"] for each in described)
    for columns in (60, None):
        out = thirdrail("tables", "stop_time_updates", columns=columns).out
        assert all(f"\n{column.name} " in out for column in declared)
    assert "nyct_stop_time_update.actual_track" in out


def test_an_unknown_table_is_met_with_the_names_there_are(thirdrail: Command) -> None:
    said = thirdrail("tables", "trips")

    assert said.code == 2
    assert "trip_updates" in said.err


QUERY = (
    "SELECT 1 AS a, 2 AS a, NULL AS b, ['x', 'y'] AS c, INTERVAL 3 HOUR AS d, TIMESTAMPTZ '2026-01-02 03:04:05Z' AS e"
)


def test_csv_holds_every_column_as_a_program_reads_it(thirdrail: Command, filled: Path) -> None:
    said = thirdrail("sql", QUERY, "--format", "csv", columns=20)

    header, row = csv.reader(io.StringIO(said.out))
    assert header == ["a", "a", "b", "c", "d", "e"]
    assert row == ["1", "2", "", '["x","y"]', "PT10800S", "2026-01-02T03:04:05Z"]
    assert said.err == ""


def test_json_keeps_two_columns_of_one_name_apart(thirdrail: Command, filled: Path) -> None:
    said = thirdrail("sql", QUERY, "--format", "json")

    expected = {"a": 1, "a_1": 2, "b": None, "c": ["x", "y"], "d": "PT10800S", "e": "2026-01-02T03:04:05Z"}
    assert said.json == [expected]
    assert said.err == ""


def test_a_result_is_shown_as_a_table_and_counted_aside(thirdrail: Command, filled: Path) -> None:
    said = thirdrail("sql", "SELECT * FROM range(1200) AS t(n)")

    assert len(said.out.splitlines()) == 1_001
    assert said.err == "(1,200 rows, 200 of them not shown: --format csv gives all)\n"


def test_a_wide_result_in_a_narrow_terminal_becomes_lines_of_names_and_values(thirdrail: Command, filled: Path) -> None:
    said = thirdrail("sql", "SELECT * FROM feed_messages LIMIT 2", columns=60)

    lines = said.out.splitlines()
    assert max(map(len, lines)) <= 60
    assert sum(line.startswith("feed_id ") for line in lines) == 2
    assert all(any(line.startswith(name) for line in lines) for name in BY_NAME["feed_messages"].names())


def test_text_in_the_tables_cannot_steer_the_terminal_nor_be_taken_for_markup(thirdrail: Command, filled: Path) -> None:
    out = thirdrail("sql", "SELECT chr(27) || '[31m' AS a, '[red]x[/red]' AS b, ':smile:' AS c").out

    assert "\x1b" not in out
    assert "[red]x[/red]" in out
    assert ":smile:" in out


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ("SELECT nonsense FROM trip_updates", 1, "nonsense"),
        ("SELEC 1", 1, "^"),
        ("DROP TABLE trip_updates", 1, "reads"),
        ("COPY trip_updates TO 'x.csv'", 1, "reads"),
        ("", 2, "no query was given"),
    ],
)
def test_sql_that_cannot_run_is_said_with_its_place(
    thirdrail: Command, filled: Path, query: str, code: int, words: str
) -> None:
    said = thirdrail("sql", query)

    assert said.code == code
    assert said.err.startswith("error: ")
    assert words in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


def test_an_audit_of_whole_tables_is_ok(thirdrail: Command, filled: Path) -> None:
    report = thirdrail("audit", "--json")
    said = thirdrail("audit", columns=60)

    assert (report.code, said.code) == (0, 0)
    assert report.json["ok"]
    assert report.json["captures"] == 3
    assert report.json["rows_expected"] == report.json["rows_found"] > 0
    assert said.out.splitlines()[-1] == "ok: the tables hold exactly what the log says"


def test_an_audit_that_finds_faults_names_table_and_fault(
    thirdrail: Command, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = AuditReport(captures=3)
    report.note("trip_updates", missing=2)
    monkeypatch.setattr(app, "audit", lambda *_: report)

    said = thirdrail("audit")

    assert said.code == 1
    assert "trip_updates: 2 missing" in said.out
    assert "not ok" in said.out


def test_an_audit_that_verifies_nothing_is_neither_well_nor_ill(thirdrail: Command, filled: Path) -> None:
    said = thirdrail("audit", "--since", "2040-01-01")

    assert said.code == 2
    assert "nothing could be verified" in said.out


def test_no_colour_where_none_is_wanted(thirdrail: Command, filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in thirdrail("audit").out, "not in a pipe"
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" in thirdrail("audit").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in thirdrail("audit").out


def test_what_another_feed_brought_is_counted_with_the_first(thirdrail: Command, filled: Path, recorded: Path) -> None:
    """One body may be a capture of two feeds: only the same feed's is skipped."""
    assert thirdrail("replay", recorded, "--feed", "subway_ace", "--json").json["captures"] == 3
    assert FEED in thirdrail("sql", "SELECT DISTINCT feed_id FROM feed_messages").out
    assert thirdrail("audit", "--json").json["captures"] == 6
