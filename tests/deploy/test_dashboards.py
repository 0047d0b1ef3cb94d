"""The dashboards: made by code, every expression takes part in PromQL, and each has data from a running system."""

import json
import re
import runpy
import shutil
import subprocess
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import promql_parser
import pytest

from tests.deploy.prometheus import running
from tests.faults.process import eventually
from tests.live.configured import configured
from thirdrail import app
from thirdrail.app.data_folder import SIMULATED
from thirdrail.app.measuring import not_live, not_ready, samples
from thirdrail.app.running import Run
from thirdrail.city.faults import Delivery
from thirdrail.city.server import CityServer
from thirdrail.config.feeds import polled
from thirdrail.config.reading import load
from thirdrail.emulator.server import EmulatorServer
from thirdrail.observe.clock import SystemClock
from thirdrail.observe.health import Health
from thirdrail.observe.metrics import METRICS, Page

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "grafana" / "dashboards"
MADE = runpy.run_path(str(ROOT / "scripts" / "dashboards.py"))
FEEDS = ("subway_g", "subway_l", "subway_jz")
SUFFIXES = re.compile(r"_(bucket|count|sum)$")


def expressions(name: str) -> list[tuple[str, str]]:
    """Give every panel's title and expression, with the step that Grafana would put in."""
    panels = json.loads((FOLDER / f"{name}.json").read_text())["panels"]
    return [
        (panel["title"], target["expr"].replace("$__rate_interval", "30s"))
        for panel in panels
        for target in panel.get("targets", ())
    ]


def test_the_files_are_what_the_code_makes() -> None:
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(MADE["DASHBOARDS"])
    for name in MADE["DASHBOARDS"]:
        assert (FOLDER / f"{name}.json").read_text() == MADE["built"](name), "python scripts/dashboards.py"


@pytest.mark.parametrize("name", MADE["DASHBOARDS"])
def test_every_expression_is_promql_over_declared_metrics(name: str) -> None:
    known = {metric.name for metric in METRICS}
    for title, expression in expressions(name):
        promql_parser.parse(expression)
        for metric in re.findall(r"thirdrail_\w+", expression):
            assert {metric, SUFFIXES.sub("", metric)} & known, (title, metric)


def test_every_metric_is_on_a_dashboard() -> None:
    shown = "\n".join(expression for name in MADE["DASHBOARDS"] for _, expression in expressions(name))
    assert [metric.name for metric in METRICS if metric.name not in shown] == []


def test_the_source_is_a_variable_and_what_is_not_configured_says_so() -> None:
    for path in FOLDER.iterdir():
        board = json.loads(path.read_text())
        assert [each["name"] for each in board["templating"]["list"]] == ["source"]
        for panel in board["panels"]:
            if panel["type"] != "row":
                assert panel["datasource"]["uid"] == "${source}"
                assert panel["description"]
                if path.stem == "snowflake":
                    assert panel["fieldConfig"]["defaults"]["noValue"] == "not configured"


class FailingCity(CityServer):
    """A city whose first feed is garbage and whose second is an error, once told so."""

    is_failing = False

    def answer(self, path: str) -> Delivery:
        """Give what a path gets."""
        if self.is_failing and path == urlsplit(self.url_of(FEEDS[0])).path:
            return Delivery(b"garbage")
        if self.is_failing and path == urlsplit(self.url_of(FEEDS[1])).path:
            return Delivery(b"", status=500)
        return super().answer(path)


@contextmanager
def system(folder: Path) -> Iterator[tuple[FailingCity, str]]:
    """Give a city and the address of a run that carries it into Iceberg and a stand-in for Snowflake."""
    clock, stopping = SystemClock(), threading.Event()
    with FailingCity(seed=6) as city, EmulatorServer(folder / "emulator", commit_delay_s=0.2) as emulator:
        path = configured(
            folder / "run.toml", city, feeds=FEEDS, commit_interval_seconds=1, sinks=["iceberg", "snowflake"]
        )
        section = emulator.configuration().partition("[snowflake]")[2]
        path.write_text(f"{path.read_text()}\n[maintenance]\nevery_seconds = 2.0\n[snowflake]{section}\n")
        config = load(path)
        with app.writing(folder / "data", config, clock, kinds=(SIMULATED,)) as work:
            run = Run(work, polled(config, environment={}), clock, lambda _: None, trust_environment=False)
            thread = threading.Thread(target=run.until_stopped, args=(stopping, lambda: None))
            thread.start()
            page = Page(lambda: samples(run))
            try:
                with Health(("127.0.0.1", 0), page, lambda: not_live(run), lambda: not_ready(run)) as health:
                    yield city, health.url
            finally:
                stopping.set()
                thread.join(60)


def asked(prometheus: str, expression: str) -> list[dict[str, object]]:
    query = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"{prometheus}/api/v1/query?{query}", timeout=10) as answer:
        return list(json.loads(answer.read())["data"]["result"])


def value(prometheus: str, expression: str) -> float:
    found = asked(prometheus, expression)
    return sum(float(each["value"][1]) for each in found)  # type: ignore[index]


def complaints(page: bytes) -> str:
    """Give what Prometheus' own tool dislikes in the names and texts of a page of metrics."""
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False, timeout=60)
    return (done.stdout + done.stderr).decode()


needs_prometheus = pytest.mark.skipif(
    not shutil.which("prometheus"), reason="Prometheus (apt-get install prometheus prometheus-alertmanager)"
)


@needs_prometheus
def test_promtool_complains_of_names_that_are_not_prometheus_way() -> None:
    counter = b"# HELP thirdrail_polls polls\n# TYPE thirdrail_polls counter\nthirdrail_polls 1\n"
    assert '"_total" suffix' in complaints(counter)


@needs_prometheus
def test_every_panel_has_data_promtool_likes_all_metrics_and_faults_of_the_feeds_move_them(tmp_path: Path) -> None:
    with system(tmp_path) as (city, url), running(tmp_path / "prometheus", url) as prometheus:
        wanted = [(name, *each) for name in MADE["DASHBOARDS"] for each in expressions(name)]

        def without_data() -> list[tuple[str, str, str]]:
            return [each for each in wanted if not asked(prometheus, each[2])]

        eventually(lambda: not without_data(), 90, f"every panel has data, also {without_data()}")
        with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
            served = answer.read()
        absent = {metric.name for metric in METRICS if f"# HELP {metric.name} " not in served.decode()}
        assert absent <= {"thirdrail_clock_offset_seconds"}
        assert complaints(served) == ""
        refused = 'sum(thirdrail_quarantined_total{sink="iceberg"})'
        failed = 'sum(thirdrail_polls_total{outcome!~"ok|duplicate"})'
        before = (value(prometheus, refused), value(prometheus, failed))
        city.is_failing = True
        eventually(
            lambda: value(prometheus, refused) > before[0] and value(prometheus, failed) > before[1],
            60,
            "faults show",
        )
