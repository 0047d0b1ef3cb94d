"""Third Rail on a real Docker Engine, by ./deploy.sh alone, in this order. `tests/deploy/engine.sh` runs it.

Not named test_*: it wants an engine, an image that is built already, and root, which a test run has not.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.request
from pathlib import Path

import duckdb
import polars as pl
import pytest

import thirdrail

ROOT = Path(__file__).resolve().parents[2]
TREES = Path(os.environ["THIRDRAIL_TREES"])
TODAY, BEFORE = TREES / "today", TREES / "before"
"""Checkouts whose images, thirdrail:today and thirdrail:before, are built; the second only where git has a history."""
OLDER = sorted((ROOT / "tests" / "kill" / "older").glob("*.tar.xz"))
OLDER_AT = "/tmp/thirdrail-older"
"""Where scripts/older_folder.py let them lie."""
TOLD_LATER = {"commits", "quarantine"}
"""Their rows are about what a later version does, too."""
HEALTHY_WITHIN_S, GRACE_S = 90, 90
UID = "10001"


class Place:
    """A checkout, its data folder, and deploy.sh there."""

    def __init__(self, folder: Path, commit: Path) -> None:
        self.tree, self.data, self.folder = folder / "tree", folder / "data", folder
        self.check_out(commit)
        self.environment = {**os.environ, "THIRDRAIL_DATA": str(self.data), "THIRDRAIL_COMMAND": "demo"}
        self.environment.pop("PYTHONPATH", None)

    def check_out(self, commit: Path) -> None:
        """Have another commit's files where this one's were, as git would."""
        if self.tree.exists():
            shutil.rmtree(self.tree)
        shutil.copytree(commit, self.tree)

    def deploy(self, *arguments: str, profile: str = "app") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.tree / "deploy.sh", "--profile", profile, *arguments],
            env=self.environment,
            cwd=self.tree,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )

    def said(self, *arguments: str, profile: str = "app") -> str:
        run = self.deploy(*arguments, profile=profile)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def on_the_host(self, *arguments: str) -> str:
        """Run our own program here, outside of every container."""
        run = subprocess.run(
            [sys.executable, "-m", "thirdrail", *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def rows(self) -> int:
        # Not by a process of its own: on a busy machine each takes ten seconds to start.
        return int(thirdrail.open(self.data).sql("SELECT count(*) AS n FROM stop_time_updates").pl()["n"][0])

    def wait_for_more_rows(self) -> None:
        before, deadline = self.rows(), time.monotonic() + 60
        while self.rows() <= before:
            assert time.monotonic() < deadline
            time.sleep(0.5)

    def tables(self) -> dict[str, pl.DataFrame]:
        """Give every row of every table that tells of captures; ``feed_messages`` first, as it is committed last."""
        names = {each.name for each in (self.data / "warehouse" / "mta").iterdir()} - TOLD_LATER
        reading = thirdrail.open(self.data)
        return {name: reading.sql(f"FROM {name}").pl() for name in sorted(names, key=lambda n: n != "feed_messages")}


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def layers(image: str) -> str:
    return docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", image)


def inside(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["docker", "exec", "thirdrail-app-1", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def assert_went_on(old: dict[str, pl.DataFrame], new: dict[str, pl.DataFrame]) -> None:
    """Each row is there as it was, none came among those of its captures, and there are newer captures."""
    last = old["feed_messages"]["capture_offset"].max()
    for name, rows in old.items():
        before = rows.filter(pl.col("capture_offset") <= last)
        after = new[name].filter(pl.col("capture_offset") <= last)
        assert before.height == after.height, name
        assert before.join(after, on=before.columns, how="anti", nulls_equal=True).is_empty(), name
    captures = new["feed_messages"]["capture_offset"]
    assert captures.is_unique().all()
    assert (captures > last).any()


def has_new_columns(old: dict[str, pl.DataFrame], new: dict[str, pl.DataFrame]) -> bool:
    return any(name not in old or old[name].columns != rows.columns for name, rows in new.items())


def figure(text: str) -> None:
    """Say a figure that the run is to leave behind."""
    print(f"engine: {text}", file=sys.__stderr__)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("engine")
    for each in (folder, *list(folder.parents)[:2]):  # pytest's folders are their owner's alone
        each.chmod(0o755)
    return Place(folder, TODAY)


def test_deploy_brings_it_up_and_says_where_it_is(place: Place) -> None:
    began = time.monotonic()
    said = place.said("deploy")
    figure(f"deploy took {time.monotonic() - began:.0f} s with the image's libraries built before")
    ready = re.search(r"ready after (\d+) s", said)
    assert ready
    assert "http://127.0.0.1:8001/health" in said
    assert str(place.data) in said
    assert 'sql "SELECT route_id' in said
    while docker("inspect", "--format", "{{.State.Health.Status}}", "thirdrail-app-1") != "healthy":
        assert time.monotonic() - began < HEALTHY_WITHIN_S
        time.sleep(0.2)
    figure(f"ready {ready[1]} s after its start, healthy {time.monotonic() - began:.0f} s after `deploy`")


def test_it_runs_as_nobody_in_particular_on_a_root_that_is_only_read(place: Place) -> None:
    assert inside("python3", "-c", "import os; print(os.getuid())").stdout.strip() == UID
    refused = inside("python3", "-c", "open('/opt/thirdrail/new', 'w')")
    assert "Read-only file system" in refused.stderr
    assert inside("python3", "-c", "open('/tmp/new', 'w')").returncode == 0
    assert "CapEff:\t0000000000000000" in inside("cat", "/proc/1/status").stdout
    assert "NoNewPrivs:\t1" in inside("cat", "/proc/1/status").stdout
    for module in ("pip", "setuptools"):
        assert "No module named" in inside("python3", "-m", module).stderr
    assert inside("sh", "-c", "command -v cc gcc make").returncode != 0


def test_the_data_are_read_from_the_host_at_the_same_path(place: Place) -> None:
    deadline = time.monotonic() + 60
    while not place.rows():
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert place.rows() > 1000
    files = f"{place.data}/warehouse/mta/stop_time_updates/data/**/*.parquet"
    ((count,),) = duckdb.sql(f"SELECT count(*) FROM read_parquet('{files}')").fetchall()
    assert count > 1000
    assert str(place.data.stat().st_uid) == UID


def test_every_looking_command_answers(place: Place) -> None:
    assert '"ok": true' in place.said("health")
    assert "subway_g" in place.said("status")
    assert '"event": "listening"' in place.said("logs")
    assert "predictions" not in place.said("sql", "--format", "csv", "SELECT 1 AS one")
    with urllib.request.urlopen("http://127.0.0.1:8001/metrics", timeout=10) as answer:
        assert b"thirdrail_rows_written_total" in answer.read()
    place.said("setup")
    assert "ready after 0 s" in place.said("deploy")  # once more changes nothing


def test_a_backup_while_it_runs_is_restored_elsewhere(place: Place) -> None:
    copy, new = place.folder / "copy", place.folder / "restored"
    began = time.monotonic()
    place.said("backup", str(copy))
    figure(f"backup took {time.monotonic() - began:.0f} s")
    again = place.deploy("backup", str(copy))
    assert again.returncode == 2
    assert "relocated" in place.said("restore", str(copy), str(new))
    report = json.loads(place.on_the_host("audit", "--json", "--data", str(new)))
    assert report["ok"]
    assert report["captures"] >= 8


def test_stop_is_clean_and_the_data_can_still_be_asked(place: Place) -> None:
    began = time.monotonic()
    place.said("stop")
    took = time.monotonic() - began
    assert docker("inspect", "--format", "{{.State.ExitCode}}", "thirdrail-app-1") == "0"
    assert took < GRACE_S
    figure(f"stop took {took:.1f} s, exit code 0")
    place.said("stop")
    assert "all committed" in place.said("logs")
    assert "stop_time_updates" in place.said("sql", "SELECT count(*) AS stop_time_updates FROM stop_time_updates")
    assert "ok: the tables" in place.said("audit")
    assert place.deploy("health").returncode == 1
    assert "ready" in place.said("start")
    assert "ready" in place.said("restart")
    assert place.deploy("deploy", profile="rehearsal").returncode == 6  # one folder, one writer
    place.said("stop")


def test_the_rehearsal_fills_iceberg_and_the_stand_in(place: Place) -> None:
    place.said("deploy", profile="rehearsal")
    query = "SELECT count(*) AS n FROM stop_time_updates"
    asking = ("docker", "exec", "thirdrail-emulator-1", "thirdrail", "emulator", "sql")
    deadline = time.monotonic() + 90
    while True:
        run = subprocess.run(
            [*asking, "--data", "/emulator", "--format", "csv", query],
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode == 0 and int(run.stdout.split()[-1]) > 1000:
            break
        assert time.monotonic() < deadline, run.stdout + run.stderr
        time.sleep(1)
    place.said("stop", profile="rehearsal")


@pytest.mark.skipif(not BEFORE.exists(), reason="git's history is not here: no image of the commit before")
def test_an_upgrade_from_the_commit_before_and_the_way_back_lose_nothing(place: Place) -> None:
    assert layers("thirdrail:before") != layers("thirdrail:today")
    upgraded = Place(place.folder / "upgraded", BEFORE)
    upgraded.said("deploy")
    upgraded.wait_for_more_rows()
    found = [upgraded.tables()]
    for tree in (TODAY, BEFORE, TODAY):
        upgraded.check_out(tree)
        began = time.monotonic()
        run = upgraded.deploy("upgrade")
        if tree == BEFORE and has_new_columns(*found):
            assert run.returncode == 8
            assert "which this version does not know" in run.stdout + run.stderr
            figure("the way back is refused: tables have gained columns")
            continue
        ready = re.search(r"ready after (\d+) s", run.stdout)
        assert ready, run.stdout + run.stderr
        running = docker("inspect", "--format", "{{.Image}}", "thirdrail-app-1")
        assert layers(running) == layers(f"thirdrail:{tree.name}")
        figure(f"upgrade to {tree.name} took {time.monotonic() - began:.0f} s, ready {ready[1]} s after its start")
        upgraded.wait_for_more_rows()
        found.append(upgraded.tables())
        assert_went_on(*found[-2:])
    upgraded.said("stop")
    assert_went_on(found[0], upgraded.tables())
    report = json.loads(upgraded.on_the_host("audit", "--json", "--data", str(upgraded.data)))
    assert (report["ok"], report["pending"]) == (True, 0)
    figure(f"three upgrades under load: {report['captures']} captures, {report['rows_found']} rows, each once")


@pytest.mark.parametrize("archive", OLDER, ids=lambda path: path.name.partition(".")[0])
def test_the_folder_of_an_older_commit_goes_on_in_this_image(place: Place, archive: Path) -> None:
    older = Place(place.folder / "older", TODAY)
    configuration = older.folder / "kept.toml"
    configuration.write_text("[spool]\nretention_days = 9999\n")  # its captures are of another year
    older.environment["THIRDRAIL_CONFIG"] = str(configuration)
    with tarfile.open(archive) as packed:
        packed.extractall(older.folder, filter="data")
    older.on_the_host("relocate", OLDER_AT, str(older.data))
    stamp = older.data / "thirdrail.json"
    stamp.write_text(stamp.read_text().replace('"live"', '"simulated"'))  # the city stands in for the feeds
    left = older.tables()
    for each in (older.data, *older.data.rglob("*")):
        os.chown(each, int(UID), int(UID))
    older.said("deploy")
    older.wait_for_more_rows()
    older.said("stop")
    assert_went_on(left, older.tables())
    assert "ok: the tables" in older.said("audit")


def test_cleanup_takes_everything_away_once_it_was_allowed_to(place: Place) -> None:
    assert place.deploy("cleanup", "--data").returncode == 1  # nobody answers
    assert place.data.exists()
    place.said("cleanup", "--yes")
    assert place.data.exists()
    assert docker("ps", "--all", "--quiet") == ""
    place.said("cleanup", "--data", "--yes")
    assert not place.data.exists()
    assert docker("image", "ls", "--quiet", "thirdrail:local") == ""
