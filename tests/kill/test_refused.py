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
WHILE_FILES_ARE_REFUSED = ("the file is refused, nobody knows", "the log is told")
WHILE_FILES_COME_BACK = ("the file is behind us", "rows are loaded, nobody knows")
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


def configure(tmp_path: Path, emulator: EmulatorServer, more: str = "") -> Path:
    """Write the configuration; give the data folder."""
    section = emulator.configuration().partition("[snowflake]")[2]
    spool = "[spool]\nreserve_gb = 0.0\n"
    (tmp_path / "run.toml").write_text(
        f'sinks = ["iceberg", "snowflake"]\n{spool}[snowflake]{section}\nretry_seconds = 5\n{more}'
    )
    return tmp_path / "data"


def test_refused_rows_are_told_of_once_and_come_back_once(tmp_path: Path, emulator: EmulatorServer) -> None:
    data = configure(tmp_path, emulator)
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


def test_a_refused_file_is_told_of_once_and_its_rows_come_back_once(tmp_path: Path, emulator: EmulatorServer) -> None:
    data = configure(tmp_path, emulator, 'ingestion_method = "snowpipe"\nbatch_seconds = 0.5\n')
    emulator.faults.spoil[TABLE] = b"PAR1"  # every file
    assert stepped(tmp_path, "minute 0", WHILE_FILES_ARE_REFUSED[0]) == -signal.SIGKILL
    for point in WHILE_FILES_ARE_REFUSED[1:]:
        assert stepped(tmp_path, "carry", point) == -signal.SIGKILL, point
    assert stepped(tmp_path, "minute 1") == 0, "it stops"
    emulator.faults.spoil.clear()
    folder = DataFolder.existing(data)
    assert len(app.open_rejections(folder)) == 1, "it was told of once"
    assert not app.audit(folder, None).ok

    assert stepped(tmp_path, "replay", "it is ordered") == -signal.SIGKILL
    for point in WHILE_FILES_COME_BACK:
        assert stepped(tmp_path, "carry", point) == -signal.SIGKILL, point
    assert stepped(tmp_path, "carry") == 0

    assert app.open_rejections(folder) == {}
    assert [each for each in compared_folders(data, emulator.folder) if not each.is_same] == []
    assert app.audit(folder, None).ok
