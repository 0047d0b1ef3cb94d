"""Captures that the log has lost before Snowflake had them: skipped there too, by either method, and it goes on."""

from pathlib import Path

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.snowflake.test_method import Method, carry
from thirdrail import app
from thirdrail.app.data_folder import DataFolder
from thirdrail.config.reading import load
from thirdrail.config.settings import Config, SpoolConfig
from thirdrail.emulator.server import EmulatorServer
from thirdrail.errors import CapturesGone
from thirdrail.maintenance.sameness import compared
from thirdrail.model.tables import FEED_MESSAGES, QUARANTINE, TABLES

OTHER: dict[Method, Method] = {"snowpipe": "snowpipe_streaming", "snowpipe_streaming": "snowpipe"}


def _offsets(emulator: EmulatorServer) -> set[int]:
    return set(emulator.storage.rows("feed_messages").column("capture_offset").to_pylist())


@pytest.mark.parametrize("method", ["snowpipe", "snowpipe_streaming"])
@pytest.mark.parametrize("is_changed", [False, True])
def test_a_span_that_is_gone_is_skipped_in_snowflake_and_a_restart_goes_on(
    tmp_path: Path, config_file: Path, emulator: EmulatorServer, method: Method, *, is_changed: bool
) -> None:
    data = tmp_path / "data"
    here = Config(snowflake=load(config_file).snowflake, spool=SpoolConfig(reserve_gb=0.0))
    both = msgspec.structs.replace(here, sinks=("iceberg", "snowflake"))
    carry(data, both, method, 0)
    had = _offsets(emulator)
    carry(data, here, method, 1)  # Snowflake is away, and the log goes on in another file
    with app.writing(data, here) as work:
        work.log.skip(0)
    carry(data, here, method, 2)
    for path in (data / "spool").glob("*_000000000000.sqlite*"):
        path.unlink()

    with pytest.raises(CapturesGone):
        carry(data, both, method, 3)
    ahead, _ = app.skip_ahead(data, both)
    again = OTHER[method] if is_changed else method
    carry(data, both, again, 4)
    carry(data, both, again, 5)

    found = _offsets(emulator)
    listed = {offset for offset in _here(data) if offset in had or offset >= 1_000_000}
    assert found == listed, "what it had, and all that the log has since"
    assert len({offset // 1_000_000 for offset in found}) > 2
    for table in TABLES:
        there = emulator.storage.rows(table.name)
        keys = [name for name in ("capture_offset", "entity_ordinal", table.place, "change_kind") if name]
        places = pl.DataFrame(there).select(name for name in keys if name in there.column_names)
        assert table is QUARANTINE or places.n_unique() == len(places), f"{table.name}: a row is there twice"
        # Below, the log has lost what Iceberg's rows were compared with.
        newest = pc.field("capture_offset") >= ahead
        folder = DataFolder.existing(data)
        here = pa.concat_tables(list(app.pinned(folder, table).scan(table.names(), ahead, None)) or [there.slice(0, 0)])
        found_here = compared(table, here, there.filter(newest))
        assert found_here.is_same, found_here
    report = app.audit(DataFolder.existing(data), None)
    assert report.faults == 0


def _here(data: Path) -> set[int]:
    rows = app.pinned(DataFolder.existing(data), FEED_MESSAGES).scan(["capture_offset"], None, None)
    return {offset for batch in rows for offset in batch.column("capture_offset").to_pylist()}
