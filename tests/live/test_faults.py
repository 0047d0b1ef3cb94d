"""What is done to a running `run`: its network cut, its disk full, failing or read-only, its clock moved.

Each time: a clear message, nothing lost, and recovery without hands once the cause is gone.
"""

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.clocks import ShiftedClock
from tests.faults.disk import SmallDisk
from tests.faults.process import Victim, run_here, run_once
from tests.faults.proxy import BlackHole, FaultProxy, Passing, Refusing, Reset
from tests.faults.syscalls import FailingSyscalls
from tests.live.configured import configured
from thirdrail import app
from thirdrail.app.data_folder import LIVE
from thirdrail.app.running import Run
from thirdrail.city.lines import ROUTES
from thirdrail.city.server import CityServer
from thirdrail.config.feeds import polled
from thirdrail.config.reading import load
from thirdrail.model.records import Poll
from thirdrail.observe.clock import SystemClock
from thirdrail.observe.logs import Event

FEEDS = len(ROUTES)
DAY_S = 86_400.0
# How long the network stays cut each time; `make crash` cuts it for two minutes.
CUT_SECONDS = float(os.environ.get("THIRDRAIL_CUT_SECONDS", "0"))
WELL = {"ok", "duplicate"}


def rows(data: Path) -> int:
    found = run_here("tables", "--json", "--data", data)
    return sum(table["rows"] for table in json.loads(found.stdout)) if found.returncode == 0 else 0


def audited(data: Path) -> dict[str, object]:
    found = run_here("audit", "--json", "--data", data)
    assert found.stdout, found.stderr
    report: dict[str, object] = json.loads(found.stdout)
    assert (report["ok"], report["pending"]) == (True, 0), report
    return report


def outcomes(data: Path) -> list[str]:
    """The outcomes of every poll, in order."""
    listed = json.loads(run_here("captures", "list", "--json", "--limit", "100000", "--data", data).stdout)
    return [capture["outcome"] for capture in reversed(listed) if "outcome" in capture]


def test_a_cut_network_is_said_and_polling_comes_back_by_itself(tmp_path: Path) -> None:
    data = tmp_path / "d"
    with CityServer(seed=1) as city, FaultProxy("127.0.0.1", int(city.url.rpartition(":")[2])) as proxy:
        config = configured(tmp_path / "run.toml", city, port=proxy.port, commit_interval_seconds=0.5)
        with Victim(tmp_path / "run.log", "run", "--data", str(data), "--config", str(config)) as run:
            run.until(lambda: proxy.connections > 0 and rows(data) > 0, 30, "rows arrive")
            for fault in (Refusing(), BlackHole(), Reset()):
                proxy.be(fault)
                run.until(lambda: outcomes(data)[-3:].count("network_error") >= 2, 30, f"{fault} is noticed")
                lasts = threading.Timer(CUT_SECONDS, proxy.be, [Passing()])
                lasts.start()
                run.until(lambda timer=lasts: not timer.is_alive(), CUT_SECONDS + 30, f"{fault} ends")
                run.until(lambda: WELL.issuperset(outcomes(data)[-FEEDS:]), 60, f"{fault} is over")
            run.send(15)
            assert run.ends(10) == 0
        assert "Traceback" not in run.output
    audited(data)
    assert {"ok", "network_error"} <= set(outcomes(data))


def test_a_full_disk_loses_nothing_and_all_goes_on_when_there_is_space(tmp_path: Path) -> None:
    with SmallDisk(tmp_path / "disk", 40) as disk, CityServer(seed=1) as city:
        data = disk.path / "d"
        config = configured(tmp_path / "run.toml", city, commit_interval_seconds=0.5)
        with Victim(tmp_path / "run.log", "run", "--data", str(data), "--config", str(config)) as run:
            run.until(lambda: rows(data) > 0, 30, "rows arrive")
            disk.fill()
            run.until_said("no space left", 30)
            disk.free()
            before = len(outcomes(data))
            run.until(lambda: len(outcomes(data)) > before + 2 * FEEDS, 60, "polls are kept again")
            run.send(15)
            assert run.ends(15) == 0
        assert "Traceback" not in run.output
        audited(data)


def test_polling_pauses_below_the_reserve_and_what_is_in_the_log_is_committed(tmp_path: Path) -> None:
    with SmallDisk(tmp_path / "disk", 60) as disk, CityServer(seed=1) as city:
        data = disk.path / "d"
        config = configured(tmp_path / "run.toml", city, commit_interval_seconds=0.5)
        config.write_text(config.read_text().replace("reserve_gb = 0.0", "reserve_gb = 0.02"))
        with Victim(tmp_path / "run.log", "run", "--data", str(data), "--config", str(config)) as run:
            run.until(lambda: rows(data) > 0, 30, "rows arrive")
            with (disk.path / "more").open("wb") as file:
                file.write(bytes(35 << 20))
            run.until_said("polling pauses", 20)
            run.until(lambda: json.loads(status(data, config))["lag"] == 0, 20, "the log is drained")
            assert json.loads(status(data, config))["is_paused"]
            (disk.path / "more").unlink()
            before = len(outcomes(data))
            run.until(lambda: len(outcomes(data)) > before, 20, "polling goes on")
            run.send(15)
            assert run.ends(15) == 0
        audited(data)


def status(data: Path, config: Path) -> str:
    return run_here("status", "--json", "--data", data, "--config", config).stdout


def test_a_disk_that_fails_to_write_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    """EIO from every fsync and write call, for seconds: the log leaps over what it cannot trust, the tables wait."""
    data = tmp_path / "d"
    with CityServer(seed=1) as city:
        config = configured(tmp_path / "run.toml", city, commit_interval_seconds=0.5)
        with Victim(tmp_path / "run.log", "run", "--data", str(data), "--config", str(config)) as run:
            run.until(lambda: rows(data) > 0, 30, "rows arrive")
            with FailingSyscalls(run.process.pid, "fsync,fdatasync", "EIO"):
                run.until(lambda: "tried again" in run.output or "nothing is committed" in run.output, 30, "it is said")
            before = len(outcomes(data))
            run.until(lambda: len(outcomes(data)) > before + 2 * FEEDS, 60, "polls are kept again")
            run.send(15)
            assert run.ends(15) == 0
        assert "Traceback" not in run.output
    audited(data)


def test_a_disk_that_becomes_read_only_can_be_read_and_is_written_again_later(tmp_path: Path) -> None:
    with SmallDisk(tmp_path / "disk", 60) as disk, CityServer(seed=1) as city:
        data = disk.path / "d"
        config = configured(tmp_path / "run.toml", city, commit_interval_seconds=0.5)
        arguments = ("run", "--data", str(data), "--config", str(config))
        assert run_once(*arguments, "--for", "5s").returncode == 0
        disk.be_read_only(is_read_only=True)
        assert rows(data) > 0
        assert run_here("status", "--data", data).returncode == 0
        assert run_here("sql", "SELECT count(*) FROM trips_now", "--data", data).returncode == 0
        audited(data)
        refused = run_here(*arguments, "--for", "1s")
        assert (refused.returncode, "cannot be written" in refused.stderr) == (2, True)
        disk.be_read_only(is_read_only=False)
        before = rows(data)
        assert run_once(*arguments, "--for", "5s").returncode == 0
        assert rows(data) > before
        audited(data)


def test_a_clock_two_days_ahead_and_two_hours_back_loses_nothing(tmp_path: Path) -> None:
    clock, said = ShiftedClock(SystemClock()), list[Event]()
    with CityServer(seed=1) as city:
        config = load(configured(tmp_path / "run.toml", city, interval=1, commit_interval_seconds=0.5))
        with app.writing(tmp_path / "d", config, clock, kinds=(LIVE,)) as work:
            run = Run(work, polled(config, environment={}), clock, said.append, trust_environment=False)
            stopping = threading.Event()
            moves = iter([(3.0, 2 * DAY_S), (6.0, -7_200.0), (9.0, 0.0)])
            run.until_stopped(stopping, mover(clock, moves, stopping))
            polls = [entry.record for entry in work.log.headers(0, 100_000) if isinstance(entry.record, Poll)]

    assert any("ahead of" in str(event) for event in said)
    times = [poll.fetched_at for poll in polls]
    assert max(times) - min(times) > 2 * DAY_S * 1_000_000
    assert len(polls) > 6 * FEEDS
    report = app.audit(app.DataFolder.existing(tmp_path / "d"), None)
    assert report.ok, report
    assert (report.captures, report.pending) == (len(polls), 0), [*map(str, said)]


def mover(clock: ShiftedClock, moves: object, stopping: threading.Event) -> Callable[[], None]:
    """Give a look that moves the clock at set times, and stops a while after the last move."""
    began = time.monotonic()
    waiting = list(moves)  # type: ignore[call-overload]

    def look() -> None:
        spent = time.monotonic() - began
        if waiting and spent > waiting[0][0]:
            clock.offset_seconds = waiting.pop(0)[1]
        if spent > 12:
            stopping.set()

    return look
