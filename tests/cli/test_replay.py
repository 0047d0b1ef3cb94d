"""``replay`` and ``feeds``."""

import gzip
import re
import signal
from pathlib import Path

import pyarrow as pa
import pytest
from google.transit.gtfs_realtime_pb2 import FeedMessage

from tests.cli.conftest import FEED, FIRST_US, Command, write_bad_files, write_recordings
from tests.oracle.synthetic import subway_message
from thirdrail import app
from thirdrail.app import replaying
from thirdrail.cli.interrupt import asked_to_stop
from thirdrail.config.settings import Config
from thirdrail.model.feeds import feed
from thirdrail.sources.recordings import recordings


def rows_in_tables(thirdrail: Command) -> dict[str, int]:
    return {each["table"]: each["rows"] for each in thirdrail("tables", "--json").json if each["table"] != "commits"}


def test_a_replay_says_what_it_did_and_what_to_try_next(thirdrail: Command, recorded: Path, tmp_path: Path) -> None:
    said = thirdrail("replay", recorded, "--feed", FEED)

    assert said.code == 0
    assert "3 files, fetched 2026-05-28 20:26:45Z to 2026-05-28 20:28:45Z" in said.out
    assert "in New York Thu 16:26:45 to Thu 16:28:45; times: 3 from names" in said.out
    assert "3 captures" in said.out
    assert re.search(r"feed_messages +3$", said.out, re.MULTILINE)
    assert f"next: thirdrail audit --data {tmp_path / 'data'}" in said.out
    assert said.err == ""


def test_the_commands_named_next_run_as_they_are_printed(thirdrail: Command, recorded: Path) -> None:
    out = thirdrail("replay", recorded, "--feed", FEED).out

    assert thirdrail("audit", "--data", re.search(r"audit --data (\S+)", out)[1]).code == 0  # type: ignore[index]
    assert thirdrail("sql", re.search(r"'(SELECT .*)'", out)[1]).code == 0  # type: ignore[index]


def test_rows_written_are_the_rows_of_the_tables(thirdrail: Command, recorded: Path) -> None:
    told = thirdrail("replay", recorded, "--feed", FEED, "--json").json

    assert told["written"] == rows_in_tables(thirdrail)
    assert told["written"]["trip_updates"] >= 6
    assert (told["files"], told["captures"], told["skipped"], told["quarantined"]) == (3, 3, 0, 0)


def test_repeating_a_replay_adds_nothing_and_says_so(thirdrail: Command, recorded: Path) -> None:
    thirdrail("replay", recorded, "--feed", FEED)
    before = rows_in_tables(thirdrail)

    again = thirdrail("replay", recorded, "--feed", FEED, "--json").json

    assert (again["captures"], again["skipped"]) == (0, 3)
    assert rows_in_tables(thirdrail) == before


def test_the_same_body_plain_and_compressed_is_one_capture(thirdrail: Command, tmp_path: Path) -> None:
    body = subway_message(2, 4)
    (tmp_path / "a.pb").write_bytes(body)
    (tmp_path / "b.pb.gz").write_bytes(gzip.compress(body))
    with pa.output_stream(str(tmp_path / "c.pb.zst"), compression="zstd") as stream:
        stream.write(body)

    told = thirdrail("replay", *(tmp_path / name for name in ("a.pb", "b.pb.gz", "c.pb.zst")), "--feed", FEED, "--json")

    assert (told.json["captures"], told.json["skipped"]) == (1, 2)


def test_every_poll_keeps_more_rows_than_changes(thirdrail: Command, recorded: Path, tmp_path: Path) -> None:
    changes = thirdrail("replay", recorded, "--feed", FEED, "--json").json["written"]["stop_time_updates"]
    every = thirdrail(
        "replay", recorded, "--feed", FEED, "--json", "--history", "every_poll", "--data", tmp_path / "every"
    ).json["written"]["stop_time_updates"]

    assert every == 3 * 6 * 20
    assert changes < every


def test_files_that_are_no_messages_are_named_and_the_rest_goes_on(thirdrail: Command, recorded: Path) -> None:
    write_bad_files(recorded)

    said = thirdrail("replay", recorded, "--feed", FEED, "--json")

    assert said.code == 0
    assert said.json["captures"] == 5, "the page and the JSON are kept in the log, without rows"
    assert (said.json["no_message"], said.json["unreadable"]) == (2, 1)
    notes = said.err.splitlines()
    assert len(notes) == 3
    assert "page.2026-05-28T20:00:00Z.pb: not protobuf but XML or HTML" in notes[0]
    assert "json.2026-05-28T20:00:01Z.pb: not protobuf but JSON" in notes[1]
    assert "cut.2026-05-28T20:00:02Z.pb.gz cannot be read" in notes[2]
    assert thirdrail("audit").code == 0


def test_a_run_without_any_feed_message_is_refused_and_makes_no_folder(thirdrail: Command, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    write_bad_files(tmp_path / "bad")

    said = thirdrail("replay", tmp_path / "bad", "--feed", FEED)

    assert said.code == 1
    assert said.err.startswith("error: none of 3 files is a GTFS-Realtime message: ")
    assert not (tmp_path / "data").exists()


def alerts() -> bytes:
    message = FeedMessage()
    message.header.gtfs_realtime_version = "2.0"
    message.entity.add(id="1").alert.header_text.translation.add(text="delays")
    return message.SerializeToString()


def other_agency() -> bytes:
    message = FeedMessage()
    message.header.gtfs_realtime_version = "2.0"
    message.entity.add(id="1").trip_update.trip.trip_id = "t"
    return message.SerializeToString()


@pytest.mark.parametrize(("body", "reason"), [(alerts(), "1 alerts and no trips"), (other_agency(), "the NYCT header")])
def test_recordings_of_another_family_are_refused(thirdrail: Command, tmp_path: Path, body: bytes, reason: str) -> None:
    (tmp_path / "other.pb").write_bytes(body)

    said = thirdrail("replay", tmp_path / "other.pb", "--feed", FEED)

    assert said.code == 2
    assert reason in said.err
    assert not (tmp_path / "data").exists()


def test_an_unknown_feed_is_met_with_the_nearest_names(thirdrail: Command, recorded: Path) -> None:
    said = thirdrail("replay", recorded, "--feed", "subway_acd")

    assert said.code == 2
    assert said.err.splitlines()[0] == "error: no feed is called 'subway_acd'"
    assert "subway_ace" in said.err.splitlines()[1]


@pytest.mark.parametrize("missing", ["nowhere", "empty"])
def test_a_path_without_anything_to_read_is_named(thirdrail: Command, tmp_path: Path, missing: str) -> None:
    (tmp_path / "empty").mkdir()

    said = thirdrail("replay", tmp_path / missing, "--feed", FEED)

    assert said.code == 2
    assert str(tmp_path / missing) in said.err


def test_names_in_another_order_than_the_times_are_mentioned(thirdrail: Command, tmp_path: Path) -> None:
    folder = write_recordings(tmp_path / "mixed", polls=2)
    first, second = sorted(folder.iterdir())
    first.rename(folder / f"z{first.name}")

    said = thirdrail("replay", folder, "--feed", FEED)

    assert "taken in order of time" in said.out
    times = [each["fetched_at"] for each in thirdrail("captures", "list", "--json").json if each["type"] == "poll"]
    assert times == sorted(times, reverse=True)
    assert second.exists()


def test_a_disk_below_the_reserve_refuses_before_anything_is_taken_in(
    thirdrail: Command, recorded: Path, tmp_path: Path
) -> None:
    (tmp_path / "big.toml").write_text("[spool]\nreserve_gb = 1e9\n")

    said = thirdrail("replay", recorded, "--feed", FEED, "--config", tmp_path / "big.toml")

    assert said.code == 1
    assert "below the reserve of 1,000,000,000.0 GB" in said.err
    assert not (tmp_path / "data" / "spool").exists()


def test_stopped_between_commits_the_same_command_goes_on(
    thirdrail: Command, recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "CHUNK_BYTES", 1)
    asked = iter([False, False, False, False, False])

    def is_stopped() -> bool:
        return next(asked, True)

    with app.writing(tmp_path / "data", Config()) as work:
        found = recordings([recorded])
        _, totals = app.replay(work, found, feed(FEED), history=None, progress=lambda *_: None, is_stopped=is_stopped)
    assert 0 < totals.captures < 3

    again = thirdrail("replay", recorded, "--feed", FEED, "--json").json
    assert again["skipped"] == totals.captures
    assert rows_in_tables(thirdrail)["feed_messages"] == 3
    assert thirdrail("audit").code == 0


def test_the_first_ctrl_c_asks_and_the_second_stops() -> None:
    with asked_to_stop() as is_stopped:
        assert not is_stopped()
        signal.raise_signal(signal.SIGINT)
        assert is_stopped()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_replay_stopped_by_ctrl_c_keeps_its_commit_and_exits_130(
    thirdrail: Command, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drain = app.Writing.drain

    def interrupted(*arguments: object) -> None:
        signal.raise_signal(signal.SIGINT)
        drain(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(app.Writing, "drain", interrupted)

    said = thirdrail("replay", recorded, "--feed", FEED)

    assert said.code == 130
    assert "the same command goes on from there" in said.err


def test_a_replay_takes_its_times_from_the_names(thirdrail: Command, filled: Path) -> None:
    result = thirdrail("sql", "SELECT min(epoch_us(fetched_at)) AS first FROM feed_messages", "--format", "json")

    assert result.json == [{"first": FIRST_US}]


@pytest.mark.parametrize("words", [("feeds",), ("feeds", "list")])
def test_feeds_are_listed(thirdrail: Command, words: tuple[str, ...]) -> None:
    assert {each["id"] for each in thirdrail(*words, "--json").json} >= {"subway_ace", "subway_si"}
    assert "subway_ace" in thirdrail(*words, columns=60).out
