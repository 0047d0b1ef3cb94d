"""Every question of the cookbook gives rows of the expected shape on the simulated city, also beside a writer."""

import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import thirdrail
from thirdrail import app
from thirdrail.city.messages import body, header_time
from thirdrail.config.settings import Config
from thirdrail.errors import MissingLibrary, NoDataYet, UsageError
from thirdrail.model.records import Poll

PAGE = (Path(__file__).parents[2] / "docs" / "cookbook.md").read_text()
QUESTIONS = re.findall(r"^\*\*(\d+)\. .*?```sql\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
AT = 1_790_000_000
FEEDS = ("subway_1234567s", "subway_ace", "lirr", "alerts_all", "ene_current", "bus_vehicle_positions")
# Question → its columns, and the fewest rows that the city must give.
EXPECTED = {
    "1": (("route_id", "direction", "towards", "minutes_away", "arrival_local"), 5),
    "2": (("fetched_at", "stop_id", "arrival_at", "change_kind"), 10),
    "3": (("stop_id", "arrival_local", "headway"), 2),
    "4": (("route_id", "train_id", "stop_name", "vehicle_local", "vehicle_age_s"), 0),
    "5": (("feed_id", "last_accepted_at", "header_age_s", "polls", "failed", "quarantined"), 6),
    "6": (("alert_type", "routes", "header_text", "in_force_since"), 10),
    "7": (("alert_type", "header_text"), 10),
    "8": (("station_name", "equipment_id", "serving", "reason", "outage_local", "estimated_return_local"), 5),
    "9": (("vehicle_key", "stop_id", "latitude", "longitude", "vehicle_age_s"), 2),
    "10": (("route_id", "buses", "share_full"), 10),
    "11": (("feed_id", "route_id", "trip_key", "stop_id", "arrival_delay_s", "rail_track"), 5),
    "12": (("feed_id", "primary_rule_id", "refused", "reason"), 1),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that a writer holds open: five minutes of the city, and one message that is refused."""
    folder = tmp_path_factory.mktemp("cookbook") / "data"
    with app.writing(folder, Config()) as work:
        work.note_settings()
        for minute in range(0, 300, 60):
            polls = [
                (Poll(feed_id=feed_id, fetched_at=(header_time(feed_id, AT) + minute + 3) * 1_000_000), content)
                for feed_id in FEEDS
                for content in (body(0, feed_id, AT + minute),)
            ]
            work.append(sorted(polls, key=lambda each: each[0].fetched_at))  # type: ignore[arg-type]
        work.append([(Poll(feed_id="subway_l", fetched_at=AT * 1_000_000), b"<html>")])
        work.drain(app.Totals())
        yield folder


def test_there_are_twelve_questions_and_each_has_its_expectation() -> None:
    assert [number for number, _ in QUESTIONS] == list(EXPECTED)


@pytest.mark.parametrize(("number", "query"), QUESTIONS, ids=[number for number, _ in QUESTIONS])
def test_each_question_gives_rows_of_the_expected_shape(data: Path, number: str, query: str) -> None:
    found = thirdrail.open(data).sql(query)
    columns, fewest = EXPECTED[number]
    assert tuple(found.arrow().column_names) == columns
    assert len(found) >= fewest


def test_a_table_can_be_read_whole_now_and_as_of_a_time(data: Path) -> None:
    vehicles = thirdrail.open(data).table("vehicle_positions")
    first = vehicles.as_of(datetime.fromtimestamp(AT + 30, UTC)).pl()
    now = vehicles.now().pl()
    assert len(vehicles.rows()) > len(now) > 3_000
    assert first["capture_offset"].max() < now["capture_offset"].max()  # type: ignore[operator]


def test_what_cannot_be_asked_says_why(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    w = thirdrail.open(data)
    with pytest.raises(UsageError, match="no table 'trips'"):
        w.table("trips")
    with pytest.raises(UsageError, match="a time with a zone"):
        w.table("alerts").as_of(datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused
    with pytest.raises(UsageError, match="holds events"):
        w.table("quarantine").now()
    with pytest.raises(NoDataYet):
        thirdrail.open(tmp_path / "nothing")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingLibrary, match="pandas") as missing:
        w.sql("SELECT 1").df()
    assert missing.value.hint == "pip install pandas"
