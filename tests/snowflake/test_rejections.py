"""Rows that Snowflake refuses: named, audited, and brought back once each, or given up."""

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import polars as pl
import pytest

from tests.snowflake.conftest import Done, command
from tests.snowflake.test_method import carry
from thirdrail import app
from thirdrail.app.data_folder import DataFolder
from thirdrail.cli.main import run
from thirdrail.cli.rehearse import compared_folders
from thirdrail.config.reading import load
from thirdrail.config.settings import Config
from thirdrail.emulator.looking import query
from thirdrail.emulator.server import EmulatorServer
from thirdrail.emulator.storage import CHANNEL
from thirdrail.model.tables import BY_NAME

TABLE = "stop_time_updates"
POINTS = ("nowhere", "told", "noted", "ordered", "sent", "committed", "told at once")


def thirdrail(*arguments: str) -> Done:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(list(arguments))
    return Done(code, out.getvalue(), err.getvalue())


def differences(data: Path, emulator: EmulatorServer) -> dict[str, tuple[int, int]]:
    """Table → rows only in Iceberg and only in Snowflake."""
    found = compared_folders(data, emulator.folder)
    return {each.table: (each.only_here, each.only_there) for each in found if not each.is_same}


def doubled(emulator: EmulatorServer) -> int:
    rows = pl.DataFrame(query(emulator.folder, f"SELECT * FROM {TABLE}")).drop(CHANNEL, strict=False)
    return len(rows) - rows.select("capture_offset", "entity_ordinal", "change_kind", *_place()).n_unique()


def _place() -> list[str]:
    name = BY_NAME[TABLE].place
    return [name] if name else []


def payloads(emulator: EmulatorServer, path: Path) -> Path:
    path.write_text("".join(f"{line}\n" for _, line in emulator.storage.refused(TABLE)))
    return path


@pytest.fixture
def config(config_file: Path) -> Config:
    text = config_file.read_text().partition("[snowflake]")[2]
    keys = 'sinks = ["iceberg", "snowflake"]\n[spool]\nreserve_gb = 0.0\n'
    config_file.write_text(f"{keys}[snowflake]{text}")
    return load(config_file)


def test_refused_rows_are_named_audited_and_brought_back_once(
    tmp_path: Path, config: Config, config_file: Path, emulator: EmulatorServer
) -> None:
    data = tmp_path / "data"
    place = ["--data", str(data), "--config", str(config_file)]
    emulator.faults.spoil[TABLE] = b'"stop_id":"L2'
    carry(data, config, "snowpipe_streaming", 0)
    carry(data, config, "snowpipe_streaming", 1)
    emulator.faults.spoil.clear()
    state = emulator.storage.channels()
    refused = sum(each.errors for each in state)
    assert refused > 1
    assert differences(data, emulator)[TABLE] == (refused, 0), "sent = inserted + refused"

    rejections = app.open_rejections(DataFolder.existing(data))
    assert sum(each.place.count for each in rejections.values() if each.place) == refused
    audited = thirdrail("audit", "--data", str(data))
    assert audited.code == 1
    assert f"{TABLE}: snowflake refused" in audited.out
    assert "spoilt by the emulator" in audited.out.replace("\n", " ")
    assert "not ok: a sink lacks rows" in audited.out.replace("\n", " ")
    assert "thirdrail quarantine replay" in audited.out.replace("\n", " ")
    assert command("status", *place).code == 1

    unnamed = thirdrail("quarantine", "replay", "--rule", "M039", *place)
    assert unnamed.code != 0
    assert "did not say which" in unnamed.err.replace("\n", " ")
    file = payloads(emulator, tmp_path / "refused.ndjson")
    one_less = tmp_path / "less.ndjson"
    one_less.write_text("".join(file.read_text().splitlines(keepends=True)[1:]))
    assert thirdrail("quarantine", "replay", "--rule", "M039", "--refused", str(one_less), *place).code != 0
    done = thirdrail("quarantine", "replay", "--rule", "M039", "--refused", str(file), *place)
    assert done.code == 0, done.err
    assert differences(data, emulator) == {}
    assert doubled(emulator) == 0
    assert app.audit(DataFolder.existing(data), None).ok
    assert command("status", *place).code == 0
    again = thirdrail("quarantine", "replay", *rejections, "--refused", str(file), *place)
    assert again.code != 0, "what is settled is not sent a second time"
    assert differences(data, emulator) == {}
