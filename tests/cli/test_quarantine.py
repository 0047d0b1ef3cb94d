"""``quarantine``: what was refused, and having it judged again."""

from pathlib import Path

import pytest
from google.transit.gtfs_realtime_pb2 import FeedMessage

from tests.cli.conftest import FEED, Command, write_recordings
from tests.oracle.synthetic import subway_message

NEXT_CENTURY = 4_200_000_000


@pytest.fixture
def refused(thirdrail: Command, tmp_path: Path) -> list[dict[str, object]]:
    """Two stop times that E001 refuses, in a data folder with good ones."""
    message = FeedMessage.FromString(subway_message(1, 6))
    for trip in (0, 1):
        updates = [entity.trip_update for entity in message.entity if entity.HasField("trip_update")]
        updates[trip].stop_time_update[3].arrival.time = NEXT_CENTURY
    folder = tmp_path / "odd"
    write_recordings(folder, polls=0)
    (folder / "odd.2026-05-28T20:26:45Z.pb").write_bytes(message.SerializeToString())
    assert thirdrail("replay", folder, "--feed", FEED, "--json").json["quarantined"] == 2
    listed: list[dict[str, object]] = thirdrail("quarantine", "list", "--json").json
    return listed


@pytest.fixture
def lenient(tmp_path: Path) -> Path:
    """A configuration in which E001 only flags."""
    (tmp_path / "lenient.toml").write_text('[severities."*"]\nE001 = "flag"\n')
    return tmp_path / "lenient.toml"


def test_what_was_refused_is_listed_with_the_reason(thirdrail: Command, refused: list[dict[str, object]]) -> None:
    assert [each["primary_rule_id"] for each in refused] == ["E001", "E001"]
    assert all("payload" not in each for each in refused), "a list is not for whole payloads"
    for columns in (60, 120, None):
        said = thirdrail("quarantine", "list", columns=columns)
        assert max(map(len, said.out.splitlines())) <= (columns or 1_000)
        assert all(str(each["quarantine_id"]) in said.out for each in refused)


def test_the_list_is_narrowed_by_rule_feed_and_time(thirdrail: Command, refused: list[dict[str, object]]) -> None:
    assert len(thirdrail("quarantine", "list", "--rule", "E001", "--feed", FEED, "--json").json) == len(refused)
    assert thirdrail("quarantine", "list", "--rule", "M011", "--json").json == []
    assert thirdrail("quarantine", "list", "--feed", "subway_ace", "--json").json == []
    assert thirdrail("quarantine", "list", "--since", "2026-06-01", "--json").json == []
    assert thirdrail("quarantine", "list", "--rule", "X1").code == 2


def test_one_refusal_is_shown_whole(thirdrail: Command, refused: list[dict[str, object]]) -> None:
    known = thirdrail("quarantine", "show", refused[0]["quarantine_id"], "--json").json

    assert known["payload"]
    assert known["rule_ids"] == ["E001"]
    assert "E001" in thirdrail("quarantine", "show", refused[0]["quarantine_id"], columns=60).out


def test_judged_again_under_the_same_rules_nothing_changes(
    thirdrail: Command, refused: list[dict[str, object]]
) -> None:
    said = thirdrail("quarantine", "replay", "--rule", "E001")

    assert said.out == "2 judged again: 0 pass now and gave 0 rows\n"
    assert len(thirdrail("quarantine", "list", "--json").json) == 2


def test_judged_again_under_milder_rules_rows_are_restored_once(
    thirdrail: Command, refused: list[dict[str, object]], lenient: Path
) -> None:
    one = refused[0]["quarantine_id"]

    said = thirdrail("quarantine", "replay", one, "--config", lenient)
    assert said.out == "1 judged again: 1 pass now and gave 1 row\n"
    assert [each["quarantine_id"] for each in thirdrail("quarantine", "list", "--json").json] == [
        refused[1]["quarantine_id"]
    ]

    again = thirdrail("quarantine", "replay", one, "--config", lenient)
    assert (again.code, "nothing in quarantine that is not settled" in again.err) == (2, True)
    restored = "SELECT count(*) AS n FROM stop_time_updates WHERE change_kind = 'restored'"
    assert thirdrail("sql", restored, "--format", "json").json == [{"n": 1}]
    assert thirdrail("audit").code == 0


@pytest.mark.parametrize("words", [("replay", "nonsense"), ("show", "nonsense"), ("replay",)])
def test_an_id_that_nothing_has_is_refused(
    thirdrail: Command, refused: list[dict[str, object]], words: tuple[str, ...]
) -> None:
    assert thirdrail("quarantine", *words).code == 2


def test_an_empty_quarantine_says_so(thirdrail: Command, filled: Path) -> None:
    assert thirdrail("quarantine", "list").out == "nothing that fits is in quarantine\n"
