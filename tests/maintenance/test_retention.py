"""Whole days are dropped, by what the table holds and never by a clock; audit knows, and positions stay."""

from pathlib import Path
from random import Random

import pytest

from tests.contract.test_sinks import commit, pairs, wanted
from tests.fakes.catalogs import FaultyCatalog
from tests.fakes.clock import FakeClock
from tests.oracle.synthetic import subway_message
from tests.simulation.test_commit import EVENTS, rows
from thirdrail import app
from thirdrail.app.caring import care_for
from thirdrail.config.reading import load
from thirdrail.config.settings import Config, SpoolConfig, TableConfig
from thirdrail.errors import ConfigError
from thirdrail.maintenance.care import Policy, care, named_files
from thirdrail.model.records import Poll, Span
from thirdrail.model.tables import BY_NAME
from thirdrail.sinks.iceberg.catalog import LocalCatalog, open_catalog
from thirdrail.sinks.iceberg.files import local_path
from thirdrail.sinks.iceberg.reader import pin
from thirdrail.sinks.iceberg.sink import IcebergSink

DAY = 1_440
"""Offsets of EVENTS that are fetched on one day."""

DAY_US = 86_400_000_000


def filled(folder: Path, days: int) -> LocalCatalog:
    catalog = open_catalog(folder, create=True)
    writer = IcebergSink(catalog, FakeClock()).open(EVENTS, "log", "0")
    for start in range(0, days * DAY, DAY // 2):
        commit(writer, start, start + DAY // 2)
    return catalog


def held(catalog: LocalCatalog) -> list[tuple[int, int]]:
    return pairs(catalog.load_table("mta.events").scan().to_arrow())


def test_only_the_newest_days_stay(tmp_path: Path) -> None:
    catalog = filled(tmp_path, 5)
    report = care(catalog, EVENTS, Policy(keep_days=2), FakeClock())
    assert (report.dropped_days, report.dropped_rows, report.trouble) == (3, len(wanted(0, 3 * DAY)), "")
    assert held(catalog) == wanted(3 * DAY, 5 * DAY)
    pinned = pin(catalog, EVENTS)
    assert pinned.positions == {("log", "0"): 5 * DAY}
    assert pinned.kept_from == 3 * DAY_US
    summary = catalog.load_table("mta.events").current_snapshot().summary.additional_properties  # type: ignore[union-attr]
    assert summary["total-records"] == str(len(wanted(3 * DAY, 5 * DAY)))
    assert care(catalog, EVENTS, Policy(keep_days=2), FakeClock()).dropped_days == 0


def test_a_dry_run_says_so_and_does_nothing(tmp_path: Path) -> None:
    catalog = filled(tmp_path, 3)
    report = care(catalog, EVENTS, Policy(keep_days=1), FakeClock(), dry_run=True)
    assert (report.dropped_days, report.dropped_rows) == (2, len(wanted(0, 2 * DAY)))
    assert held(catalog) == wanted(0, 3 * DAY)


def test_all_is_kept_by_default(tmp_path: Path) -> None:
    catalog = filled(tmp_path, 3)
    assert care(catalog, EVENTS, Policy(), FakeClock()).dropped_days == 0
    assert held(catalog) == wanted(0, 3 * DAY)
    assert pin(catalog, EVENTS).kept_from is None


def test_a_clock_that_was_years_ahead_costs_one_day(tmp_path: Path) -> None:
    """Rows fetched in 1979 come among those of 1970: they are one day more, and no reason to drop the others."""
    catalog = filled(tmp_path, 3)
    writer = IcebergSink(catalog, FakeClock()).open(EVENTS, "log", "0")
    span = Span(3 * DAY, 3 * DAY + 5)
    late = rows(span)
    at = late.schema.get_field_index("fetched_at")
    writer.commit(late.set_column(at, late.schema.field(at), rows(Span(9 * 365 * DAY, 9 * 365 * DAY + 5))[2]), span)
    care(catalog, EVENTS, Policy(keep_days=3), FakeClock())
    assert held(catalog) == wanted(DAY, 3 * DAY + 5)


def test_files_of_dropped_days_wait_for_slow_readers_and_go(tmp_path: Path) -> None:
    catalog = filled(tmp_path, 3)
    slow = pin(catalog, EVENTS)
    at_once = Policy(0, 0, keep_days=1)
    care(catalog, EVENTS, at_once, FakeClock())
    assert len(slow.read(slow.files, ["place"])) == len(wanted(0, 3 * DAY))
    writer = IcebergSink(catalog, FakeClock()).open(EVENTS, "log", "0")
    for number in range(52):  # more than the snapshots that are kept
        commit(writer, 3 * DAY + number * 2, 3 * DAY + number * 2 + 2)
    for _ in range(2):
        care(catalog, EVENTS, at_once, FakeClock())
    table = catalog.load_table("mta.events")
    there = {path for path in local_path(table.location()).rglob("*.parquet") if "day=1970-01-0" in str(path)}
    assert there == {local_path(path) for path in named_files(table)}


def test_a_commit_in_between_and_a_lost_answer_lose_no_row(tmp_path: Path) -> None:
    catalog = filled(tmp_path, 3)
    faulty = FaultyCatalog(catalog, Random(5), rate=0.0)
    writer = IcebergSink(catalog, FakeClock()).open(EVENTS, "log", "0")
    faulty.before_commit = lambda: commit(writer, 3 * DAY, 3 * DAY + 9)
    report = care(faulty, EVENTS, Policy(keep_days=1), FakeClock())  # type: ignore[arg-type]
    assert report.dropped_days == 2
    assert held(catalog) == wanted(2 * DAY, 3 * DAY + 9)
    assert pin(catalog, EVENTS).positions == {("log", "0"): 3 * DAY + 9}


def test_audit_knows_what_was_dropped_on_purpose_and_still_finds_what_was_not(tmp_path: Path) -> None:
    """Four days of a feed in one batch, across three midnights; then some are dropped from one table alone."""
    folder = tmp_path / "data"
    config = Config(
        spool=SpoolConfig(reserve_gb=0.0, retention_days=9_999),
        tables={"stop_time_updates": TableConfig(keep_days=2)},
    )
    start = 1_789_948_800  # midnight UTC
    with app.writing(folder, config) as work:
        work.note_settings()
        for number in range(16):
            at = start - 7_200 + number * 5 * 3_600
            work.append([(Poll(feed_id="subway_g", fetched_at=at * 1_000_000), subway_message(0, 5, later=number))])
        work.drain(app.Totals())
    data = app.DataFolder.existing(folder)
    assert app.audit(data, None).ok
    catalog = open_catalog(folder, create=False)
    table = BY_NAME["stop_time_updates"]
    before = pin(catalog, table)
    assert len({file.partition[0] for file in before.files}) == 5

    (report,) = care_for(data, config, FakeClock(), [table])
    assert report.dropped_days == 3
    after = pin(catalog, table)
    assert 0 < after.rows < before.rows
    told = app.audit(data, None)
    assert told.ok, told
    assert (told.captures, told.rows_expected) == (16, told.rows_found)

    # What is missing from a day that is kept is still found.
    catalog.load_table("mta.stop_time_updates").delete(f"capture_offset = {max(after.positions.values()) - 1}")
    assert app.audit(data, None).missing > 0


def test_the_configuration_names_tables_that_there_are(tmp_path: Path) -> None:
    path = tmp_path / "thirdrail.toml"
    path.write_text("[tables.stop_time_updates]\nkeep_days = 90\n")
    assert load(path).tables == {"stop_time_updates": TableConfig(keep_days=90)}
    for text, says in (
        ("[tables.stop_times]\nkeep_days = 9\n", "tables.stop_times: no table is called so"),
        ("[tables.trip_updates]\nkeep_days = 0\n", "tables[...].keep_days: expected `int` >= 1"),
        ("[tables.trip_updates]\nkeep = 3\n", "unknown key"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError) as refused:
            load(path)
        assert says in str(refused.value)
