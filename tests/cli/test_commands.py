"""The command line as a person or a script meets it: output, exit codes, one clear line for every error."""

import fcntl
import gzip
import io
import json
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest
from google.transit.gtfs_realtime_pb2 import FeedMessage

from tests.oracle.synthetic import HEADER_AT, subway_message
from thirdrail import __version__
from thirdrail.cli.main import run
from thirdrail.cli.options import duration, since_us
from thirdrail.errors import BadDuration, BadTime
from thirdrail.sources.recordings import time_in_name


class Done(NamedTuple):
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


def thirdrail(*arguments: str, **environment: str) -> Done:
    """Run a command as its entry point does, its output caught."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patched, redirect_stdout(out), redirect_stderr(err):
        patched.delenv("THIRDRAIL_DATA", raising=False)
        for name, value in environment.items():
            patched.setenv(name, value)
        code = run(arguments)
    return Done(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of five recordings: plain, gzip and zstd, one saved web page, one of a twin trip."""
    folder = tmp_path_factory.mktemp("recordings")
    for number in range(3):
        body = subway_message(0, 20, number * 30)
        name = f"subway.2026-05-28T16:{27 + number}:25-04:00.pb"
        if number == 0:
            (folder / name).write_bytes(body)
        elif number == 1:
            (folder / f"{name}.gz").write_bytes(gzip.compress(body))
        else:
            with pa.output_stream(str(folder / f"{name}.zst"), compression="zstd") as stream:
                stream.write(body)
    (folder / "subway.2026-05-28T16:30:25-04:00.pb").write_bytes(b"<html>busy</html>")
    return folder


@pytest.fixture(scope="module")
def data(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data folder that holds those recordings."""
    folder = str(tmp_path_factory.mktemp("folder") / "data")
    done = thirdrail("replay", str(recordings), "--feed", "subway_g", "--data", folder, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["files"], found["captures"], found["skipped"]) == (4, 4, 0)
    return folder


def test_version_and_help() -> None:
    assert thirdrail("--version").stdout == f"thirdrail {__version__}\n"
    assert "replay" in thirdrail("--help").stdout


def test_repeating_a_replay_adds_nothing(recordings: Path, data: str) -> None:
    again = json.loads(thirdrail("replay", str(recordings), "--feed", "subway_g", "--data", data, "--json").stdout)

    assert (again["skipped"], again["captures"]) == (4, 0)


def test_tables_lists_what_there_is(data: str) -> None:
    tables = {row["table"]: row for row in json.loads(thirdrail("tables", "--data", data, "--json").stdout)}

    assert set(tables["feed_messages"]) == {"table", "rows", "data_files", "snapshots", "bytes", "newest_fetched_at"}
    assert tables["feed_messages"]["rows"] == 4
    assert tables["quarantine"]["rows"] == 1
    assert tables["feed_messages"]["newest_fetched_at"] == "2026-05-28T20:30:25Z"
    assert "seconds late" in thirdrail("tables", "trip_updates").stdout


def test_a_saved_web_page_is_a_capture_that_did_not_decode(data: str) -> None:
    query = "SELECT outcome, error_detail FROM feed_messages ORDER BY capture_offset DESC LIMIT 1"
    (row,) = json.loads(thirdrail("sql", "--data", data, "--format", "json", query).stdout)

    assert row["outcome"] == "decode_error"
    assert "HTML" in row["error_detail"]


def test_sql_prints_tables_csv_and_json(data: str) -> None:
    query = "SELECT capture_offset AS o, fetched_at AS t, accepted FROM feed_messages ORDER BY 1"

    assert thirdrail("sql", "--data", data, query).stdout.splitlines()[0].split() == ["o", "t", "accepted"]
    csv = thirdrail("sql", "--data", data, "--format", "csv", query).stdout.splitlines()
    assert csv[:2] == ["o,t,accepted", "1,2026-05-28T20:27:25Z,true"]
    assert len(json.loads(thirdrail("sql", "--data", data, "--format", "json", query).stdout)) == 4


def test_audit_says_ok_by_word_and_by_exit_code(data: str) -> None:
    done = thirdrail("audit", "--data", data)
    assert (done.returncode, "ok: the tables hold exactly what the log says" in done.stdout) == (0, True)
    report = json.loads(thirdrail("audit", "--data", data, "--json").stdout)
    wanted = {"captures", "rows_expected", "rows_found", "missing", "duplicated", "unexpected", "altered"}
    assert wanted | {"pending", "unverifiable", "restored", "window", "ok"} <= set(report)
    assert thirdrail("audit", "--data", data, "--since", "2030-01-01").returncode == 2


def test_captures_are_listed_shown_and_exported_so_that_replay_reads_them(data: str, tmp_path: Path) -> None:
    newest = json.loads(thirdrail("captures", "list", "--data", data, "--json", "--limit", "2").stdout)
    assert [entry["offset"] for entry in newest] == [4, 3]
    shown = json.loads(thirdrail("captures", "show", "1", "--data", data, "--json").stdout)
    assert shown["trip_updates"] == 20
    assert "4 bodies" in thirdrail("captures", "export", str(tmp_path / "out"), "--data", data).stdout
    again = thirdrail("replay", str(tmp_path / "out"), "--feed", "subway_g", "--data", str(tmp_path / "data"), "--json")
    assert json.loads(again.stdout)["captures"] == 4
    shifted = json.loads(thirdrail("captures", "show", "1", "--data", str(tmp_path / "data"), "--json").stdout)
    assert shifted["fetched_at"] == shown["fetched_at"]


def test_quarantine_lists_shows_and_judges_again(data: str) -> None:
    (row,) = json.loads(thirdrail("quarantine", "list", "--data", data, "--json").stdout)
    assert (row["primary_rule_id"], row["level"]) == ("M009", "message")
    assert "HTML" in thirdrail("quarantine", "show", row["quarantine_id"], "--data", data).stdout
    assert (
        "1 judged again: 0 pass now" in thirdrail("quarantine", "replay", row["quarantine_id"], "--data", data).stdout
    )
    assert thirdrail("audit", "--data", data).returncode == 0


def folder_of_another_kind(tmp_path: Path) -> str:
    (tmp_path / "thirdrail.json").write_text('{"kind": "rehearsed", "format_version": 1, "path": "/x"}')
    return str(tmp_path)


def folder_of_a_newer_version(tmp_path: Path) -> str:
    (tmp_path / "thirdrail.json").write_text('{"kind": "live", "format_version": 9, "created_by": "9.0", "path": "/x"}')
    return str(tmp_path)


def folder_of_others(tmp_path: Path) -> str:
    (tmp_path / "letters.txt").write_text("x")
    return str(tmp_path)


def a_file(tmp_path: Path) -> str:
    (tmp_path / "file").write_text("x")
    return str(tmp_path / "file")


def an_empty_folder(tmp_path: Path) -> str:
    return str(tmp_path)


@pytest.mark.parametrize(
    ("folder", "told"),
    [
        (folder_of_another_kind, "holds rehearsed data"),
        (folder_of_a_newer_version, "newer version (9.0"),
        (folder_of_others, "is not a Third Rail data folder"),
        (a_file, "is a file"),
        (an_empty_folder, "holds no data yet"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_folder_that_cannot_be_used_is_told_in_one_line(folder, told: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    done = thirdrail("audit", "--data", folder(tmp_path))

    assert done.returncode == 2
    assert told in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr


def test_a_moved_folder_names_where_it_was(data: str, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "elsewhere")
    done = thirdrail("tables", "--data", str(tmp_path / "elsewhere"))

    assert done.returncode == 2
    assert f"was filled at {data}" in done.stderr
    assert "hint: " in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("replay", "{recordings}", "--feed", "subway_gg"), 2, "did you mean subway_g"),
        (("replay", "{recordings}/none", "--feed", "subway_g"), 2, "does not exist"),
        (("replay", "{empty}", "--feed", "subway_g"), 2, "holds no files"),
        (("replay", "{page}", "--feed", "subway_g"), 1, "HTML"),
        (("sql",), 2, "no query was given"),
        (("sql", "SELECT nope FROM trip_updates"), 1, "nope"),
        (("sql", "SELEC 1"), 1, "syntax error"),
        (("sql", "DROP VIEW trip_updates"), 1, "it does not write"),
        (("sql", "COPY trip_updates TO 'x.csv'"), 1, "it does not write"),
        (("sql", "SELECT 1; SELECT 2"), 1, "one query at a time"),
        (("audit", "--since", "5 parsecs"), 2, "is no duration"),
        (("audit", "--since", "2026-01-01T00:00"), 2, "has no zone"),
        (("captures", "show", "999"), 1, "no offset 999"),
        (("quarantine", "show", "x"), 2, "has the id"),
        (("quarantine", "replay", "x"), 2, "has the id"),
        (("tables", "trip_update"), 2, "no table is called"),
        (("config", "check", "{page}"), 2, "is no TOML"),
        (("nonsense",), 2, "No such command"),
        (("replay",), 2, "Missing argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_every_mistake_gets_a_clear_line_and_its_exit_code(
    arguments: tuple[str, ...], code: int, told: str, recordings: Path, data: str, tmp_path: Path
) -> None:
    page = tmp_path / "page.pb"
    page.write_bytes(b"<html></html>")
    (tmp_path / "empty").mkdir()
    given = [part.format(recordings=recordings, empty=tmp_path / "empty", page=page) for part in arguments]
    done = thirdrail(*given, THIRDRAIL_DATA=data)

    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_recording_of_another_family_is_refused(tmp_path: Path) -> None:
    feed = FeedMessage()
    feed.header.gtfs_realtime_version = "2.0"
    feed.header.timestamp = HEADER_AT
    feed.entity.add(id="1").trip_update.trip.trip_id = "x"
    (tmp_path / "other.pb").write_bytes(feed.SerializeToString())
    done = thirdrail("replay", str(tmp_path / "other.pb"), "--feed", "subway_g", "--data", str(tmp_path / "data"))

    assert done.returncode == 2
    assert "lacks the NYCT header" in done.stderr


def test_a_nearly_full_disk_takes_nothing_in(recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[spool]\nreserve_gb = 10000000.0\n")
    options = ("--config", str(tmp_path / "c.toml"), "--data", str(tmp_path / "data"))
    done = thirdrail("replay", str(recordings), "--feed", "subway_g", *options)

    assert done.returncode == 1
    assert "below the reserve" in done.stderr


def test_a_second_writer_is_told_who_is_there(recordings: Path, data: str) -> None:
    with (Path(data) / "spool" / "append.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = thirdrail("replay", str(recordings), "--feed", "subway_g", "--data", data)
    assert done.returncode == 1
    assert "already running" in done.stderr


@pytest.mark.parametrize("columns", ["60", "200"])
def test_narrow_terminals_cut_no_number_and_no_colour_is_asked_for(data: str, columns: str) -> None:
    done = thirdrail("tables", "--data", data, COLUMNS=columns, NO_COLOR="1")

    assert all(len(line) <= int(columns) for line in done.stdout.splitlines())
    assert "\x1b" not in done.stdout
    assert "trip_replacement_periods" in done.stdout
    assert "…" not in done.stdout


def test_a_reader_that_leaves_a_pipe_early_is_no_error(data: str) -> None:
    command = f"{sys.executable} -m thirdrail tables --data {data} | head -1"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)

    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text", ["90s", "15m", "24h", "7d", "1.5h"])
def test_durations_are_a_number_and_a_unit(text: str) -> None:
    assert duration(text).total_seconds() > 0


@pytest.mark.parametrize("text", ["", "5", "5 parsecs", "-3s", "h"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(BadDuration):
        duration(text)


def test_times_need_a_zone() -> None:
    assert since_us("2026-07-01T08:00-04:00") == since_us("2026-07-01T12:00Z")
    with pytest.raises(BadTime):
        since_us("2026-07-01T08:00")


@pytest.mark.parametrize(
    ("name", "iso"),
    [
        ("nyct_subways_gtfs_rt.2023-05-29T14:03:24-04:00.pb", 1685383404),
        ("mta-nyct-2024-02-28T18:15:26+01:00.gtfs-rt.pbf", 1709140526),
        ("feed_20240120T235938Z.pb.gz", 1705795178),
        ("gtfs_7_20190601_112825.gtfs", None),
        ("a_div.dat", None),
    ],
)
def test_the_time_in_a_name_counts_when_it_states_its_zone(name: str, iso: int | None) -> None:
    assert time_in_name(name) == (None if iso is None else iso * 1_000_000)
