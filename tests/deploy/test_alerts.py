"""Alerts, from the rule to the message: rules and routes as the programs that use them judge them, then for real."""

import json
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import click
import pytest

from tests.deploy.alerting import (
    ALERTMANAGER,
    PROMETHEUS,
    ROOT,
    RULES,
    alertmanager,
    answers,
    asked,
    firing,
    inbox,
    needs_prometheus,
    prometheus,
    scraped,
)
from tests.fakes.servers import free_port
from tests.faults.process import Victim, eventually
from tests.live.configured import configured
from thirdrail.city.faults import Delivery
from thirdrail.city.server import CityServer
from thirdrail.cli.main import commands
from thirdrail.observe.metrics import BY_NAME

RUNBOOKS = ROOT / "docs" / "runbooks"
ALERTS = tuple(re.findall(r"^ +- alert: (\w+)$", RULES.read_text(), re.MULTILINE))
RULE_TESTS = tuple(sorted(PROMETHEUS.glob("tests/*.yml")))
ALWAYS, NEVER = "vector(1)", "vector(0) > 1"
SCRAPED = {"instance", "job"}
FROZEN, OTHER = "subway_l", "subway_g"


def judged(*command: str | Path) -> str:
    """Give what a program says of a file, having found nothing wrong with it."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs_prometheus
def test_prometheus_takes_its_configuration_and_rules() -> None:
    for targets in ("targets", "targets-compose"):
        for path in PROMETHEUS.glob(f"{targets}/*.json"):
            assert all(group["targets"] for group in json.loads(path.read_text()))
    assert "SUCCESS: 1 rule files found" in judged("promtool", "check", "config", PROMETHEUS / "prometheus.yml")
    assert "SUCCESS" in judged("promtool", "check", "rules", RULES)


@needs_prometheus
def test_alertmanager_takes_its_configuration_whose_secrets_are_files() -> None:
    assert "SUCCESS" in judged("amtool", "check-config", ALERTMANAGER)
    config = ALERTMANAGER.read_text()
    assert re.findall(r"^ *-? *(?:api_url|credentials|password|bearer_token|api_key):", config, re.MULTILINE) == []
    assert set(re.findall(r"_file: (.*)", config)) == {
        "/etc/alertmanager/secrets/slack_url",
        "/etc/alertmanager/secrets/webhook_token",
    }
    for severity, receiver in (("page", "page"), ("ticket", "ticket")):
        routed = judged(
            "amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", "alertname=A", f"severity={severity}"
        )
        assert receiver in routed.splitlines()


@needs_prometheus
@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
def test_rules_fire_and_do_not_as_their_tests_say(path: Path) -> None:
    assert "SUCCESS" in judged("promtool", "test", "rules", path)


def contradicted(folder: Path, path: Path, expression: str) -> set[str]:
    """Give the alerts that a file of tests speaks against when every alert has this expression in place of its own."""
    rules = [{"alert": alert, "expr": expression} for alert in ALERTS]
    (folder / "rules").mkdir(parents=True, exist_ok=True)
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "rules" / RULES.name).write_text(json.dumps({"groups": [{"name": "all", "rules": rules}]}))
    copy = folder / "tests" / path.name
    # What is always so needs no looking every 15 s.
    copy.write_text(re.sub(r"(?m)^evaluation_interval: .*", "evaluation_interval: 5m", path.read_text()))
    done = subprocess.run(["promtool", "test", "rules", copy], capture_output=True, text=True, timeout=120, check=False)
    return set(re.findall(r"alertname: (\w+), time:", done.stdout + done.stderr))


@needs_prometheus
def test_every_alert_has_a_test_that_makes_it_fire_and_one_that_does_not(tmp_path: Path) -> None:
    assert len(ALERTS) == len(set(ALERTS)) > 10
    for alert in ALERTS:
        path = PROMETHEUS / "tests" / f"{alert}.yml"
        assert contradicted(tmp_path, path, NEVER) == {alert}, "only a test that sees it fire misses it"
        assert alert in contradicted(tmp_path, path, ALWAYS), "only a test that sees it not fire minds it"


@needs_prometheus
def test_a_quiet_night_fires_nothing_and_a_frozen_feed_its_own_alert_alone(tmp_path: Path) -> None:
    night, frozen = PROMETHEUS / "tests" / "night.yml", PROMETHEUS / "tests" / "frozen.yml"
    assert contradicted(tmp_path, night, NEVER) == set()
    assert contradicted(tmp_path, night, ALWAYS) == set(ALERTS)
    assert contradicted(tmp_path, frozen, NEVER) == {"FeedStale"}
    assert contradicted(tmp_path, frozen, ALWAYS) == set(ALERTS)


def undeclared(text: str) -> set[str]:
    """Give the metrics and labels in rules or their tests that this program does not have."""
    named = set(re.findall(r"\bthirdrail_\w+", text))
    found = {name for name in named if name not in BY_NAME}
    for name, matchers in re.findall(r"\b(thirdrail_\w+)\{([^}]*)\}", text):
        if name in BY_NAME:
            labels = set(re.findall(r"(\w+) *[=!]", re.sub(r'"[^"]*"', "", matchers)))
            found |= {f"{name}{{{label}}}" for label in labels - SCRAPED - set(BY_NAME[name].labels)}
    return found


def test_rules_and_their_tests_name_metrics_and_labels_that_exist() -> None:
    assert undeclared(RULES.read_text()) == set()
    assert {path.name: undeclared(path.read_text()) for path in RULE_TESTS} == {path.name: set() for path in RULE_TESTS}


def test_a_metric_or_label_that_does_not_exist_is_found() -> None:
    assert undeclared("rate(thirdrail_polls_total[5m]) > thirdrail:late:bool") == set()
    assert undeclared("rate(thirdrail_poll_total[5m])") == {"thirdrail_poll_total"}
    assert undeclared('thirdrail_position{sink="a", feed=~"b=c"}') == {"thirdrail_position{feed}"}
    assert undeclared('thirdrail_lag_captures{table!="x",job="y"}') == {"thirdrail_lag_captures{table}"}


def test_every_alert_says_how_bad_it_is_what_to_do_and_where_that_is_written() -> None:
    blocks = re.split(r"^ +- (?:alert|record|name): ", RULES.read_text(), flags=re.MULTILINE)
    by_alert = {block.splitlines()[0]: block for block in blocks}
    for alert in ALERTS:
        assert re.search(r"severity: (page|ticket)\n", by_alert[alert]), alert
        assert f"runbook_url: docs/runbooks/{alert}.md\n" in by_alert[alert]
        for annotation in ("summary", "description"):
            assert re.search(rf'{annotation}: "[^"]', by_alert[alert]), (alert, annotation)


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    pages = {path.stem: path.read_text() for path in RUNBOOKS.glob("*.md") if path.stem != "README"}
    assert set(pages) == set(ALERTS)
    listed = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\) \|", (RUNBOOKS / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted((alert, alert) for alert in ALERTS)
    for alert, page in pages.items():
        assert page.startswith(f"# {alert}\n"), alert
        assert re.findall(r"^## (.*)$", page, re.MULTILINE) == ["Meaning", "Look at", "Do", "Afterwards"], alert


def unknown_commands(text: str) -> list[str]:
    """Give the commands of this program in a text's code that it does not have."""
    found = []
    for said in re.findall(r"[`\n]\.?/?thirdrail ([^`\n]*)", text):
        group: click.Command | None = commands
        for word in said.split():
            if not isinstance(group, click.Group):
                break
            group = group.commands.get(word)
        if group is None:
            found.append(said)
        elif unknown := set(re.findall(r"(?<!\S)--[a-z-]+", said)) - {o for p in group.params for o in p.opts}:
            found.append(f"{said}: {unknown}")
    return found


def test_pages_and_alerts_name_commands_that_exist() -> None:
    for path in (RULES, *RUNBOOKS.glob("*.md")):
        assert unknown_commands(path.read_text()) == [], path.name
    assert unknown_commands("`thirdrail feeds mend x`, `thirdrail audit --since 1h`") == ["feeds mend x"]
    assert unknown_commands("\nthirdrail audit --sins 1h\n") == ["audit --sins 1h: {'--sins'}"]


# From here on with real processes.


class StoppableCity(CityServer):
    """A city in which a feed can be frozen at its source: it answers what it answered last, by a clock that goes on."""

    def __init__(self) -> None:
        super().__init__(seed=7)
        self.frozen: set[str] = set()
        self._last: dict[str, Delivery] = {}

    def answer(self, path: str) -> Delivery:
        if not (path in self._last and any(self.url_of(feed).endswith(path) for feed in self.frozen)):
            self._last[path] = super().answer(path)
        return self._last[path]


def took(what: str, holds: Callable[[], object], within_s: float, record: Callable[[str, object], None]) -> None:
    """Wait until something holds, and record the seconds it took."""
    began = time.monotonic()
    eventually(holds, within_s, what, every_s=0.2)
    seconds = round(time.monotonic() - began, 1)
    record(what, seconds)


@needs_prometheus
def test_a_frozen_feed_and_a_killed_run_are_told_to_people_and_so_is_their_recovery(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    address = f"127.0.0.1:{free_port()}"
    with ExitStack() as stack:
        box, city = stack.enter_context(inbox()), stack.enter_context(StoppableCity())
        config = configured(tmp_path / "run.toml", city, feeds=(FROZEN, OTHER), commit_interval_seconds=0.5)
        options = ("--data", str(tmp_path / "data"), "--config", str(config), "--listen", address)
        run = stack.enter_context(Victim(tmp_path / "run.log", "run", *options))
        run.until(lambda: answers(f"http://{address}/readyz"), 60, "it is ready")
        manager = stack.enter_context(alertmanager(tmp_path / "alertmanager", box))
        server = stack.enter_context(
            prometheus(tmp_path / "prometheus", {"thirdrail": address, "alertmanager": manager})
        )
        eventually(lambda: scraped(server, "thirdrail_newest_committed_timestamp_seconds"), 60, "commits are scraped")
        eventually(lambda: scraped(server, f'thirdrail_polls_total{{feed="{FROZEN}"}}'), 30, "polls are scraped")

        seen: Counter[tuple[str, str]] = Counter()

        def stale_arrived() -> bool:
            seen.update(firing(server))
            return bool(box.slack("FIRING FeedStale"))

        city.frozen = {FROZEN}
        took("frozen feed to message", stale_arrived, 120, record_property)
        assert set(seen) == {("FeedStale", FROZEN)}, "and nothing else"
        assert [FROZEN in text and OTHER not in text for text in box.slack("FIRING FeedStale")] == [True]
        assert "docs/runbooks/FeedStale.md" in box.slack("FIRING FeedStale")[0]
        assert box.hook("firing", "FeedStale") == [], "a ticket wakes nobody"
        city.frozen = set()
        took("moving feed to message", lambda: box.slack("RESOLVED FeedStale"), 90, record_property)

        run.kill()
        took("killed run to message", lambda: box.hook("firing", "ThirdrailDown"), 90, record_property)
        assert {token for _, path, token, _ in box.messages if path == "/alerts"} == {"Bearer a-token"}
        assert box.hook("firing", "ThirdrailDown")[0]["labels"]["instance"] == address
        run = stack.enter_context(Victim(tmp_path / "run2.log", "run", *options))
        took("run again to message", lambda: box.hook("resolved", "ThirdrailDown"), 120, record_property)
        run.terminate()
        assert run.ends(30) == 0


@needs_prometheus
def test_what_follows_from_another_alert_is_not_told_beside_it(tmp_path: Path) -> None:
    causes = {
        "ThirdrailDown": ["SinkFailing", "FeedStale", "FreshnessBurnFast"],
        "NoFeedAnswers": ["FeedMissing"],
        "PollingPaused": ["DiskFilling"],
        "SinkFailing": ["SinkNotMoving", "SinkLagGrowing", "FreshnessBurnSlow"],
        "SinkNotMoving": ["FreshnessBurnFast"],
    }
    assert {*causes, *(one for several in causes.values() for one in several)} <= set(ALERTS)
    sent, wanted = [], {}
    for cause, follows in causes.items():
        for alert in (cause, *follows):
            labels = {"alertname": alert, "instance": f"by-{cause}", "sink": "iceberg", "severity": "page"}
            sent.append({"labels": labels})
            wanted[alert, labels["instance"]] = "active" if alert == cause else "suppressed"
            sent.append({"labels": {**labels, "instance": f"{cause}-has-not-{alert}"}})
            wanted[alert, f"{cause}-has-not-{alert}"] = "active"
    with inbox() as box, alertmanager(tmp_path, box) as url:
        asked(f"{url}/api/v2/alerts", sent)

        def states() -> dict[tuple[str, str], str]:
            return {
                (a["labels"]["alertname"], a["labels"]["instance"]): a["status"]["state"]
                for a in asked(f"{url}/api/v2/alerts")
            }

        eventually(lambda: states() == wanted, 30, "what follows is suppressed, elsewhere it is not")
        eventually(lambda: {a for a in ALERTS if box.hook("firing", a)} == {a for a, _ in wanted}, 30, "all are told")
        told = {(a, one["labels"]["instance"]) for a in ALERTS for one in box.hook("firing", a)}
        assert told == {key for key, state in wanted.items() if state == "active"}
