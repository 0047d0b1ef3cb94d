"""Two `run` processes on one folder with the lock taken away; one sleeps and wakes after the other went on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.kill.judge import difference
from tests.kill.test_kill import check_positions
from tests.live.configured import configured
from thirdrail import app
from thirdrail.city.lines import ROUTES
from thirdrail.city.server import CityServer

SECONDS = float(os.environ.get("THIRDRAIL_TWO_SECONDS", "12"))
ASLEEP = 0.25
"""Share of the time that one of them is stopped for."""

LOOK_EVERY_S = 1.0
STOPS_WITHIN_S = 20
OVERTAKEN = "the log was lost or restored from an older copy"


@contextmanager
def running(tmp_path: Path, data: Path, config: Path, name: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Give a real `run`, without its lock; its output lies in a file."""
    command = [sys.executable, "-m", "tests.kill.unlocked", "run", "--data", str(data), "--config", str(config)]
    with (tmp_path / f"{name}.log").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


@contextmanager
def begun_anew(tmp_path: Path, data: Path, config: Path, name: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Begin a `run` again that the other overtook as it began: it took the log for an older copy, and ended."""
    said = (tmp_path / f"{name}.log").read_text()
    assert OVERTAKEN in said, said
    with running(tmp_path, data, config, name) as process:
        yield process


def test_two_without_their_lock_and_one_that_slept_lose_nothing_and_add_nothing_twice(tmp_path: Path) -> None:
    data = tmp_path / "data"
    before: dict[str, int] = {}
    with CityServer(seed=3, speed=4) as city:
        config = configured(tmp_path / "run.toml", city, history="every_poll", commit_interval_seconds=0.5)
        with ExitStack() as alive:
            one, other = (alive.enter_context(running(tmp_path, data, config, name)) for name in ("one", "other"))
            began = time.monotonic()
            is_asleep = was_asleep = False
            while (spent := time.monotonic() - began) < SECONDS:
                if not is_asleep and not was_asleep and spent > SECONDS / 3:
                    other.send_signal(signal.SIGSTOP)
                    is_asleep = True
                if is_asleep and spent > SECONDS * (1 / 3 + ASLEEP):
                    other.send_signal(signal.SIGCONT)
                    is_asleep, was_asleep = False, True
                one, other = (
                    process if process.poll() is None else alive.enter_context(begun_anew(tmp_path, data, config, name))
                    for process, name in ((one, "one"), (other, "other"))
                )
                before = check_positions(data, before, f"after {spent:.0f} s")
                time.sleep(LOOK_EVERY_S)
            for process in (one, other):
                process.send_signal(signal.SIGTERM)
            for process, name in ((one, "one"), (other, "other")):
                assert process.wait(STOPS_WITHIN_S) == 0, (tmp_path / f"{name}.log").read_text()

    report = app.audit(app.DataFolder.existing(data), None)
    assert report.ok, report
    assert report.captures > 2 * len(ROUTES)
    expected, missing, too_many = difference(data, tmp_path / "exported")
    assert expected > 10_000
    assert (missing, too_many) == (0, 0)
