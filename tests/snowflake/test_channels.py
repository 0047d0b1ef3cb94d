"""States of channels, and what may be done to them, against the stand-in and the official client."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.clock import FakeClock
from tests.snowflake.conftest import command
from thirdrail.app.channels import NOTES, Channels
from thirdrail.app.data_folder import DataFolder
from thirdrail.capturelog.day_files import PARTITION
from thirdrail.capturelog.spool import Spool
from thirdrail.config.reading import load
from thirdrail.config.settings import Config
from thirdrail.emulator.server import EmulatorServer
from thirdrail.errors import ChannelInUse, NoInput, UsageError
from thirdrail.model.records import Poll
from thirdrail.model.tables import BY_NAME
from thirdrail.observe.clock import SystemClock
from thirdrail.sinks.snowflake.account import account_of, channel_name, pipe_name
from thirdrail.sinks.snowflake.channel_states import ChannelState
from thirdrail.sinks.snowflake.notes import ChannelNotes
from thirdrail.sinks.snowpipe_streaming.client import connected, properties

VALUES: dict[str, Any] = {
    "string": "x", "int": 1, "long": 1, "float": 1.0, "double": 1.0, "boolean": True, "date": "2026-07-01",
    "timestamptz": "2026-07-01T12:00:00Z", "list<string>": [],
}  # fmt: skip
CHANNEL = channel_name("main", PARTITION)
ALERTS = f"ALERTS_PIPE/{CHANNEL}"


class Watching(SystemClock):
    """A clock whose naps are short, and during which something may happen."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.meanwhile = meanwhile

    def sleep(self, seconds: float) -> None:
        self.meanwhile()


@pytest.fixture
def config(config_file: Path) -> Config:
    return load(config_file)


def _send(config: Config, table: str, token: str, rows: int = 1) -> None:
    """Put rows into a table as `run` would: through its channel, until they are committed."""
    account = account_of(config.snowflake, {})
    client = connected(
        account, pipe_name(table, default_pipes=False), properties(account, retry_seconds=10, buffer_ms=50)
    )
    channel, _ = client.open_channel(CHANNEL)
    row = {column.name: VALUES[column.type] for column in BY_NAME[table].columns}
    for _ in range(rows):
        channel.append_row(row, token)
    channel.wait_for_commit(lambda committed: committed == token, timeout_seconds=30)
    client.close()


def _channels(tmp_path: Path, config: Config, clock: SystemClock | None = None) -> Channels:
    return Channels(tmp_path / "data", config, clock or Watching())


def _log(tmp_path: Path) -> Spool:
    folder = DataFolder.for_writing(tmp_path / "data")
    return Spool.open(folder.spool, FakeClock(), writable=True)


def _state(states: list[ChannelState], table: str) -> ChannelState:
    return next(each for each in states if each.table == table)


def test_status_tells_rows_token_and_lag_behind_the_log(tmp_path: Path, config: Config, config_file: Path) -> None:
    log = _log(tmp_path)
    for at in range(5):
        log.append(PARTITION, [(Poll(feed_id="lirr", fetched_at=1_790_000_000_000_000 + at), b"x")])
    first = log.first(PARTITION)
    _send(config, "alerts", f"{log.log_id}/{first + 2}", rows=3)
    log.close()

    found = _channels(tmp_path, config).states()
    alerts, trips = _state(found, "alerts"), _state(found, "trip_updates")
    assert (alerts.status, alerts.rows_inserted, alerts.rows_refused, alerts.lag) == ("SUCCESS", 3, 0, 3)
    assert alerts.position == first + 2
    assert (trips.exists, trips.token, trips.lag) == (False, None, None)

    place = ["--config", str(config_file), "--data", str(tmp_path / "data")]
    shown = json.loads(command("status", "--json", *place).out)
    assert _state([ChannelState(**each) for each in shown], "alerts") == alerts
    assert [each["table"] for each in json.loads(command("channels", "list", "--json", *place).out)] == ["alerts"]


def test_a_channel_is_not_dropped_while_a_process_holds_the_data_folder(tmp_path: Path, config: Config) -> None:
    _send(config, "alerts", "log/1")
    log = _log(tmp_path)
    with pytest.raises(ChannelInUse, match=r"process \d+ since .* writes these channels"):
        _channels(tmp_path, config).drop(ALERTS)
    log.close()


def test_a_channel_is_not_dropped_while_its_token_moves(tmp_path: Path, config: Config) -> None:
    _send(config, "alerts", "log/1")
    moving = Watching(lambda: _send(config, "alerts", "log/2"))
    with pytest.raises(ChannelInUse, match="somebody writes it"):
        _channels(tmp_path, config, moving).drop(ALERTS)


def test_a_channel_whose_token_alone_tells_what_its_table_holds_is_not_dropped(tmp_path: Path, config: Config) -> None:
    _send(config, "alerts", "log/9")
    _send(config, "feed_messages", "log/7")
    for key in (ALERTS, f"FEED_MESSAGES_PIPE/{CHANNEL}"):
        with pytest.raises(ChannelInUse, match=r"its token log/. alone tells which"):
            _channels(tmp_path, config).drop(key)


def test_a_channel_that_the_last_table_has_passed_is_dropped_and_forgotten(
    tmp_path: Path, config: Config, emulator: EmulatorServer
) -> None:
    folder = DataFolder.for_writing(tmp_path / "data")
    Spool.open(folder.spool, FakeClock(), writable=True).close()
    ChannelNotes(folder.path / NOTES).note(ALERTS, 0)
    _send(config, "alerts", "log/9")
    _send(config, "feed_messages", "log/9")

    assert _channels(tmp_path, config).drop(ALERTS).token == "log/9"

    assert emulator.storage.channel("ALERTS_PIPE", CHANNEL) is None
    assert ALERTS not in ChannelNotes(folder.path / NOTES)
    assert len(emulator.storage.rows("alerts")) == 1


def test_a_channel_that_there_is_not_cannot_be_dropped(tmp_path: Path, config: Config) -> None:
    with pytest.raises(UsageError, match="there is no channel"):
        _channels(tmp_path, config).drop(ALERTS)


def test_tokens_survive_the_replacement_of_a_pipe(
    tmp_path: Path, config: Config, config_file: Path, emulator: EmulatorServer
) -> None:
    place = ["--config", str(config_file), "--data", str(tmp_path / "none")]
    _send(config, "alerts", "log/9+3.0.w")
    _send(config, "feed_messages", "log/9")
    before = tmp_path / "before.json"
    before.write_text(command("status", "--json", *place).out)
    emulator.storage.drop("ALERTS_PIPE", CHANNEL)  # what CREATE OR REPLACE PIPE does to its channels

    done = command("channels", "restore", str(before), *place)

    assert done.code == 0, done
    assert done.out.count("as before") == 2
    found = [emulator.storage.channel(pipe, CHANNEL) for pipe in ("ALERTS_PIPE", "FEED_MESSAGES_PIPE")]
    assert [each.token for each in found if each] == ["log/9+3.0.w", "log/9"]


def test_a_channel_that_went_on_meanwhile_keeps_its_token_and_is_named(
    tmp_path: Path, config: Config, config_file: Path, emulator: EmulatorServer
) -> None:
    place = ["--config", str(config_file), "--data", str(tmp_path / "none")]
    _send(config, "alerts", "log/9")
    before = tmp_path / "before.json"
    before.write_text(command("status", "--json", *place).out)
    _send(config, "alerts", "log/12")

    done = command("channels", "restore", str(before), *place)

    assert done.code == 1
    assert "DIFFERS" in done.out
    alerts = emulator.storage.channel("ALERTS_PIPE", CHANNEL)
    assert alerts is not None
    assert alerts.token == "log/12"


def test_a_file_that_is_no_list_of_channels_is_refused(tmp_path: Path, config: Config) -> None:
    path = tmp_path / "x.json"
    with pytest.raises(NoInput, match="there is no file"):
        _channels(tmp_path, config).restore(path)
    path.write_text('{"a": 1}')
    with pytest.raises(NoInput, match="is not what"):
        _channels(tmp_path, config).restore(path)


def test_only_a_channel_that_is_gone_is_forgotten(tmp_path: Path, config: Config, emulator: EmulatorServer) -> None:
    folder = DataFolder.for_writing(tmp_path / "data")
    Spool.open(folder.spool, FakeClock(), writable=True).close()
    with pytest.raises(UsageError, match="knows of no channel"):
        _channels(tmp_path, config).forget(ALERTS)
    ChannelNotes(folder.path / NOTES).note(ALERTS, 0)
    _send(config, "alerts", "log/1")
    with pytest.raises(ChannelInUse, match="is there"):
        _channels(tmp_path, config).forget(ALERTS)
    emulator.storage.drop("ALERTS_PIPE", CHANNEL)

    _channels(tmp_path, config).forget(ALERTS)

    assert ALERTS not in ChannelNotes(folder.path / NOTES)
