"""Rows made by several processes are those that one makes, and a process that dies costs time alone."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.clock import FakeClock
from tests.faults.process import Victim, run_once
from tests.live.configured import configured
from thirdrail import app
from thirdrail.app.data_folder import SIMULATED
from thirdrail.city.messages import body
from thirdrail.city.server import SERVED, CityServer
from thirdrail.config.settings import Config
from thirdrail.errors import WorkerGone
from thirdrail.model.records import Poll
from thirdrail.model.tables import QUARANTINE, TABLES
from thirdrail.pipeline.workers import Workers, owner
from thirdrail.query.warehouse import open_warehouse
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.sink import IcebergWriter

AT = 1_790_000_000
FEEDS = [feed_id for feed_id in SERVED if not feed_id.startswith("bus_v")]


def polls() -> list[tuple[Poll, bytes]]:
    found = [(feed_id, AT + later, body(0, feed_id, AT + later)) for later in (0, 30) for feed_id in FEEDS]
    found.append(("subway_l", AT + 40, body(0, "subway_l", AT + 40)[:-40]))
    return [(Poll(feed_id=feed_id, fetched_at=at * 1_000_000), content) for feed_id, at, content in found]


def filled(folder: Path, workers: int) -> Path:
    """Take everything in, with a change of history in between and a replay order at the end."""
    with app.writing(folder, Config(workers=workers), FakeClock(), kinds=(SIMULATED,)) as work:
        work.note_settings()
        records = polls()
        work.append(list(records[:20]))
        work.note_settings("every_poll")
        work.append(list(records[20:]))
        work.drain(app.Totals())
    return folder


def test_two_workers_make_the_rows_that_one_process_makes(tmp_path: Path) -> None:
    alone, shared = (open_catalog(filled(tmp_path / name, n), create=False) for name, n in (("a", 1), ("b", 2)))

    for table in TABLES:
        names = [name for name in table.names() if name not in ("capture_log", "quarantine_id")]
        query = f"SELECT {', '.join(names)} FROM {table.name} ORDER BY ALL"
        left, right = (open_warehouse(catalog).sql(query) for catalog in (alone, shared))
        assert left.equals(right), table.name
        assert len(left) > 0 or table.name in ("siri_onward_calls", "siri_situations", QUARANTINE.name), table.name
    for name in ("a", "b"):
        assert app.audit(app.DataFolder.existing(tmp_path / name), None).ok


def test_a_death_between_two_tables_is_no_obstacle_to_a_log_that_has_grown_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables are at different positions, and the next span is longer than that which was cut short."""
    real, commits = IcebergWriter.commit_prepared, iter(range(4))

    def dies(self: IcebergWriter, *given: Any) -> None:
        if next(commits, None) is None:
            raise KeyboardInterrupt
        real(self, *given)

    config, records = Config(workers=2), polls()
    with app.writing(tmp_path / "d", config, FakeClock(), kinds=(SIMULATED,)) as work:
        work.note_settings()
        work.append(list(records[:15]))
        monkeypatch.setattr(IcebergWriter, "commit_prepared", dies)
        with pytest.raises(KeyboardInterrupt):
            work.drain(app.Totals())
        monkeypatch.undo()
        assert len(set(work.pipelines[0].positions.values())) > 1, "tables are at different positions"
        work.append(list(records[15:]))
        work.drain(app.Totals())
    assert app.audit(app.DataFolder.existing(tmp_path / "d"), None).ok


def test_every_feed_has_one_worker_and_the_heaviest_has_one_for_itself() -> None:
    for workers in (1, 2, 3, 7):
        owners = {feed_id: owner(feed_id, workers) for feed_id in SERVED}
        assert set(owners.values()) <= set(range(workers))
        beside = [feed_id for feed_id, number in owners.items() if number == owners["bus_trip_updates"]]
        assert workers == 1 or beside == ["bus_trip_updates"]


def test_a_worker_that_is_killed_is_an_error_and_the_next_try_loses_nothing(tmp_path: Path) -> None:
    with app.writing(tmp_path / "d", Config(workers=2), FakeClock(), kinds=(SIMULATED,)) as work:
        work.note_settings()
        work.append(list(polls()))
        maker = work.pipelines[0]._making()
        assert isinstance(maker, Workers)
        os.kill(maker._processes[1].pid or 0, signal.SIGKILL)
        with pytest.raises(WorkerGone, match="worker 1 of 2 has ended"):
            work.pipelines[0].step()
        assert work.pipelines[0].position == 0
        work.pipelines[0].open()
        work.drain(app.Totals())
    assert app.audit(app.DataFolder.existing(tmp_path / "d"), None).ok


def children(pid: int) -> set[int]:
    lists = Path(f"/proc/{pid}/task").glob("*/children")  # the kernel lists them by the thread that began them
    return {int(child) for listed in lists for child in listed.read_text().split()}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_the_process_that_began_them(tmp_path: Path, sent: signal.Signals) -> None:
    data = tmp_path / "d"
    with CityServer(seed=1) as city:
        config = configured(tmp_path / "run.toml", city, workers=2, commit_interval_seconds=1)
        with Victim(tmp_path / "run.log", "run", "--data", str(data), "--config", str(config)) as run:
            run.until(lambda: len(children(run.process.pid)) >= 2 and "rows" in run.output, 30, "workers make rows")
            workers = children(run.process.pid)
            run.send(sent)
            run.ends(15)
            deadline = time.monotonic() + 10
            while any(map(is_alive, workers)) and time.monotonic() < deadline:
                time.sleep(0.05)
            assert not any(map(is_alive, workers))
        again = run_once("run", "--for", "3s", "--data", str(data), "--config", str(config))
        assert again.returncode == 0, again.stderr
    assert app.audit(app.DataFolder.existing(data), None).ok


def test_five_kills_under_load_lose_and_double_nothing(tmp_path: Path) -> None:
    data = tmp_path / "d"
    with CityServer(seed=2) as city:
        config = configured(tmp_path / "run.toml", city, workers=2, commit_interval_seconds=0.2, interval=1)
        for number in range(5):
            with Victim(tmp_path / "run.log", "run", "--data", str(data), "--config", str(config)) as run:
                run.until(lambda: len(children(run.process.pid)) >= 2, 30, "workers have begun")
                time.sleep(1.5 + 0.37 * number)
                run.kill()
        assert run_once("run", "--for", "3s", "--data", str(data), "--config", str(config)).returncode == 0
    report = app.audit(app.DataFolder.existing(data), None)
    assert report.ok, report
    assert report.captures > 8
