"""Snapshots go by number and by age, table by table; positions, the chronicle and whoever reads lose nothing by it."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
from pyiceberg.table import snapshots as pyiceberg_snapshots

from tests.contract.test_sinks import commit, pairs, wanted
from tests.fakes.catalogs import FaultyCatalog
from tests.fakes.clock import FakeClock
from tests.query.lake import arrow, message
from tests.simulation.test_commit import EVENTS, rows
from thirdrail import app
from thirdrail.app import caring
from thirdrail.app.caring import care_for, policy
from thirdrail.config.reading import load
from thirdrail.config.settings import Config, MaintenanceConfig, SpoolConfig, TableConfig
from thirdrail.errors import CatalogUnavailable, ConfigError
from thirdrail.maintenance.care import HOUR_US, Policy, care
from thirdrail.model.records import Span
from thirdrail.model.tables import BY_NAME, COMMITS, FEED_MESSAGES
from thirdrail.sinks.iceberg.catalog import LocalCatalog, open_catalog
from thirdrail.sinks.iceberg.chronicle import note_commits, noted_up_to
from thirdrail.sinks.iceberg.commit import numbered_above
from thirdrail.sinks.iceberg.housekeeping import sweep
from thirdrail.sinks.iceberg.positions import current_positions
from thirdrail.sinks.iceberg.reader import pin
from thirdrail.sinks.iceberg.sink import IcebergSink, IcebergWriter

NAME = ("mta", "events")
HOUR_S = 3_600.0
START = 1_790_000_000.0


@pytest.fixture
def hour(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the time, in hours from the start, that snapshots are made at."""
    now = START

    def at(hours: float) -> None:
        nonlocal now
        now = START + hours * HOUR_S

    monkeypatch.setattr(pyiceberg_snapshots, "time", SimpleNamespace(time=lambda: now))
    return at


def writer(catalog: LocalCatalog) -> IcebergWriter:
    return IcebergSink(catalog, FakeClock()).open(EVENTS, "log", "0")


def hourly(folder: Path, hours: int, hour: Callable[[float], None]) -> LocalCatalog:
    """A commit of three offsets at every hour from the start."""
    catalog = open_catalog(folder, create=True)
    each = writer(catalog)
    for number in range(hours):
        hour(number)
        commit(each, number * 3, number * 3 + 3)
    return catalog


def ages(catalog: LocalCatalog) -> list[int]:
    """Hours, from the start, at which the snapshots that are kept were made."""
    made = (snapshot.timestamp_ms / 1_000 for snapshot in catalog.load_table(NAME).metadata.snapshots)
    return sorted(round((at - START) / HOUR_S) for at in made)


def test_a_snapshot_goes_so_long_after_a_newer_one_took_its_place(
    tmp_path: Path, hour: Callable[[float], None]
) -> None:
    catalog = hourly(tmp_path, 6, hour)
    # That of hour 2 gave way at hour 3, two hours before the last commit.
    dry = care(catalog, EVENTS, Policy(snapshots_us=2 * HOUR_US), FakeClock(), dry_run=True)
    assert (dry.expired, ages(catalog)) == (3, [0, 1, 2, 3, 4, 5])
    assert care(catalog, EVENTS, Policy(snapshots_us=2 * HOUR_US), FakeClock()).expired == 3
    assert ages(catalog) == [3, 4, 5]
    assert writer(catalog).position == 18
    assert pairs(catalog.load_table(NAME).scan().to_arrow()) == wanted(0, 18)


def test_a_table_at_rest_keeps_its_snapshots_and_one_read_in_its_last_moment_stays(
    tmp_path: Path, hour: Callable[[float], None]
) -> None:
    catalog = hourly(tmp_path, 2, hour)
    hour(99)
    assert care(catalog, EVENTS, Policy(), FakeClock()).expired == 0
    assert ages(catalog) == [0, 1]
    slow = catalog.load_table(NAME)  # of hour 1: the newest for four days, until this very moment
    commit(writer(catalog), 6, 9)
    assert care(catalog, EVENTS, Policy(snapshots_us=HOUR_US), FakeClock()).expired == 1
    sweep(catalog.load_table(NAME), 2**62, grace_us=0)
    assert ages(catalog) == [1, 99]
    assert pairs(slow.scan().to_arrow()) == wanted(0, 6)


def test_every_commit_keeps_to_the_number_that_care_has_noted(tmp_path: Path) -> None:
    catalog = open_catalog(tmp_path, create=True)
    each = writer(catalog)
    for number in range(20):
        commit(each, number, number + 1)
    assert care(catalog, EVENTS, Policy(snapshots=5), FakeClock()).expired > 0
    assert len(catalog.load_table(NAME).metadata.snapshots) == 5
    for number in range(20, 40):
        commit(each, number, number + 1)
        assert len(catalog.load_table(NAME).metadata.snapshots) == 5
    assert care(catalog, EVENTS, Policy(snapshots=60), FakeClock()).expired == 0
    for number in range(40, 160):
        commit(each, number, number + 1)
    assert len(catalog.load_table(NAME).metadata.snapshots) == 60
    assert care(catalog, EVENTS, Policy(snapshots=60), FakeClock(), dry_run=True).expired == 0
    assert writer(catalog).position == 159


def test_what_a_tag_names_stays(tmp_path: Path, hour: Callable[[float], None]) -> None:
    catalog = hourly(tmp_path, 6, hour)
    first = min(catalog.load_table(NAME).metadata.snapshots, key=lambda each: each.timestamp_ms)
    catalog.load_table(NAME).manage_snapshots().create_tag(first.snapshot_id, "begin").commit()
    care(catalog, EVENTS, Policy(snapshots=2, snapshots_us=HOUR_US), FakeClock())
    assert ages(catalog) == [0, 4, 5]


def test_positions_survive_another_engines_commit_on_top(tmp_path: Path, hour: Callable[[float], None]) -> None:
    """Its snapshot carries none: ours before it must not go until ours is the newest again."""
    catalog = hourly(tmp_path, 3, hour)
    hour(50)
    for _ in range(3):
        catalog.load_table(NAME).append(rows(Span(0, 0)))
    hour(90)
    catalog.load_table(NAME).append(rows(Span(0, 0)))
    for _ in range(2):
        assert care(catalog, EVENTS, Policy(snapshots=1, snapshots_us=HOUR_US), FakeClock()).expired == 0
        assert current_positions(catalog.load_table(NAME).metadata) == {("log", "0"): 9}
    commit(writer(catalog), 9, 12)
    assert care(catalog, EVENTS, Policy(snapshots=1, snapshots_us=HOUR_US), FakeClock()).expired > 0
    assert writer(catalog).position == 12


def test_a_commit_that_comes_first_puts_it_off_and_a_catalog_that_fails_is_said(
    tmp_path: Path, hour: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = hourly(tmp_path, 6, hour)
    faulty = FaultyCatalog(catalog, Random(0), 0.0)
    faulty.before_commit = lambda: commit(writer(catalog), 18, 21)
    assert care(faulty, EVENTS, Policy(snapshots_us=HOUR_US), FakeClock()).expired == 0  # type: ignore[arg-type]
    assert ages(catalog) == [0, 1, 2, 3, 4, 5, 5]
    assert writer(catalog).position == 21

    def fails(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(catalog, "commit_table", fails)
    report = care(catalog, EVENTS, Policy(snapshots_us=HOUR_US), FakeClock())
    assert report.trouble == "mta.events: the catalog failed: no space left on device"


def test_commits_are_told_before_their_snapshots_go(
    tmp_path: Path, hour: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round that cannot tell them lets none go by age but those that were told before."""
    config = Config(spool=SpoolConfig(reserve_gb=0.0), maintenance=MaintenanceConfig(snapshot_hours=1.0))
    with app.writing(tmp_path / "data", config):
        pass
    folder = app.DataFolder.existing(tmp_path / "data")
    catalog, clock = open_catalog(folder.path, create=False), FakeClock()
    each = IcebergSink(catalog, clock).open(FEED_MESSAGES, "other", "0")

    def kept() -> set[int]:
        return {each.snapshot_id for each in catalog.load_table(("mta", "feed_messages")).metadata.snapshots}

    for offset in range(9):
        hour(offset)
        each.commit(arrow(FEED_MESSAGES, [message(offset)]), Span(offset, offset + 1))

    loaded = catalog.load_table(("mta", "feed_messages"))
    before = numbered_above(loaded.metadata, noted_up_to(catalog, loaded))
    assert len(before) == 9

    def fails(*_: object) -> None:
        raise CatalogUnavailable("not now")

    with monkeypatch.context() as patched:
        patched.setattr(caring, "note_commits", fails)
        assert not any(report.trouble for report in care_for(folder, config, clock))
    assert before < kept(), "a merge made one more"
    told = {report.table: report.expired for report in care_for(folder, config, clock)}
    assert told["feed_messages"] > 5
    note_commits(catalog, "mta", clock)
    found = [row for row in pin(catalog, COMMITS).whole().to_pylist() if row["table_name"] == "feed_messages"]
    numbers = sorted(row["sequence_number"] for row in found)
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 9


def test_a_table_may_differ_from_the_others_and_what_it_leaves_open_is_as_for_all(tmp_path: Path) -> None:
    path = tmp_path / "thirdrail.toml"
    path.write_text(
        "[maintenance]\nsnapshots = 100\nsnapshot_hours = 2\nreplaced_minutes = 30\norphan_hours = 48\n"
        "[tables.trip_updates]\nsnapshots = 500\nsnapshot_hours = 1.5\nreplaced_minutes = 0\norphan_hours = 1\n"
        "[tables.alerts]\nsnapshot_hours = 240\n"
    )
    config = load(path)
    minute = HOUR_US // 60
    assert policy(config, BY_NAME["stop_time_updates"]) == Policy(30 * minute, 48 * HOUR_US, None, 100, 2 * HOUR_US)
    assert policy(config, BY_NAME["trip_updates"]) == Policy(0, HOUR_US, None, 500, 90 * minute)
    assert policy(config, BY_NAME["alerts"]) == Policy(30 * minute, 48 * HOUR_US, None, 100, 240 * HOUR_US)
    assert policy(Config(tables={"alerts": TableConfig()}), BY_NAME["alerts"]) == Policy()
    for wrong, said in [
        ("[maintenance]\nsnapshots = 49\n", "maintenance.snapshots: expected `int` >= 50"),
        ("[maintenance]\nsnapshot_hours = 0.5\n", "maintenance.snapshot_hours: expected `float` >= 1"),
        ("[tables.alerts]\nsnapshots = 501\n", "tables[...].snapshots: expected `int` <= 500"),
        ("[tables.alerts]\nsnapshot_days = 1\n", "tables[...].snapshot_days: unknown key"),
    ]:
        path.write_text(wrong)
        with pytest.raises(ConfigError, match=r".") as caught:
            load(path)
        assert said in str(caught.value)
