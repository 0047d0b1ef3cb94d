"""The thread that commits goes on whatever happens beside it, and says so when it cannot."""

import threading
from pathlib import Path

import pytest
import zstandard

from tests.emulator.test_wire import Hand
from thirdrail.emulator.faults import Faults
from thirdrail.emulator.rows import Column
from thirdrail.emulator.server import EmulatorServer
from thirdrail.emulator.storage import Storage

TABLES = {"trips": {"id": Column("long", required=True)}}


def test_a_channel_opened_while_its_rows_are_committed_stops_no_others(tmp_path: Path) -> None:
    storage = Storage(tmp_path, TABLES, Faults(), commit_delay_s=0.0)
    for channel in ("one", "two"):
        opened = storage.open("P", channel, "trips", None, discard=True)
        body = zstandard.compress(b'{"id": 1}\n')
        storage.accept("P", channel, opened.continuation, "5", body, 1)

    def decompress(body: bytes) -> bytes:
        storage.open("P", "one", "trips", None, discard=True)  # a thief, right between reading and committing
        return zstandard.decompress(body)

    assert storage.commit_due(decompress) == 0
    assert storage.commit_due(zstandard.decompress) == 1
    assert storage.rows("trips").column("_channel").to_pylist() == ["two"]
    storage.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_emulator_whose_commits_have_ended_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def broken(*_: object) -> int:
        ended.set()
        raise OSError("no space left")

    with EmulatorServer(tmp_path, tables=TABLES) as server:
        hand = Hand(server)
        monkeypatch.setattr(server.storage, "commit_due", broken)
        assert ended.wait(10)
        server._threads[1].join(10)
        answer = hand.call("POST", "/oauth/token", "x")
        assert answer.status_code == 405
        assert "no space left" in answer.text
