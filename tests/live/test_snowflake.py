"""Snowflake says SUCCESS and stands still: it is noticed, Iceberg does not wait, and all is caught up by itself."""

import os
import threading
import time
from pathlib import Path

from tests.faults.process import eventually
from tests.live.configured import configured
from thirdrail import app
from thirdrail.app.data_folder import SIMULATED
from thirdrail.app.measuring import not_live, not_ready
from thirdrail.app.running import Run
from thirdrail.city.server import CityServer
from thirdrail.cli.rehearse import compared_folders
from thirdrail.config.feeds import polled
from thirdrail.config.reading import load
from thirdrail.emulator.server import EmulatorServer
from thirdrail.observe.clock import SystemClock
from thirdrail.observe.logs import Event

FROZEN_SECONDS = float(os.environ.get("THIRDRAIL_FROZEN_SECONDS", "8"))
FEEDS = ("subway_g", "subway_l", "subway_jz")
CAUGHT_UP_A_SECOND = 20
"""Captures, on a busy machine: 40 were seen."""


def test_a_frozen_snowflake_is_noticed_and_delays_nothing_else(tmp_path: Path) -> None:
    said: list[Event] = []
    clock, stopping = SystemClock(), threading.Event()
    ages: list[float] = []
    with CityServer(seed=4) as city, EmulatorServer(tmp_path / "emulator", commit_delay_s=0.2) as emulator:
        path = configured(
            tmp_path / "run.toml", city, feeds=FEEDS, commit_interval_seconds=1, sinks=["iceberg", "snowflake"]
        )
        section = emulator.configuration().partition("[snowflake]")[2]
        path.write_text(path.read_text() + f"\n[snowflake]{section}\nstuck_seconds = 2\n")
        config = load(path)
        with app.writing(tmp_path / "data", config, clock, kinds=(SIMULATED,)) as work:
            run = Run(work, polled(config, environment={}), clock, said.append)
            iceberg, snowflake = run.carriers
            thread = threading.Thread(target=run.until_stopped, args=(stopping, lambda: None))
            thread.start()
            try:
                eventually(lambda: snowflake.state.committed_at and iceberg.state.committed_at, 60, "both have rows")
                emulator.faults.is_frozen = True
                frozen_at = time.monotonic()
                before = run.lag(snowflake)
                eventually(lambda: "says SUCCESS" in snowflake.state.trouble, 30, "it is noticed")
                noticed_after = time.monotonic() - frozen_at
                assert "says SUCCESS" in not_ready(run)["sink snowflake"]
                assert not_live(run) == {}
                while time.monotonic() - frozen_at < FROZEN_SECONDS:
                    newest = iceberg.state.newest_fetched_at
                    assert newest is not None
                    ages.append((clock.now() - newest) / 1e6)
                    assert not iceberg.state.trouble
                    time.sleep(0.1)
                behind = run.lag(snowflake)
                emulator.faults.is_frozen = False
                within_s = 60 + behind / CAUGHT_UP_A_SECOND
                eventually(
                    lambda: run.lag(snowflake) <= len(FEEDS) and not snowflake.state.trouble, within_s, "it catches up"
                )
            finally:
                emulator.faults.is_frozen = False
                stopping.set()
                thread.join(60)
            work.drain(app.Totals())
    assert noticed_after < 15
    assert any("snowflake: " in str(event) and "says SUCCESS" in str(event) for event in said)
    assert not [event for event in said if event.declared.name == "part_restarted"], "standing still is no hanging"
    assert max(ages) < 5, "Iceberg waited for Snowflake"
    # What Snowflake has not is what was polled meanwhile: three feeds, once a second.
    assert before < behind <= before + len(FEEDS) * (FROZEN_SECONDS + noticed_after + 5)
    found = compared_folders(tmp_path / "data", tmp_path / "emulator")
    assert [each for each in found if not each.is_same] == []
