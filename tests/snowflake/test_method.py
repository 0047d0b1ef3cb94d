"""`ingestion_method` changed in mid-stream, both ways and back: the same rows, with files loaded only later."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from tests.snowflake.conftest import command
from tests.snowflake.test_hand_over import AT, FEEDS
from thirdrail import app
from thirdrail.app.data_folder import DataFolder
from thirdrail.city.messages import body, header_time
from thirdrail.cli.rehearse import compared_folders
from thirdrail.config.reading import load
from thirdrail.config.settings import Config, SpoolConfig
from thirdrail.emulator.looking import query
from thirdrail.emulator.server import EmulatorServer
from thirdrail.errors import HandOverPending, PositionUnknown
from thirdrail.model.records import Poll
from thirdrail.sinks.snowpipe import writer

Method = Literal["snowpipe", "snowpipe_streaming"]


def carry(
    data: Path,
    config: Config,
    method: Method,
    minute: int,
    *,
    for_s: float = 60.0,
    enough: Callable[[], object] = lambda: False,
) -> None:
    """Poll a minute, and carry until all is settled, for some seconds, or until it is enough."""
    snowflake = msgspec.structs.replace(config.snowflake, ingestion_method=method, batch_seconds=1.0)
    with app.writing(data, msgspec.structs.replace(config, snowflake=snowflake)) as work:
        until = time.monotonic() + for_s
        work.note_settings()
        work.append(
            [
                (Poll(feed_id=feed, fetched_at=(header_time(feed, AT) + 60 * minute + 3) * 1_000_000), text)
                for feed in FEEDS
                for text in (body(0, feed, AT + 60 * minute),)
            ]
        )
        work.drain(app.Totals(), lambda: time.monotonic() > until or bool(enough()))


def test_one_key_is_the_whole_migration(
    tmp_path: Path, config_file: Path, emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "ASK_S", 0.2)
    data = tmp_path / "data"
    snowflake = load(config_file).snowflake
    config = Config(sinks=("iceberg", "snowflake"), snowflake=snowflake, spool=SpoolConfig(reserve_gb=0.0))
    submitted = "SELECT count(*) AS n FROM submitted WHERE status = 'LOAD_IN_PROGRESS'"

    carry(data, config, "snowpipe", 0)
    emulator.faults.is_frozen = True
    carry(data, config, "snowpipe", 1, enough=lambda: emulated(emulator, submitted))
    waiting = emulated(emulator, submitted)
    assert waiting > 0, "files are on their way"
    place = ["--config", str(config_file), "--data", str(data)]
    config_file.write_text(config_file.read_text() + '\ningestion_method = "snowpipe"\n')
    status = command("status", "--json", *place)
    assert not status.err
    told = json.loads(status.out)
    assert (status.code, sum(each["waiting"] for each in told)) == (0, waiting)
    assert max(each["lag"] for each in told) > 0
    assert "waiting" in command("status", *place).out
    with pytest.raises(HandOverPending, match="not loaded yet"):
        carry(data, config, "snowpipe_streaming", 2)
    assert emulated(emulator, submitted) == waiting
    emulator.faults.is_frozen = False

    carry(data, config, "snowpipe_streaming", 3)
    emulator.faults.is_frozen = True
    carry(data, config, "snowpipe_streaming", 4, for_s=3)  # accepted, not committed: thrown away by who opens next
    emulator.faults.is_frozen = False
    carry(data, config, "snowpipe", 5)
    told = json.loads(command("status", "--json", *place).out)
    assert {(each["waiting"], each["lag"], each["refused"]) for each in told if each["loaded"] is not None} == {
        (0, 0, 0)
    }
    carry(data, config, "snowpipe_streaming", 6)

    found = compared_folders(data, emulator.folder)
    assert [each for each in found if not each.is_same] == []
    assert sum(each.here for each in found) > 1_000
    assert app.audit(DataFolder.existing(data), None).ok


def emulated(emulator: EmulatorServer, sql: str) -> int:
    return int(query(emulator.folder, sql)["n"][0].as_py())


def test_another_account_is_refused_before_anything_is_sent_there(
    tmp_path: Path, config_file: Path, emulator: EmulatorServer
) -> None:
    snowflake = load(config_file).snowflake
    config = Config(sinks=("snowflake",), snowflake=snowflake, spool=SpoolConfig(reserve_gb=0.0))
    carry(tmp_path / "data", config, "snowpipe_streaming", 0)
    before = emulated(emulator, "SELECT sum(inserted)::BIGINT AS n FROM channels")
    other = msgspec.structs.replace(config, snowflake=msgspec.structs.replace(snowflake, schema="ELSEWHERE"))
    with pytest.raises(PositionUnknown, match=r"EMULATOR-LOCAL/MTA/REALTIME, and the configuration names .*/ELSEWHERE"):
        carry(tmp_path / "data", other, "snowpipe_streaming", 1)
    assert emulated(emulator, "SELECT sum(inserted)::BIGINT AS n FROM channels") == before
