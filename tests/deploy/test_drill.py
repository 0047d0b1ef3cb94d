"""A drill: five faults of one run, one after another; the alert that tells of each, and the runbook's own way out."""

import json
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from tests.deploy.alerting import ROOT, Inbox, alertmanager, answers, inbox, needs_prometheus, prometheus, scraped
from tests.fakes.servers import free_port
from tests.faults.disk import SmallDisk
from tests.faults.process import Victim, eventually, run_here
from tests.faults.proxy import BlackHole, FaultProxy, Passing
from tests.live.configured import configured
from thirdrail.city.server import CityServer
from thirdrail.cli.rehearse import compared_folders
from thirdrail.emulator.server import EmulatorServer

FASTER = 40
"""How many times as fast rules and routes are; the program itself is not."""
FEEDS = ("subway_g", "subway_l")
PAGE_BYTES = 4096
RUNBOOKS = ROOT / "docs" / "runbooks"


class Drill:
    """A run that is watched, and what was measured."""

    def __init__(self, folder: Path, data: Path, config: Path, box: Inbox) -> None:
        self._folder, self._data, self._box = folder, data, box
        self.address = f"127.0.0.1:{free_port()}"
        self._options = ("--data", str(data), "--config", str(config))
        self._runs = 0
        self._stack = ExitStack()
        self.measured: list[tuple[str, str, float, float, str]] = []

    def start(self) -> None:
        """Start `thirdrail run`, the way it is always started."""
        self._runs += 1
        log = self._folder / f"run{self._runs}.log"
        self.run = self._stack.enter_context(Victim(log, "run", *self._options, "--listen", self.address))
        self.run.until(lambda: answers(f"http://{self.address}/livez"), 60, "it is up")

    def stop(self, code: int = 0) -> None:
        """SIGTERM, and wait."""
        self.run.terminate()
        assert self.run.ends(70) == code, self.run.output

    def close(self) -> None:
        self._stack.close()

    def calls(self, *command: str | Path) -> str:
        """Call a command that a runbook names; give what it said."""
        done = run_here(*command, "--data", self._data)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def _told(self, since: int, status: str) -> set[str]:
        """Give the alerts of a status that came to the webhook, from the so-manieth message on."""
        sent = [m["alerts"] for _, path, _, m in self._box.messages[since:] if path == "/alerts"]
        return {a["labels"]["alertname"] for alerts in sent for a in alerts if a["status"] == status}

    @contextmanager
    def fault(self, name: str, alert: str, does: str) -> Iterator[None]:
        """What is done within is the way out, in the words of the alert's runbook, begun when the alert has arrived.

        Afterwards its end arrives too, the run is ready, and the tables are the log.
        """
        page = (RUNBOOKS / f"{alert}.md").read_text().partition("## Do")[2].partition("## Afterwards")[0]
        assert does in " ".join(page.split())
        since, began = len(self._box.messages), time.monotonic()
        eventually(lambda: alert in self._told(since, "firing"), 90, f"{name}: {alert} arrives\n{self.run.output}")
        fired_s, mending = time.monotonic() - began, time.monotonic()
        yield
        eventually(lambda: alert in self._told(since, "resolved"), 120, f"{name}: {alert} ends\n{self.run.output}")
        ended_s = time.monotonic() - mending
        beside = ", ".join(sorted(self._told(since, "firing") - {alert})) or "none"
        self.run.until(lambda: answers(f"http://{self.address}/readyz"), 60, f"{name}: it is ready")
        report = json.loads(self.calls("audit", "--json", "--since", "2h"))
        assert report["ok"], (name, report)
        assert report["captures"] > 0
        self.measured.append((name, alert, fired_s, ended_s, beside))

    def table(self) -> str:
        """Give what was measured, as Markdown."""
        lines = [f"| fault | alert | after (s) | way out to its end (s) | beside it | rules {FASTER} times as fast |"]
        lines += [f"| {n} | {a} | {fired:.1f} | {ended:.1f} | {b} |" for n, a, fired, ended, b in self.measured]
        return "\n".join(lines)


def newest_day(data: Path) -> Path:
    return max(path for path in (data / "spool").glob("*.sqlite") if path.name[0].isdigit())


def corrupt(day: Path) -> None:
    """Overwrite all pages of a day of the log but the two first, as a disk may that lost power."""
    with closing(sqlite3.connect(day)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = day.stat().st_size
    assert size > 8 * PAGE_BYTES
    with day.open("r+b") as file:
        file.seek(2 * PAGE_BYTES)
        file.write(os.urandom(size - 2 * PAGE_BYTES))


@needs_prometheus
def test_the_drill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ExitStack() as stack:
        disk = stack.enter_context(SmallDisk(tmp_path / "disk", 200))
        box, city = stack.enter_context(inbox()), stack.enter_context(CityServer(seed=7))
        snowflake = stack.enter_context(EmulatorServer(tmp_path / "emulator", commit_delay_s=0.2))
        network = stack.enter_context(FaultProxy("127.0.0.1", int(city.url.rpartition(":")[2])))
        data, backup = disk.path / "data", tmp_path / "backup"
        config = configured(
            *(tmp_path / "run.toml", city),
            port=network.port,
            feeds=FEEDS,
            commit_interval_seconds=2,
            sinks=["iceberg", "snowflake"],
        )
        text = config.read_text().replace("reserve_gb = 0.0", "reserve_gb = 0.02")
        config.write_text(f"{text}\n[snowflake]{snowflake.configuration().partition('[snowflake]')[2]}\n")
        drill = Drill(tmp_path, data, config, box)
        stack.callback(drill.close)
        drill.start()
        drill.run.until(lambda: answers(f"http://{drill.address}/readyz"), 60, "it is ready")
        manager = stack.enter_context(alertmanager(tmp_path / "alertmanager", box, FASTER))
        targets = {"thirdrail": drill.address, "alertmanager": manager}
        server = stack.enter_context(prometheus(tmp_path / "prometheus", targets, FASTER))
        eventually(lambda: len(scraped(server, "thirdrail_newest_committed_timestamp_seconds")) == 2, 60, "commits")

        disk.fill()
        with drill.fault("disk full", "PollingPaused", "Free space that is not ours"):
            drill.calls("status")
            disk.free()

        drill.run.kill()
        with drill.fault("killed", "ThirdrailDown", "Start `thirdrail run` again"):
            assert "nobody just now" in drill.calls("status")
            drill.start()

        drill.stop()
        drill.calls("backup", backup)
        damaged = newest_day(data)
        corrupt(damaged)
        drill.start()
        with drill.fault(
            "day of the log corrupt", "SinkFailing", "put the file of the same name from the newest backup"
        ):
            drill.stop(1)
            assert f"{damaged}" in drill.run.output
            shutil.copy(backup / "data" / "spool" / damaged.name, damaged)
            for beside in ("-wal", "-shm"):
                damaged.with_name(damaged.name + beside).unlink(missing_ok=True)
            drill.start()

        network.be(BlackHole())
        with drill.fault("network cut", "NoFeedAnswers", "Mend the network, DNS or proxy"):
            network.be(Passing())

        snowflake.faults.is_frozen = True
        with drill.fault("sink frozen", "SinkNotMoving", "When it commits again all is caught up by itself"):
            drill.calls("snowflake", "status", "--config", config)
            snowflake.faults.is_frozen = False

        drill.stop()
        with capsys.disabled():
            sys.stdout.write(f"\n{drill.table()}\n")
        assert [each for each in compared_folders(data, tmp_path / "emulator") if not each.is_same] == []
