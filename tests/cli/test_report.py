"""``report`` on real tables: ten minutes without a service are found, exactly, also after the restart."""

import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.fakes.clock import FakeClock
from thirdrail import app
from thirdrail.app.reporting import report
from thirdrail.city.messages import body
from thirdrail.cli.main import commands
from thirdrail.config.settings import Config, SpoolConfig
from thirdrail.errors import NoDataYet
from thirdrail.model.records import Poll
from thirdrail.model.tables import COMMITS
from thirdrail.observe.clock import SystemClock
from thirdrail.sinks.iceberg import commit as commits
from thirdrail.sinks.iceberg.commit import Snapshot

AT = 1_790_000_000 // 60 * 60
FEEDS = ("subway_l", "subway_g")
CONFIG = Config(spool=SpoolConfig(reserve_gb=0.0))


def serve(data: Path, clock: FakeClock, minutes: range, *, late: int | None = None) -> None:
    """Poll every half minute and commit five seconds later, or in one minute thirty-five."""
    with app.writing(data, CONFIG, clock) as work:
        work.note_settings()
        for half in range(2 * minutes.start, 2 * minutes.stop):
            moment = AT + 30 * half
            clock.jump(moment - clock.now() / 1e6)
            polls = [(Poll(feed_id=feed, fetched_at=moment * 1_000_000), body(0, feed, moment)) for feed in FEEDS]
            work.append(list(polls))
            clock.jump(35 if half // 2 == late else 5)
            work.drain(app.Totals())


def test_ten_minutes_without_the_service_are_exactly_ten_minutes_per_feed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock(AT * 1_000_000)
    # PyIceberg stamps a snapshot with the machine's clock.
    monkeypatch.setattr(commits, "Snapshot", lambda **given: Snapshot(timestamp_ms=clock.now() // 1_000, **given))
    serve(tmp_path / "data", clock, range(15))
    serve(tmp_path / "data", clock, range(25, 45), late=30)
    clock.jump(AT + 46 * 60 - clock.now() / 1e6)

    found = report(app.DataFolder.existing(tmp_path / "data"), CONFIG, clock, (AT - 3_600) * 1_000_000)

    assert datetime.fromtimestamp(found.since / 1e6, UTC) == datetime.fromtimestamp(AT, UTC)
    for feed in found.feeds:
        assert (feed.minutes, feed.not_run, feed.late, feed.unanswered) == (45, 10, 1, 0), feed
        assert feed.in_time + feed.quiet == 34
    availability = next(each for each in found.figures if each.name == "availability")
    due = sum(each.published + each.not_run for each in found.feeds)
    assert availability.value == pytest.approx(1 - 22 / due)
    assert not found.all_met
    # Far more commits than snapshots are kept: what is told of the first minutes is in `commits` alone.
    assert app.pinned(app.DataFolder.existing(tmp_path / "data"), COMMITS).rows > 200


def test_the_command_says_met_and_missed_and_gives_both_as_data(tmp_path: Path) -> None:
    data, clock = tmp_path / "data", SystemClock()
    with app.writing(data, CONFIG, clock) as work:
        work.note_settings()
        for minute in range(5, 1, -1):
            moment = clock.now() - minute * 60_000_000
            work.append([(Poll(feed_id="subway_l", fetched_at=moment), body(0, "subway_l", moment // 1_000_000))])
        work.drain(app.Totals())
    run = partial(CliRunner().invoke, commands, standalone_mode=False)
    shown = run(["report", "--data", str(data), "--since", "1h"])
    assert "availability" in shown.output
    assert "MISSED" in shown.output
    told = json.loads(run(["report", "--data", str(data), "--json"]).output)
    assert (told["messages"], shown.return_value) == (4, 1)
    assert {each["name"]: each["met"] for each in told["figures"]}["availability"] is False  # committed minutes late
    assert [each["late"] for each in told["feeds"]] == [4]


def test_without_a_poll_in_that_time_it_says_so(tmp_path: Path) -> None:
    with app.writing(tmp_path / "data", CONFIG, SystemClock()) as work:
        work.note_settings()
        work.drain(app.Totals())
    with pytest.raises(NoDataYet, match="no feed was polled"):
        report(app.DataFolder.existing(tmp_path / "data"), CONFIG, SystemClock(), 0)
