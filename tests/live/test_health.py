"""A run as its watcher sees it: every declared metric, numbers that agree with the tables, readiness that means it."""

import json
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.faults.process import Victim, eventually
from tests.live.configured import configured
from thirdrail import app
from thirdrail.app.data_folder import SIMULATED
from thirdrail.app.measuring import not_live, not_ready, samples
from thirdrail.app.running import Run
from thirdrail.city.server import CityServer
from thirdrail.config.feeds import polled
from thirdrail.config.reading import load
from thirdrail.model.tables import FEED_MESSAGES, TABLES
from thirdrail.observe.clock import SystemClock
from thirdrail.observe.logs import Event
from thirdrail.observe.metrics import METRICS, Buckets

FEEDS = ("subway_g", "subway_l")


def asked(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_what_is_measured_is_declared_all_of_it_and_agrees_with_the_tables(tmp_path: Path) -> None:
    said: list[Event] = []
    clock, stopping = SystemClock(), threading.Event()
    with CityServer(seed=7) as city:
        path = configured(tmp_path / "run.toml", city, feeds=FEEDS, commit_interval_seconds=0.5)
        path.write_text(f"{path.read_text()}\n[maintenance]\nevery_seconds = 1.0\n")
        config = load(path)
        with app.writing(tmp_path / "data", config, clock, kinds=(SIMULATED,)) as work:
            run = Run(work, polled(config, environment={}), clock, said.append, trust_environment=False)
            thread = threading.Thread(target=run.until_stopped, args=(stopping, lambda: None))
            thread.start()
            eventually(lambda: run.state.totals.captures > 8 and run.caretaker.rounds, 30, "captures are carried")
            assert not_live(run) == {}
            assert not_ready(run) == {}
            stopping.set()
            thread.join(30)
            found = list(samples(run))
    missing = {metric.name for metric in METRICS} - {sample.name for sample in found}
    assert missing <= {"thirdrail_clock_offset_seconds"}
    folder = app.DataFolder.existing(tmp_path / "data")
    ages = next(s.value for s in found if s.name == "thirdrail_row_age_seconds")
    assert isinstance(ages, Buckets)
    assert ages.cumulated()[-1] == ("+Inf", app.pinned(folder, FEED_MESSAGES).rows)
    written = {s.labels[1]: s.value for s in found if s.name == "thirdrail_rows_written_total"}
    assert {name: rows for name, rows in written.items() if rows} == {
        table.name: app.pinned(folder, table).rows for table in TABLES if app.pinned(folder, table).rows
    }
    report = app.audit(folder, None)
    assert report.ok
    assert sum(written.values()) == report.rows_found


def test_a_city_that_falls_silent_is_not_our_fault_and_a_thread_that_ends_is(tmp_path: Path) -> None:
    with CityServer(seed=8) as city:
        config = load(configured(tmp_path / "run.toml", city, feeds=FEEDS, commit_interval_seconds=0.5))
        with app.writing(tmp_path / "data", config, SystemClock(), kinds=(SIMULATED,)) as work:
            run = Run(work, polled(config, environment={}), SystemClock(), lambda _: None, trust_environment=False)
            assert not_live(run) == {}, "nothing has ended before it began"
            stopping = threading.Event()
            thread = threading.Thread(target=run.until_stopped, args=(stopping, lambda: None))
            thread.start()
            eventually(lambda: run.state.totals.captures > 2, 30, "captures are carried")
            city.close()
            time.sleep(1.0)
            assert not_ready(run) == {}
            stopping.set()
            thread.join(30)
            assert set(not_live(run)) == {"sink iceberg"}


def test_the_port_answers_while_tables_are_kept_and_one_that_is_taken_is_said(tmp_path: Path) -> None:
    with CityServer(seed=9) as city, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        path = configured(tmp_path / "run.toml", city, feeds=FEEDS, commit_interval_seconds=1)
        options = ("--data", str(tmp_path / "data"), "--config", str(path))
        with Victim(tmp_path / "log", "run", *options, "--listen", "127.0.0.1:0") as run:
            run.until_said("metrics and health at ", 30)
            url = run.output.partition("metrics and health at ")[2].split("/health")[0]
            for line in (r'captures_carried_total\{sink="iceberg"\} [1-9]', r"polls_total\{"):
                eventually(lambda line=line: re.search(line, asked(f"{url}/metrics")[1]), 30, line)
            assert asked(f"{url}/livez")[0] == asked(f"{url}/readyz")[0] == 200
            assert json.loads(asked(f"{url}/health")[1]) == {"ok": True, "not_well": {}}
            assert asked(f"{url}/nothing")[0] == 404
            families = list(text_string_to_metric_families(asked(f"{url}/metrics")[1]))
            assert {"thirdrail_polls", "thirdrail_lag_captures"} <= {family.name for family in families}
            run.terminate()
            assert run.ends(20) == 0
        port = taken.getsockname()[1]
        with Victim(tmp_path / "log2", "run", *options, "--listen", f"127.0.0.1:{port}") as run:
            assert run.ends(30) == 2
            assert f"127.0.0.1:{port} cannot be listened on" in run.output
