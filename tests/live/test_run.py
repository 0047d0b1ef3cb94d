"""`run` and `demo` as a person meets them: what they print works, they stop politely, and one runs at a time."""

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.faults.process import Victim, run_here, run_once
from tests.live.configured import configured
from thirdrail.city.lines import ROUTES
from thirdrail.city.server import SERVED, CityServer
from thirdrail.model.feeds import FEEDS

ROOT = Path(__file__).parents[2]


def committed(victim: Victim) -> bool:
    return "lag 0" in victim.output and not re.search(r" 0 captures", victim.output.splitlines()[-1])


def test_the_two_commands_that_demo_prints_answer_while_it_runs(tmp_path: Path) -> None:
    data = tmp_path / "a folder"
    with Victim(tmp_path / "demo.log", "demo", "--data", str(data), "--commit-interval", "1s") as demo:
        demo.until_said("rows in", 25)
        commands = [line.strip() for line in demo.output.splitlines() if line.startswith("  ")]
        assert len(commands) == 2
        answers = [
            subprocess.run(shlex.split(command), capture_output=True, text=True, check=True, cwd=ROOT).stdout
            for command in commands
        ]
        assert "simulated" in answers[0]
        assert f"process {demo.process.pid} since" in answers[0]
        assert "minutes_away" in answers[1]
        assert len(answers[1].splitlines()) > 5
        demo.send(signal.SIGINT)
        assert demo.ends(10) == 0
    assert "all committed" in demo.output
    assert run_here("audit", "--data", data).returncode == 0


def test_run_stops_on_sigterm_within_ten_seconds_with_everything_committed(tmp_path: Path) -> None:
    with CityServer(seed=1) as city:
        config = configured(tmp_path / "run.toml", city, commit_interval_seconds=30)
        with Victim(tmp_path / "run.log", "run", "--data", str(tmp_path / "d"), "--config", str(config)) as run:
            run.until(lambda: polls(tmp_path / "d") >= 2 * len(ROUTES), 30, "every feed was asked twice")
            run.send(signal.SIGTERM)
            assert run.ends(10) == 0
    report = json.loads(run_here("audit", "--json", "--data", tmp_path / "d").stdout)
    assert (report["ok"], report["pending"]) == (True, 0)
    assert report["captures"] >= 2 * len(ROUTES)


def polls(data: Path) -> int:
    found = run_here("status", "--json", "--data", data)
    return sum(feed["polls"] for feed in json.loads(found.stdout)["feeds"]) if found.returncode == 0 else 0


def test_ctrl_c_twice_leaves_at_once_and_loses_nothing(tmp_path: Path) -> None:
    with CityServer(seed=1) as city:
        config = configured(tmp_path / "run.toml", city, commit_interval_seconds=0.2)
        with Victim(tmp_path / "run.log", "run", "--data", str(tmp_path / "d"), "--config", str(config)) as run:
            run.until(lambda: polls(tmp_path / "d") >= len(ROUTES), 30, "every feed was asked")
            run.send(signal.SIGINT)
            run.send(signal.SIGINT)
            assert run.ends(5) in (0, 130)
        assert "Traceback" not in run.output
        with Victim(
            tmp_path / "on.log", "run", "--data", str(tmp_path / "d"), "--config", str(config), "--for", "2s"
        ) as on:
            assert on.ends(30) == 0
    assert run_here("audit", "--data", tmp_path / "d").returncode == 0


def test_a_second_process_is_told_who_runs_and_readers_are_welcome(tmp_path: Path) -> None:
    with CityServer(seed=1) as city:
        config = configured(tmp_path / "run.toml", city, commit_interval_seconds=0.5)
        arguments = ("run", "--data", str(tmp_path / "d"), "--config", str(config))
        with Victim(tmp_path / "run.log", *arguments) as run:
            run.until(lambda: polls(tmp_path / "d") >= len(ROUTES), 30, "every feed was asked")
            second = run_once(*arguments)
            assert second.returncode == 1
            assert re.search(rf"already running: process {run.process.pid} since 20\d\d-", second.stderr)
            assert run_here("tables", "--data", tmp_path / "d").returncode == 0
            assert run_here("audit", "--data", tmp_path / "d").returncode == 0
            run.send(signal.SIGTERM)
            assert run.ends(10) == 0


def test_without_a_network_one_line_names_the_cause_and_the_demo(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text("".join(f'[feeds.{feed.id}]\nurl = "http://127.0.0.1:1/x%2F{feed.id}"\n' for feed in FEEDS))
    with Victim(
        tmp_path / "run.log", "run", "--data", str(tmp_path / "d"), "--config", str(config), "--for", "4s"
    ) as run:
        assert run.ends(20) == 0
    said = [line for line in run.output.splitlines() if "no feed can be reached" in line]
    assert len(said) == 1
    assert "no connection to 127.0.0.1:1" in said[0]
    assert "thirdrail demo" in said[0]
    assert len(run.output.splitlines()) < 12


def test_demo_refuses_a_folder_of_live_data_and_run_a_simulated_one(tmp_path: Path) -> None:
    assert run_once("demo", "--data", tmp_path / "s", "--for", "1s").returncode == 0
    refused = run_here("run", "--data", tmp_path / "s", "--for", "1s")
    assert (refused.returncode, "holds simulated data" in refused.stderr) == (2, True)
    config = tmp_path / "run.toml"
    config.write_text('[feeds.subway_g]\nurl = "http://127.0.0.1:1/x"\n')
    lonely = ("--feeds", "subway_g", "--config", str(config), "--for", "1s")
    assert run_once("run", "--data", tmp_path / "l", *lonely).returncode == 0
    refused = run_here("demo", "--data", tmp_path / "l", "--for", "1s")
    assert (refused.returncode, "holds live data" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["run", "--feeds", "subway_ac"], "did you mean"),
        (["run", "--for", "soon"], "is no duration"),
        (["run", "--commit-interval", "0s"], "above zero"),
        (["demo", "--faults", "earthquake=0.1"], "no fault"),
        (["demo", "--feeds", "alerts_mnr"], "does not serve alerts_mnr"),
        (["demo", "--faults", "hollow=2"], "no fault and rate"),
        (["feeds", "check", "subway_q"], "did you mean"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(tmp_path: Path, arguments: list[str], wanted: str) -> None:
    data = [] if arguments[0] == "feeds" else ["--data", str(tmp_path / "d")]
    found = run_here(*arguments, *data)
    assert found.returncode == 2
    assert wanted in found.stderr
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "d").exists()


def test_feeds_check_tells_network_feed_and_path_apart(tmp_path: Path) -> None:
    with CityServer(seed=1, faults={}) as city:
        config = configured(tmp_path / "run.toml", city)
        well = run_here("feeds", "check", "subway_ace", "--config", config)
        assert well.returncode == 0, well.stderr
        assert re.search(r"verdict +well", well.stdout)
        assert re.search(r"rows +\d", well.stdout)
        every = run_here("feeds", "check", "--config", config)
        assert every.returncode == 0
        city.set_faults({"xml_200": 1.0})
        bad = run_here("feeds", "check", "subway_ace", "--config", config)
        assert bad.returncode == 1
        assert "the feed is at fault" in bad.stdout
        assert "NoSuchKey" in bad.stdout
        slashed = tmp_path / "slash.toml"
        slashed.write_text(f'[feeds.subway_ace]\nurl = "{city.url_of("subway_ace").replace("%2F", "/")}"\n')
        wrong = run_here("feeds", "check", "subway_ace", "--config", slashed)
        assert "%2F must not become a slash" in re.sub(r"\s+", " ", wrong.stdout)
    gone = run_here("feeds", "check", "subway_ace", "--config", config)
    assert gone.returncode == 1
    assert "the network is at fault" in gone.stdout


def test_the_panel_shows_the_feeds_on_a_terminal(tmp_path: Path) -> None:
    script = shutil_which_script()
    command = f"{shlex.quote(sys.executable)} -m thirdrail demo --data {shlex.quote(str(tmp_path / 'd'))} --for 6s"
    found = subprocess.run(
        [script, "-qec", f"stty cols 100 rows 40; {command}", str(tmp_path / "typescript")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"TERM": "xterm", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert "subway_1234567s" in found.stdout
    assert "header age" in found.stdout
    assert "8 of 8 feeds answer" in found.stdout


def shutil_which_script() -> str:
    found = shutil.which("script")
    if found is None:
        pytest.skip("script (util-linux), to give a program a terminal")
    return found


def test_a_city_of_its_own_is_polled_by_configuration_and_tells_what_really_happened(tmp_path: Path) -> None:
    truth = tmp_path / "truth"
    with Victim(tmp_path / "city.log", "city", "--speed", "30", "--truth", str(truth)) as city:
        city.until_said(SERVED[-1])
        addresses = dict(re.findall(r"^  (\S+) +(http\S+)$", city.output, re.MULTILINE))
        assert set(addresses) == set(SERVED)
        config = tmp_path / "run.toml"
        config.write_text(f'[feeds.subway_si]\nurl = "{addresses["subway_si"]}"\n')
        checked = run_here("feeds", "check", "subway_si", "--config", config, "--json")
        assert json.loads(checked.stdout)["rows"]["trip_updates"] > 5
        city.send(signal.SIGTERM)
        assert city.ends(10) == 0
    assert pq.read_table(truth / "passages.parquet").num_rows > 100
    assert set(pq.read_table(truth / "lives.parquet")["kind"].to_pylist()) == {"alert", "outage"}
