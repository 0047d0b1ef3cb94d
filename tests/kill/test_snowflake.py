"""kill -9 of ourselves and of the emulator, in any order: Iceberg and Snowflake end with the same rows, once each."""

import os
import socket
import sys
import time
from pathlib import Path
from random import Random

import pytest

from tests.faults.process import Child, Victim, eventually
from tests.live.configured import configured
from thirdrail import app
from thirdrail.app.data_folder import SIMULATED
from thirdrail.city.server import CityServer
from thirdrail.cli.rehearse import compared_folders
from thirdrail.config.reading import load
from thirdrail.emulator.looking import query
from thirdrail.emulator.server import EmulatorServer
from thirdrail.observe.clock import SystemClock

KILLS = int(os.environ.get("THIRDRAIL_SNOWFLAKE_KILLS", "4"))
FEEDS = ("subway_g", "subway_l", "subway_jz")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def committed(folder: Path) -> int:
    sent = "SELECT (SELECT coalesce(sum(inserted), 0) FROM channels) + (SELECT coalesce(sum(rows), 0) FROM submitted)"
    return int(query(folder, f"{sent} AS n")["n"][0].as_py())


@pytest.mark.parametrize("methods", [("snowpipe_streaming",), ("snowpipe", "snowpipe", "snowpipe_streaming")])
def test_kills_of_either_side_leave_the_same_rows_in_both(tmp_path: Path, methods: tuple[str, ...]) -> None:
    random, port = Random(5), free_port()
    stand_in, data, path = tmp_path / "emulator", tmp_path / "data", tmp_path / "run.toml"
    emulator = [sys.executable, "-m", "thirdrail", "emulator", "serve", "--data", str(stand_in), "--port", str(port)]
    emulator += ["--commit-delay", "0.5"]
    with CityServer(seed=3) as city:
        configured(path, city, feeds=FEEDS, commit_interval_seconds=1, sinks=["iceberg", "snowflake"])
        section = EmulatorServer(stand_in, port=port).configuration().partition("[snowflake]")[2]
        text = path.read_text() + f"\n[snowflake]{section}\nretry_seconds = 2\nbatch_seconds = 1.0\n"
        server: Child | None = None
        try:
            for number in range(KILLS):
                if server is None:
                    server = Child(emulator, log=tmp_path / f"emulator-{number}.log").__enter__()
                    server.until_said("https://")
                path.write_text(f'{text}ingestion_method = "{methods[number % len(methods)]}"\n')
                before = committed(stand_in)
                with Victim(tmp_path / f"run-{number}.log", "run", "--data", str(data), "--config", str(path)) as run:
                    eventually(lambda before=before: committed(stand_in) > before, 60, "rows are committed")
                    time.sleep(random.uniform(0.0, 2.0))
                    if random.random() < 0.5:
                        server.kill()
                        server.__exit__(None, None, None)
                        server = None
                        time.sleep(random.uniform(0.0, 2.0))
                    run.kill()
            if server is None:
                server = Child(emulator, log=tmp_path / "emulator-last.log").__enter__()
                server.until_said("https://")
            with app.writing(data, load(path), SystemClock(), kinds=(SIMULATED, "live")) as work:
                work.drain(app.Totals())
        finally:
            if server is not None:
                server.kill()
                server.__exit__(None, None, None)
    found = compared_folders(data, stand_in)
    assert [each for each in found if not each.is_same] == []
    assert sum(each.here for each in found) > 1_000
    assert app.audit(app.DataFolder.existing(data), None).ok
