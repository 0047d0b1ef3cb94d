"""Rows that Snowflake refuses: named, audited, and brought back once each, or given up."""

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import msgspec
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
from thirdrail.errors import StagedFileRefused
from thirdrail.model.tables import BY_NAME
from thirdrail.sinks.snowpipe import writer

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


@pytest.fixture
def by_files(config: Config, config_file: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(writer, "ASK_S", 0.2)
    config_file.write_text(config_file.read_text() + '\ningestion_method = "snowpipe"\nbatch_seconds = 1.0\n')
    return config


def refuse_a_file(data: Path, config: Config, emulator: EmulatorServer) -> None:
    """Have a table's file refused, which stops the sink."""
    emulator.faults.spoil[TABLE] = b"PAR1"  # every file
    with pytest.raises(StagedFileRefused, match="spoilt by the emulator"):
        carry(data, config, "snowpipe", 0)
    with app.writing(data, msgspec.structs.replace(config, sinks=("iceberg",))) as work:
        work.drain(app.Totals())  # in `run` each sink goes its own way
    emulator.faults.spoil.clear()


def test_a_refused_file_is_named_by_audit_and_its_rows_come_back_once_when_the_cause_is_mended(
    tmp_path: Path, by_files: Config, config_file: Path, emulator: EmulatorServer
) -> None:
    data = tmp_path / "data"
    place = ["--data", str(data), "--config", str(config_file)]
    refuse_a_file(data, by_files, emulator)
    ((name, rejection),) = app.open_rejections(DataFolder.existing(data)).items()
    assert rejection.place is not None
    log = rejection.place.first.partition("/")[0]
    audited = thirdrail("audit", "--data", str(data))
    assert audited.code == 1
    said = f"{TABLE}: snowflake refused file {log}/0/0-4.parquet, all its rows, {log}/0 to {log}/4: Snowflake says "
    assert f"{said}LOAD_FAILED, with 1 errors; the first: spoilt by the emulator" in audited.out
    status = command("status", *place)
    assert status.code == 1
    assert f"not settled: {name}: file {log}/0/0-4.parquet" in status.out

    emulator.faults.spoil[TABLE] = b"PAR1"
    again = thirdrail("quarantine", "replay", "--rule", "M039", *place)
    assert again.code == 1, "the rows are refused once more, and told of under the order that sent them"
    assert list(app.open_rejections(DataFolder.existing(data))) != [name]
    emulator.faults.spoil.clear()
    done = thirdrail("quarantine", "replay", "--rule", "M039", *place)
    assert done.code == 0, done.err
    assert differences(data, emulator) == {}
    assert doubled(emulator) == 0
    assert thirdrail("audit", "--data", str(data)).code == 0
    assert command("status", *place).code == 0


def test_a_refused_file_can_be_given_up(
    tmp_path: Path, by_files: Config, config_file: Path, emulator: EmulatorServer
) -> None:
    data = tmp_path / "data"
    refuse_a_file(data, by_files, emulator)
    (name,) = app.open_rejections(DataFolder.existing(data))
    done = thirdrail("quarantine", "accept", name, "--data", str(data), "--config", str(config_file))
    assert done.code == 0, done.err
    lacking, extra = differences(data, emulator).pop(TABLE)
    assert (lacking > 100, extra) == (True, 0)
    assert differences(data, emulator) == {TABLE: (lacking, 0)}
    assert app.audit(DataFolder.existing(data), None).ok


def test_rows_of_a_file_whose_cause_cannot_be_mended_go_one_by_one_by_channels(
    tmp_path: Path, by_files: Config, config_file: Path, emulator: EmulatorServer
) -> None:
    data = tmp_path / "data"
    place = ["--data", str(data), "--config", str(config_file)]
    refuse_a_file(data, by_files, emulator)
    emulator.faults.spoil[TABLE] = b'"stop_id":"L2'
    config_file.write_text(config_file.read_text().replace('"snowpipe"', '"snowpipe_streaming"'))
    done = thirdrail("quarantine", "replay", "--rule", "M039", *place)
    assert done.code == 0, done.err
    emulator.faults.spoil.clear()
    refused = sum(each.errors for each in emulator.storage.channels())
    assert refused > 1
    assert differences(data, emulator)[TABLE] == (refused, 0), "only the bad ones are refused"
    file = payloads(emulator, tmp_path / "refused.ndjson")
    assert thirdrail("quarantine", "replay", "--rule", "M039", "--refused", str(file), *place).code == 0
    assert differences(data, emulator) == {}
    assert thirdrail("audit", "--data", str(data)).code == 0
