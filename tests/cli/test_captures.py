"""``captures``: the log, looked into, exported and moved ahead."""

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import FEED, FIRST_US, MINUTE_US, Command, write_recordings
from thirdrail.sources.recordings import recordings


def test_captures_are_listed_newest_first(thirdrail: Command, filled: Path) -> None:
    listed = thirdrail("captures", "list", "--json", "--limit", 2).json

    assert [each["offset"] for each in listed] == [3, 2]
    assert listed[0]["fetched_at"] == "2026-05-28T20:28:45Z"
    assert listed[0]["origin"].startswith("replay-")


def test_captures_are_listed_by_feed(thirdrail: Command, filled: Path, recorded: Path) -> None:
    thirdrail("replay", recorded, "--feed", "subway_ace")

    assert len(thirdrail("captures", "list", "--feed", FEED, "--json").json) == 3
    assert thirdrail("captures", "list", "--feed", "subway_acd").code == 2


@pytest.mark.parametrize("columns", [60, 120, None])
def test_the_list_fits_the_terminal(thirdrail: Command, filled: Path, columns: int | None) -> None:
    lines = thirdrail("captures", "list", columns=columns).out.splitlines()

    assert max(map(len, lines)) <= (columns or 200)
    assert lines[1].split()[:4] == ["3", FEED, "2026-05-28", "20:28:45Z"]
    assert ("Thu 16:28:45" in lines[1]) is (columns != 60)


def test_a_capture_is_shown_with_what_it_holds(thirdrail: Command, filled: Path) -> None:
    known = thirdrail("captures", "show", 2, "--json").json

    assert (known["decodes"], known["trip_updates"], known["stop_time_updates"]) == ("yes", 6, 120)
    assert known["header_timestamp"] == "2026-05-28T20:27:40Z"
    out = thirdrail("captures", "show", 2, columns=80).out
    assert "2026-05-28 20:27:45Z, Thu 16:27:45 in New York" in out


def test_an_offset_that_the_log_lacks_is_said(thirdrail: Command, filled: Path) -> None:
    said = thirdrail("captures", "show", 99)

    assert said.code == 1
    assert said.err.startswith("error: the log holds no offset 99")


def test_exported_bodies_read_back_with_the_same_times(
    thirdrail: Command, filled: Path, recorded: Path, tmp_path: Path
) -> None:
    said = thirdrail("captures", "export", tmp_path / "out")

    assert said.out == f"3 bodies written to {tmp_path / 'out'}\n"
    ours, theirs = recordings([tmp_path / "out"]), recordings([recorded])
    assert [each.fetched_at for each in ours] == [FIRST_US + poll * MINUTE_US for poll in range(3)]
    assert [each.body() for each in ours] == [each.body() for each in theirs]
    assert thirdrail("replay", tmp_path / "out", "--feed", FEED, "--json").json["skipped"] == 3


def test_an_export_holds_what_was_fetched_between_two_times(thirdrail: Command, filled: Path, tmp_path: Path) -> None:
    window = ("--since", "2026-05-28T16:27:45-04:00", "--until", "2026-05-28T20:28:45Z")

    assert thirdrail("captures", "export", tmp_path / "out", *window).code == 0

    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"{FEED}.000000000002.2026-05-28T20:27:45Z.pb"]


def test_an_export_to_a_file_is_refused(thirdrail: Command, filled: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")

    assert thirdrail("captures", "export", tmp_path / "out").code == 2
    assert (tmp_path / "out").read_text() == "mine"


def test_after_an_older_copy_of_the_log_skip_goes_on_above_every_table(
    thirdrail: Command, filled: Path, tmp_path: Path
) -> None:
    shutil.copytree(filled / "spool", tmp_path / "copy")
    later = write_recordings(tmp_path / "later", polls=4)
    assert thirdrail("replay", later, "--feed", FEED, "--json").json["captures"] == 1
    shutil.rmtree(filled / "spool")
    shutil.copytree(tmp_path / "copy", filled / "spool")

    refused = thirdrail("replay", later, "--feed", FEED)
    assert (refused.code, "captures skip" in refused.err) == (1, True)

    assert thirdrail("captures", "skip").out == "the log goes on at offset 1,000,000\n"
    assert thirdrail("replay", later, "--feed", FEED, "--json").json["captures"] == 1
    assert thirdrail("captures", "list", "--json", "--limit", 1).json[0]["offset"] >= 1_000_000
    assert thirdrail("sql", "SELECT count(*) AS n FROM feed_messages", "--format", "json").json == [{"n": 5}]
