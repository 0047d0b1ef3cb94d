"""Snowflake is added to a folder that has run without it: it gets every capture that the log still holds."""

from pathlib import Path

import msgspec
import pytest

from tests.snowflake.test_method import Method, carry
from thirdrail import app
from thirdrail.app.data_folder import DataFolder
from thirdrail.cli.rehearse import compared_folders
from thirdrail.config.reading import load
from thirdrail.config.settings import Config, SpoolConfig
from thirdrail.emulator.server import EmulatorServer


@pytest.mark.parametrize("method", ["snowpipe_streaming", "snowpipe"])
def test_a_sink_that_is_added_later_begins_with_the_logs_first_capture(
    tmp_path: Path, config_file: Path, emulator: EmulatorServer, method: Method
) -> None:
    data = tmp_path / "data"
    alone = Config(snowflake=load(config_file).snowflake, spool=SpoolConfig(reserve_gb=0.0))
    for minute in range(3):
        carry(data, alone, method, minute)
    both = msgspec.structs.replace(alone, sinks=("iceberg", "snowflake"))
    carry(data, both, method, 3)

    found = compared_folders(data, emulator.folder)
    assert [each for each in found if not each.is_same] == []
    assert sum(each.here for each in found) > 1_000
    assert app.audit(DataFolder.existing(data), None).ok
