"""``report`` tells of Snowflake, too: how old rows were when they were durable there, over restarts and delays."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from tests.fakes.clock import FakeClock
from thirdrail import app
from thirdrail.app.reporting import report
from thirdrail.city.messages import body
from thirdrail.cli.main import commands
from thirdrail.config.reading import load
from thirdrail.config.settings import Config, SpoolConfig
from thirdrail.emulator.server import EmulatorServer
from thirdrail.model.records import Poll
from thirdrail.observe.clock import SystemClock
from thirdrail.query.report import MINUTE_US, Figure
from thirdrail.sinks.snowflake.arrivals import FOLDER, recorded_from
from thirdrail.sinks.snowpipe import writer

FEEDS, LATER, LATEST = ("subway_ace", "subway_bdfm"), "subway_l", "subway_g"
"""The later ones were not there before: all that they tell is new, and makes up more than 1 % and less than half."""
DELAY_S = 3.0
STREAMED, BOTH = "snowflake (snowpipe_streaming)", "snowflake (snowpipe, snowpipe_streaming)"


class Earlier(SystemClock):
    """Minutes ago, so that those carried are over when they are reported."""

    def __init__(self, minutes: int) -> None:
        self.minutes = minutes

    def now(self) -> int:
        return super().now() - self.minutes * MINUTE_US


def carried(
    data: Path, config: Config, feeds: tuple[str, ...] = FEEDS, *, until_settled: bool = True, minutes: int = 5
) -> float:
    """Live once: poll, carry until all of it is durable (or one step), and end; give how long that took."""
    clock = Earlier(minutes)
    with app.writing(data, config, clock) as work:
        work.note_settings()
        work.drain(app.Totals())  # channels are open
        moment = clock.now()
        work.append([(Poll(feed_id=feed, fetched_at=moment), body(0, feed, moment // 1_000_000)) for feed in feeds])
        if until_settled:
            work.drain(app.Totals())
        else:
            for pipeline in work.pipelines:
                pipeline.step()
        return (clock.now() - moment) / 1e6


def figures(data: Path, config: Config) -> Mapping[tuple[str, str], Figure]:
    found = report(app.DataFolder.existing(data), config, SystemClock(), 0)
    return {(each.name, each.sink): each for each in found.figures}


def value(found: Mapping[tuple[str, str], Figure], name: str, sink: str = STREAMED) -> float:
    given = found[name, sink].value
    assert given is not None
    return given


@pytest.fixture
def config(config_file: Path) -> Config:
    snowflake = load(config_file).snowflake
    return Config(sinks=("iceberg", "snowflake"), snowflake=snowflake, spool=SpoolConfig(reserve_gb=0.0))


def test_rows_are_as_old_as_snowflake_let_them_be_also_over_a_restart(
    tmp_path: Path, config: Config, config_file: Path, emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    longest = max(carried(data, config), carried(data, config))
    at_once = figures(data, config)
    assert 0 < value(at_once, "body to row, half") <= value(at_once, "body to row, 99 %") <= longest
    assert at_once["body to row, 99 %", STREAMED].promised == 10
    assert at_once["body to row, 99 %", "iceberg"].promised == 30

    emulator.storage.commit_delay_s = DELAY_S
    took = carried(data, config, (LATER,))
    delayed = figures(data, config)
    assert value(delayed, "body to row, half") <= longest
    assert DELAY_S <= value(delayed, "body to row, 99 %") <= max(took, longest)
    assert delayed["body to row, 99 %", STREAMED].met is (value(delayed, "body to row, 99 %") <= 10)

    # Iceberg has it, Snowflake stands still: it is as old as it is, and late, before it ever comes.
    emulator.faults.is_frozen = True
    carried(data, config, (LATEST,), until_settled=False)
    frozen = figures(data, config)
    assert value(frozen, "body to row, 99 %") > 290
    assert frozen["body to row, 99 %", STREAMED].met is False
    emulator.faults.is_frozen = False

    emulator.storage.commit_delay_s = 0.0
    monkeypatch.setattr(writer, "ASK_S", 0.2)
    files = msgspec.structs.replace(config.snowflake, ingestion_method="snowpipe", batch_seconds=1.0)
    carried(data, msgspec.structs.replace(config, snowflake=files))
    config_file.write_text(config_file.read_text() + '\ningestion_method = "snowpipe"\n')
    told = as_told(data, config_file)
    assert {(each["name"], each["promised"]) for each in told if each["sink"] == BOTH} == {
        ("body to row, half", 30),
        ("body to row, 99 %", 30),
        ("availability", 0.999),
    }
    assert all(0 < each["value"] < 60 for each in told if each["sink"] == BOTH and each["unit"] == "s"), told


def as_told(data: Path, config_file: Path) -> list[dict[str, Any]]:
    place = ["--data", str(data), "--config", str(config_file)]
    shown = CliRunner().invoke(commands, ["report", *place], standalone_mode=False)
    assert BOTH in shown.output
    told = CliRunner().invoke(commands, ["report", "--json", *place], standalone_mode=False)
    return list(json.loads(told.output)["figures"])


def test_a_folder_that_never_reached_snowflake_says_unknown_and_missed(
    tmp_path: Path, config: Config, emulator: EmulatorServer
) -> None:
    data = tmp_path / "data"
    carried(data, msgspec.structs.replace(config, sinks=("iceberg",)))
    assert {sink for _, sink in figures(data, msgspec.structs.replace(config, sinks=("iceberg",)))} == {"", "iceberg"}
    assert not (data / FOLDER).exists()
    found = figures(data, config)
    assert found["body to row, half", STREAMED].met is None
    assert found["availability", STREAMED].met is False
    assert emulator.faults.happened == {}


@pytest.mark.parametrize("is_away", [False, True])
def test_what_a_version_that_wrote_nothing_down_brought_is_told_apart_and_hides_nothing_since(
    tmp_path: Path, config: Config, config_file: Path, emulator: EmulatorServer, is_away: bool
) -> None:
    data = tmp_path / "data"
    carried(data, config, minutes=9)
    shutil.rmtree(data / FOLDER)
    clock = Earlier(6)
    with app.writing(data, config, clock) as work:
        work.note_settings()
        for clock.minutes in (6, 3):
            polls = [Poll(feed_id=feed, fetched_at=clock.now()) for feed in FEEDS]
            work.append([(poll, body(0, poll.feed_id, clock.now() // 1_000_000)) for poll in polls])
            if is_away:
                work.pipelines[0].step()  # Iceberg's: the other has not even opened
            else:
                work.drain(app.Totals())
    found = report(app.DataFolder.existing(data), config, SystemClock(), 0)
    (availability,) = (each for each in found.figures if (each.name, each.sink) == ("availability", STREAMED))
    began = recorded_from(data / FOLDER) or 0
    assert availability.not_recorded == -((found.since - began) // MINUTE_US) * len(FEEDS) > 0
    assert availability.met is False  # of the minutes between
    assert not is_away or availability.value == 0
    place = ["--data", str(data), "--config", str(config_file)]
    shown = CliRunner().invoke(commands, ["report", *place], standalone_mode=False)
    apart = f"{STREAMED}: {availability.not_recorded} pairs of feed and minute are neither kept nor missed"
    assert apart in shown.output


def test_with_snowflake_alone_the_log_says_what_there_was_to_bring(
    tmp_path: Path, config: Config, config_file: Path, emulator: EmulatorServer
) -> None:
    both, alone = tmp_path / "both", tmp_path / "alone"
    only = msgspec.structs.replace(config, sinks=("snowflake",))
    moment = Earlier(5).now()
    polls = [(Poll(feed_id=feed, fetched_at=moment), body(0, feed, moment // 1_000_000)) for feed in FEEDS]
    found = {}
    for data, configured in ((both, msgspec.structs.replace(config, sinks=("iceberg",))), (alone, only)):
        with app.writing(data, configured, Earlier(5)) as work:
            work.note_settings()
            work.drain(app.Totals())
            work.append(list(polls))
            work.drain(app.Totals())
        found[data] = report(app.DataFolder.existing(data), configured, SystemClock(), 0)
    assert {(each.name, each.sink) for each in found[alone].figures} == {
        *((name, "") for name in ("records a minute", "valid (profile)", "valid (strict)")),
        *((name, STREAMED) for name in ("body to row, half", "body to row, 99 %", "availability")),
    }
    same = [{e.name: e.value for e in each.figures if e.sink == ""} for each in found.values()]
    assert same[0] == same[1]
    assert found[alone].records == found[both].records > 1000
    assert 0 < value(figures(alone, only), "body to row, 99 %") < 60
    assert {each.feed_id for each in found[alone].feeds} == set(FEEDS)
    assert all(each.published == 1 for each in found[alone].feeds)

    # Polls of a day ago are not decoded again, and their feeds are missed since.
    tomorrow = FakeClock(moment + 24 * 60 * MINUTE_US)
    later = report(app.DataFolder.existing(alone), only, tomorrow, tomorrow.now() - 60 * MINUTE_US)
    assert (later.messages, later.records) == (0, 0)
    assert [each.not_run for each in later.feeds] == [59, 59]
    for command in ([], ["--config", str(config_file)]):  # the folder says so, whatever the configuration knows
        shown = CliRunner().invoke(commands, ["report", "--data", str(alone), *command], standalone_mode=False)
        assert f"minutes by feed ({STREAMED})" in shown.output
        assert "ERROR_TABLE" in shown.output
