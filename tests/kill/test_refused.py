"""kill -9 at each step of a rejection and of bringing its rows back: each is told of once, and is there once."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kill.refused import TABLE
from thirdrail import app
from thirdrail.app.data_folder import DataFolder
from thirdrail.cli.rehearse import compared_folders
from thirdrail.emulator.server import EmulatorServer

WHILE_REFUSED = ("the server has refused, nobody knows", "the log is told", "it is noted")
WHILE_SENT_AGAIN = ("it is ordered", "rows are handed over", "rows are committed, nobody knows")


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[EmulatorServer]:
    with EmulatorServer(tmp_path / "emulator", commit_delay_s=0.0) as server:
        yield server


def stepped(tmp_path: Path, what: str, point: str = "") -> int:
    place = [str(tmp_path / "data"), str(tmp_path / "run.toml"), what, point, str(tmp_path / "refused.ndjson")]
    done = subprocess.run(
        [sys.executable, "-m", "tests.kill.refused", *place], check=False, timeout=120, capture_output=True, text=True
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def test_refused_rows_are_told_of_once_and_come_back_once(tmp_path: Path, emulator: EmulatorServer) -> None:
    section = emulator.configuration().partition("[snowflake]")[2]
    (tmp_path / "run.toml").write_text(
        f'sinks = ["iceberg", "snowflake"]\n[spool]\nreserve_gb = 0.0\n[snowflake]{section}\nretry_seconds = 5\n'
    )
    data = tmp_path / "data"
    stepped(tmp_path, "minute 0")
    emulator.faults.spoil[TABLE] = b'"stop_id":"L2'
    for number, point in enumerate(WHILE_REFUSED):
        assert stepped(tmp_path, f"minute {number + 1}", point) == -signal.SIGKILL, point
        assert stepped(tmp_path, "carry") == 0
    emulator.faults.spoil.clear()

    refused = emulator.storage.refused(TABLE)
    folder = DataFolder.existing(data)
    assert len(refused) > 3
    told = [each.place for each in app.open_rejections(folder).values()]
    assert sum(each.count for each in told if each is not None) == len(refused), "each was told of once"
    assert not app.audit(folder, None).ok

    for number, point in enumerate(WHILE_SENT_AGAIN):
        chosen = list(app.open_rejections(folder).values())
        if number == 0:
            lines = "\n".join(line for _, line in refused)
            (tmp_path / "refused.ndjson").write_text(lines)
            assert len(chosen) == len(WHILE_REFUSED)
            assert stepped(tmp_path, "replay", point) == -signal.SIGKILL
        else:
            # The order is in the log: whoever carries on obeys it.
            assert stepped(tmp_path, "carry", point) == -signal.SIGKILL, point
    assert stepped(tmp_path, "carry") == 0

    assert app.open_rejections(folder) == {}
    assert [each for each in compared_folders(data, emulator.folder) if not each.is_same] == []
    assert app.audit(folder, None).ok
