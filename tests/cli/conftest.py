"""Recordings small enough to replay in a blink, and the command line as a person meets it."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.oracle.synthetic import HEADER_AT, subway_message
from thirdrail.cli.main import run
from thirdrail.sources.recordings import name_for

FEED = "subway_1234567s"
FIRST_US = (HEADER_AT + 5) * 1_000_000
MINUTE_US = 60_000_000


class Said(NamedTuple):
    """What one command gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Said]


def write_recordings(folder: Path, polls: int = 3, trips: int = 6) -> Path:
    """A minute apart, named by feed, number and time of fetching."""
    folder.mkdir(parents=True, exist_ok=True)
    for poll in range(polls):
        body = subway_message(1, trips, later=60 * poll)
        (folder / name_for(FEED, poll, FIRST_US + poll * MINUTE_US)).write_bytes(body)
    return folder


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    return write_recordings(tmp_path / "recorded")


@pytest.fixture
def thirdrail(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Runs a command in an empty folder, with a data folder beside it; ``columns`` is the terminal's width."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("THIRDRAIL_DATA", str(tmp_path / "data"))

    def command(*arguments: object, columns: int | None = None) -> Said:
        if columns is None:
            monkeypatch.delenv("COLUMNS", raising=False)
        else:
            monkeypatch.setenv("COLUMNS", str(columns))
        capsys.readouterr()
        code = run([str(each) for each in arguments])
        return Said(code, *capsys.readouterr())

    return command


@pytest.fixture
def filled(thirdrail: Command, recorded: Path, tmp_path: Path) -> Path:
    """A data folder that holds the recordings."""
    assert thirdrail("replay", recorded, "--feed", FEED).code == 0
    return tmp_path / "data"


def write_bad_files(folder: Path) -> None:
    """A web page, JSON, and a damaged archive, all named like recordings."""
    (folder / "page.2026-05-28T20:00:00Z.pb").write_bytes(b"<!doctype html><html>Access denied</html>")
    (folder / "json.2026-05-28T20:00:01Z.pb").write_bytes(b'{"header": {"gtfs_realtime_version": "2.0"}}')
    (folder / "cut.2026-05-28T20:00:02Z.pb.gz").write_bytes(gzip.compress(b"x" * 100)[:-12])
