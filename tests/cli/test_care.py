"""`tables --detail`, `maintain`, `rebuild`, `catalog serve`, `dbt sources`: what they print, and how they end."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.cli.conftest import Command
from tests.maintenance.test_relocate import take_in
from thirdrail.model.tables import ALL_TABLES
from thirdrail.sinks.iceberg.catalog import open_catalog


def test_detail_says_how_each_table_lies_and_what_maintain_would_do(thirdrail: Command, tmp_path: Path) -> None:
    take_in(tmp_path / "data", 0, 9)
    found = {each["table"]: each for each in json.loads(thirdrail("tables", "--detail", "--json").out)}
    assert list(found) == [table.name for table in ALL_TABLES]
    stops = found["stop_time_updates"]
    assert sum(stops["files"].values()) == 9
    assert stops["days"] == 1
    assert (stops["would"]["merged"], stops["would"]["into"]) == (8, 1)
    assert found["siri_situations"]["would"]["merged"] == 0
    shown = thirdrail("tables", "--detail").out
    assert "merge 8 files into 1" in shown
    assert "do nothing" in shown

    assert thirdrail("maintain").code == 0
    found = {each["table"]: each for each in json.loads(thirdrail("tables", "--detail", "--json").out)}
    assert sum(found["stop_time_updates"]["files"].values()) == 2
    assert found["stop_time_updates"]["looked_at"]


def test_rebuild_says_how_many_rows_took_the_place_of_how_many(thirdrail: Command, filled: Path) -> None:
    said = thirdrail("rebuild", "--table", "stop_time_updates")
    assert said.code == 0
    rows = said.out.split(":")[1].split()[0]
    assert f"{rows} rows in place of {rows}, from" in said.out
    facts = json.loads(thirdrail("rebuild", "--table", "stop_time_updates", "--json").out)
    assert facts["rows"] == facts["rows_before"] == int(rows.replace(",", ""))
    assert thirdrail("audit").code == 0


def test_rebuild_of_nothing_is_said(thirdrail: Command, filled: Path) -> None:
    said = thirdrail("rebuild", "--table", "stop_time_updates", "--to", "2001-01-01")
    assert said.code == 1
    assert said.err.startswith("error: the capture log holds nothing of that time")
    assert thirdrail("rebuild", "--table", "stops").code == 2
    assert thirdrail("rebuild").code == 2


def test_backfill_of_a_table_that_came_later_says_what_it_would_do_and_what_it_did(
    thirdrail: Command, filled: Path
) -> None:
    table = ("--table", "trip_updates")
    said = thirdrail("backfill", *table)
    assert (said.code, said.out) == (
        0,
        "trip_updates: nothing to fill, the table began no later than the captures that are asked for\n",
    )
    open_catalog(filled, create=False).drop_table("mta.trip_updates")
    assert thirdrail("backfill", *table).code == 2, "there is none until a version that knows it has run"
    take_in(filled, 100, 103)
    facts = json.loads(thirdrail("backfill", *table, "--dry-run", "--json").out)
    assert (facts["rows"], facts["start"]) == (None, 0)
    said = thirdrail("backfill", *table, "--dry-run").out
    offsets = f"{facts['captures']} captures (offsets 0 to {facts['end'] - 1})"
    assert said == f"trip_updates: {offsets} to be filled in\nnothing was done: --dry-run\n"
    assert thirdrail("audit").code == 0
    said = thirdrail("backfill", *table).out
    assert re.fullmatch(rf"trip_updates: [1-9][0-9,]* rows from {re.escape(offsets)}\n", said)
    assert thirdrail("audit").code == 0
    assert json.loads(thirdrail("backfill", *table, "--json").out)["captures"] == 0


def test_what_captures_do_not_fill_is_not_made_of_them(thirdrail: Command, filled: Path) -> None:
    for command in ("rebuild", "backfill"):
        said = thirdrail(command, "--table", "commits")
        assert said.code == 2
        assert said.err.startswith("error: commits is not made of captures: they hold none of its rows\n")


def test_serve_prints_its_address_and_ends_with_a_signal(filled: Path) -> None:
    command = [sys.executable, "-m", "thirdrail", "catalog", "serve", "--port", "0", "--data", str(filled)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        with urllib.request.urlopen(f"{address}/v1/namespaces", timeout=10) as answer:
            assert json.loads(answer.read()) == {"namespaces": [["mta"]]}
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in said


def test_serve_to_others_wants_a_token(thirdrail: Command, filled: Path) -> None:
    said = thirdrail("catalog", "serve", "--bind", "0.0.0.0")
    assert said.code == 2
    assert "that wants a token" in said.err
    assert "THIRDRAIL_CATALOG_TOKEN" in said.err


def test_sources_are_yaml_of_every_table(thirdrail: Command) -> None:
    lines = thirdrail("dbt", "sources").out.splitlines()
    assert lines[1:3] == ["version: 2", "sources:"]
    assert [line.split()[-1] for line in lines if line.startswith("      - name: ")] == [
        table.name for table in ALL_TABLES
    ]
    assert not [line for line in lines if "plugin" in line]
