"""What is written down of arrivals outlives restarts, torn lines and a month, and never makes a row younger."""

from pathlib import Path

import pytest

from tests.fakes.clock import FakeClock
from thirdrail.sinks.snowflake.arrivals import KEPT_DAYS, Arrival, Arrivals, arrivals, recorded_from

AT = 1_790_000_000
DAY_S = 86_400.0


def opened(folder: Path, clock: FakeClock) -> Arrivals:
    return Arrivals(folder, "snowpipe_streaming", "log", clock)


def ends(folder: Path, since: int = 0) -> list[int]:
    return [each.end_offset for each in arrivals(folder, since)]


def test_lines_outlive_the_process_and_a_torn_one_harms_itself_and_its_neighbour_alone(tmp_path: Path) -> None:
    clock = FakeClock(AT * 1_000_000)
    for end in (1, 2, 3):
        opened(tmp_path / "made", clock).note(end)
        clock.advance(1)
    assert list(arrivals(tmp_path / "made", 0))[1] == Arrival((AT + 1) * 1_000_000, "snowpipe_streaming", "log", 2)
    (path,) = (tmp_path / "made").iterdir()
    with path.open("ab") as file:
        file.write(b'[17900000030\0\0"sno')
    for end in (4, 5):
        opened(tmp_path / "made", clock).note(end)
    assert ends(tmp_path / "made") == [1, 2, 3, 5]


def test_a_month_is_kept_and_the_day_before_says_where_one_began(tmp_path: Path) -> None:
    clock = FakeClock(AT * 1_000_000)
    for end in range(KEPT_DAYS + 5):
        opened(tmp_path, clock).note(end)
        clock.advance(DAY_S)
    assert len(ends(tmp_path)) == KEPT_DAYS + 1
    today = clock.now() - int(DAY_S) * 1_000_000
    assert ends(tmp_path, today) == [KEPT_DAYS + 3, KEPT_DAYS + 4]
    clock.advance(5 * DAY_S)
    assert ends(tmp_path, clock.now()) == [KEPT_DAYS + 4], "the last one, however long ago"


def test_a_folder_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("in the way")
    opened(place, FakeClock()).note(1)
    assert ends(place) == []


@pytest.mark.parametrize("since", [0, AT * 1_000_000])
def test_nothing_written_is_nothing_known(tmp_path: Path, since: int) -> None:
    assert ends(tmp_path / "none", since) == []


def test_it_is_known_since_when_it_is_written_down_also_if_nothing_ever_came(tmp_path: Path) -> None:
    clock = FakeClock(AT * 1_000_000)
    assert recorded_from(tmp_path) is None
    for _ in range(2):
        opened(tmp_path, clock).begin()
        clock.advance(60)
    assert recorded_from(tmp_path) == AT * 1_000_000
    assert ends(tmp_path) == [0]
