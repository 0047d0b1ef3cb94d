"""An upgrade that replaces pipes: by the page's own steps, no row is lost and none is there twice."""

import json
from pathlib import Path

import polars as pl
import pytest

from tests.snowflake.conftest import command
from thirdrail import app
from thirdrail.app.data_folder import DataFolder
from thirdrail.app.looking import pinned
from thirdrail.city.messages import body, header_time
from thirdrail.config.reading import load
from thirdrail.config.settings import Config, SpoolConfig
from thirdrail.emulator.server import EmulatorServer
from thirdrail.errors import NoDataYet, PositionUnknown
from thirdrail.model.records import Poll
from thirdrail.model.tables import TABLES, Table

AT = 1_790_000_000
FEEDS = ("subway_l", "lirr", "alerts_all")


def _carry(data: Path, config: Config, minutes: range) -> None:
    """What `run` does for some minutes, and its orderly end."""
    with app.writing(data, config) as work:
        work.note_settings()
        for minute in minutes:
            polls = [
                (Poll(feed_id=feed, fetched_at=(header_time(feed, AT) + 60 * minute + 3) * 1_000_000), text)
                for feed in FEEDS
                for text in (body(0, feed, AT + 60 * minute),)
            ]
            work.append(list(polls))
        work.drain(app.Totals())


def _here(data: Path, table: Table) -> pl.DataFrame:
    try:
        return pl.DataFrame(pinned(DataFolder.existing(data), table).whole())
    except NoDataYet:
        return pl.DataFrame(table.arrow_schema.empty_table())


def _keys(rows: pl.DataFrame) -> list[tuple[object, ...]]:
    names = [name for name in ("feed_id", "capture_offset", "entity_ordinal", "change_kind") if name in rows.columns]
    return sorted(rows.select(names).rows(), key=str)


def test_replaced_pipes_stop_the_run_until_their_tokens_are_handed_over(
    tmp_path: Path, config_file: Path, emulator: EmulatorServer
) -> None:
    data = tmp_path / "data"
    place = ["--config", str(config_file), "--data", str(data)]
    snowflake = load(config_file).snowflake
    config = Config(sinks=("iceberg", "snowflake"), snowflake=snowflake, spool=SpoolConfig(reserve_gb=0.0))
    _carry(data, config, range(3))

    before = command("status", "--json", *place)
    states = [each for each in json.loads(before.out) if each["token"] is not None]
    assert before.code == 0
    assert {each["lag"] for each in states} == {0}
    file = tmp_path / "before.json"
    file.write_text(before.out)
    for each in states:
        emulator.storage.drop(each["pipe"], each["channel"])  # as CREATE OR REPLACE PIPE does

    with pytest.raises(PositionUnknown, match="was dropped"):
        _carry(data, config, range(3, 4))
    assert command("channels", "restore", str(file), *place).code == 0
    _carry(data, config, range(4, 6))

    filled = 0
    for table in TABLES:
        there = pl.DataFrame(emulator.storage.rows(table.name))
        assert _keys(there) == _keys(_here(data, table)), table.name
        filled += len(there) > 0
    assert filled >= 6
