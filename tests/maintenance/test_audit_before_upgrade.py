"""`audit` of a newer version, before it has run on the folder: columns that it brings are not missed."""

from pathlib import Path

from tests.fakes.clock import FakeClock
from thirdrail import app
from thirdrail.city.messages import body
from thirdrail.config.settings import Config
from thirdrail.model.records import Poll
from thirdrail.model.tables import BY_NAME, Column
from thirdrail.query.warehouse import open_warehouse
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.reader import pin

AT = 1_782_907_200
TABLE, COLUMN = BY_NAME["stop_time_updates"], "actual_track"


def taken_in(folder: Path, first: int, last: int) -> None:
    clock = FakeClock(AT * 1_000_000)
    with app.writing(folder, Config(), clock) as work:
        work.note_settings()
        for minute in range(first, last):
            moment = AT + 60 * minute
            work.append([(Poll(feed_id="subway_l", fetched_at=moment * 1_000_000), body(0, "subway_l", moment))])
        work.drain(app.Totals())


def declare(columns: tuple[Column, ...]) -> None:
    object.__setattr__(TABLE, "columns", columns)
    TABLE.__post_init__()


def test_a_column_that_the_first_run_will_bring_is_not_missed_before_nor_after(tmp_path: Path) -> None:
    folder, columns = tmp_path / "data", TABLE.columns
    declare(tuple(column for column in columns if column.name != COLUMN))
    try:
        taken_in(folder, 0, 4)
    finally:
        declare(columns)
    assert pin(open_catalog(folder, create=False), TABLE).lacks == {COLUMN}
    told = app.audit(app.DataFolder.existing(folder), None)
    assert told.ok, told
    assert told.rows_found > 500
    warehouse = open_warehouse(open_catalog(folder, create=False))
    asked = warehouse.sql(f"SELECT {COLUMN} FROM stop_time_updates").column(COLUMN)
    assert asked.null_count == len(asked) > 500
    assert len(warehouse.sql("FROM predictions_now")) > 100
    taken_in(folder, 4, 8)
    told = app.audit(app.DataFolder.existing(folder), None)
    assert told.ok, told
    assert pin(open_catalog(folder, create=False), TABLE).lacks == set()
