"""Real input: recordings of the subway, through the whole way, against an oracle on stock bindings."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.oracle.alerts import KNOWN_RANKS, alert_rows
from tests.oracle.alerts import TABLES as ALERT_TABLES
from tests.oracle.rows import oracle_rows
from thirdrail import app
from thirdrail.config.settings import Config
from thirdrail.model.feeds import feed
from thirdrail.model.records import Poll
from thirdrail.model.tables import BY_NAME, PICTURE_TABLES, QUARANTINE, Role, Table
from thirdrail.query.warehouse import open_warehouse
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sources.recordings import recordings

DATA = Path(__file__).parents[3] / "shared" / "data" / "gtfsrt"
POLLS = DATA / "subway_1234567s_20230529_21polls"
SINGLES = DATA / "all_subway_feeds_and_alerts_20240120"
TWINS = DATA / "subway_singles_2021_2023" / "2_train_with_0_shape.nyct.gtfsrt"
FEED_OF = {"a_div": "subway_1234567s", **{name: f"subway_{name}" for name in ("ace", "bdfm", "g", "jz", "l", "nqrw")}}

PLACES = ("stu_index", "carriage_index", "period_index", "entity_index", "translation_index")
SUBWAYS_TABLES = [table for table in PICTURE_TABLES if not table.name.startswith(("siri", "elevator"))]
NOT_THE_ORACLES = {"alert_version_id", "alert_type_rank"}

pytestmark = [
    pytest.mark.recordings,
    pytest.mark.skipif(not DATA.exists(), reason="recordings: ../shared/data is absent"),
]


def replay(folder: Path, feed_id: str, *paths: Path, history: str) -> app.Totals:
    with app.writing(folder, Config(history=history)) as work:  # type: ignore[arg-type]
        return app.replay(work, recordings(paths), feed(feed_id), history=None, progress=lambda *_: None)[1]


@lru_cache(maxsize=64)
def table_rows(folder: Path, table: Table) -> pl.DataFrame:
    pinned = app.pinned(app.DataFolder.existing(folder), table)
    frames = [pl.from_arrow(batch) for batch in pinned.scan(table.names(), None, None)]
    return pl.concat(frames) if frames else pl.from_arrow(table.arrow_schema.empty_table())  # type: ignore[return-value, type-var]


def compared(table: Table) -> list[str]:
    """Columns that an oracle on the bytes can give."""
    names = table.names(Role.CONTENT, Role.MOMENT)
    place = [table.place] if table.place and table.place not in names else []
    return ["entity_ordinal", *place, *(name for name in names if name not in NOT_THE_ORACLES)]


def as_dicts(frame: pl.DataFrame, columns: list[str]) -> list[dict[str, Any]]:
    order = [name for name in ("entity_ordinal", *PLACES) if name in columns]
    return frame.sort(order).select(columns).to_dicts()


def assert_equal_to_oracle(folder: Path, bodies: list[bytes], family: str = "subway") -> int:
    """Compare every table, capture by capture; give the number of rows compared."""
    total = 0
    quarantined = table_rows(folder, QUARANTINE)
    assert quarantined.is_empty(), quarantined
    oracle = [trips | alerts for trips, alerts in ((oracle_rows(body, family), alert_rows(body)) for body in bodies)]
    for table in PICTURE_TABLES:
        rows = table_rows(folder, table)
        if table.name not in oracle[0]:
            assert rows.is_empty(), table.name
            continue
        columns = compared(table)
        offsets = sorted(table_rows(folder, BY_NAME["feed_messages"])["capture_offset"])
        for offset, seen in zip(offsets, oracle, strict=True):
            ours = as_dicts(rows.filter(pl.col("capture_offset") == offset), columns)
            theirs = [{name: row[name] for name in columns} for row in seen[table.name]]
            assert ours == theirs
            total += len(ours)
        assert len(rows) == sum(len(seen[table.name]) for seen in oracle)
    return total


def test_twenty_one_polls_equal_the_oracle_in_every_column(tmp_path: Path) -> None:
    replay(tmp_path / "data", "subway_1234567s", POLLS, history="every_poll")

    bodies = [recording.body() for recording in recordings([POLLS])]
    assert assert_equal_to_oracle(tmp_path / "data", bodies) == 81_054 + 117  # and the rows of 21 alerts: Train delayed
    assert app.audit(app.DataFolder.existing(tmp_path / "data"), None).ok


@pytest.mark.parametrize("name", FEED_OF)
def test_each_subway_feed_equals_the_oracle_in_every_column(name: str, tmp_path: Path) -> None:
    path = SINGLES / f"{name}.dat"
    replay(tmp_path / "data", FEED_OF[name], path, history="every_poll")

    assert assert_equal_to_oracle(tmp_path / "data", [path.read_bytes()]) > 100
    assert app.audit(app.DataFolder.existing(tmp_path / "data"), None).ok


@pytest.mark.parametrize("name", ["lirr", "mnr"])
def test_each_railroad_equals_the_oracle_in_every_column(name: str, tmp_path: Path) -> None:
    path = DATA / "railroads_and_alerts_202607" / f"{name}.pb"
    replay(tmp_path / "data", name, path, history="every_poll")

    assert assert_equal_to_oracle(tmp_path / "data", [path.read_bytes()], name) > 500
    trips, vehicles = (table_rows(tmp_path / "data", BY_NAME[t]) for t in ("trip_updates", "vehicle_positions"))
    assert set(vehicles["trip_key"]) <= set(trips["trip_key"]), "a vehicle names the trip that its update is of"
    assert app.audit(app.DataFolder.existing(tmp_path / "data"), None).ok
    named = open_warehouse(open_catalog(tmp_path / "data", create=False)).sql(
        "SELECT count(*), count(next_stop), count(towards) FROM trips_now"
    )
    assert named.to_pylist()[0] == {"count_star()": len(trips), "count(next_stop)": 0, "count(towards)": 0}, (
        "its stop 237 is not the subway's"
    )


def test_alerts_equal_the_oracle_in_every_column(tmp_path: Path) -> None:
    path = SINGLES / "alerts.dat"
    replay(tmp_path / "data", "alerts_all", path, history="every_poll")

    assert assert_equal_to_oracle(tmp_path / "data", [path.read_bytes()], "alerts") == 302 + 3497 + 1143 + 1765
    alerts = table_rows(tmp_path / "data", BY_NAME["alerts"])
    ranks = {row["alert_type"]: row["alert_type_rank"] for row in alerts.iter_rows(named=True)}
    assert {name: ranks[name] for name in KNOWN_RANKS if name in ranks}.items() <= KNOWN_RANKS.items()
    assert alerts["alert_version_id"].n_unique() == 302
    parts = {name: table_rows(tmp_path / "data", BY_NAME[name])["alert_version_id"] for name in ALERT_TABLES[1:]}
    assert all(set(versions) <= set(alerts["alert_version_id"]) for versions in parts.values())
    assert app.audit(app.DataFolder.existing(tmp_path / "data"), None).ok


def test_twin_trains_of_the_seven_line_are_all_kept(tmp_path: Path) -> None:
    """Nine pairs share trip id and start date and are two trains each: the train id is part of the key."""
    replay(tmp_path / "data", "subway_1234567s", TWINS, history="every_poll")

    rows = oracle_rows(TWINS.read_bytes())
    repeated = [row["trip_key"] for row in rows["trip_updates"]]
    assert len(table_rows(tmp_path / "data", BY_NAME["trip_updates"])) == len(set(repeated))
    assert len({key.rsplit("|", 1)[0] for key in repeated}) < len(set(repeated))
    assert app.audit(app.DataFolder.existing(tmp_path / "data"), None).ok


def picture(folder: Path, table: Table, offset: int) -> pl.DataFrame:
    rows = table_rows(folder, table).filter(pl.col("capture_offset") == offset)
    return sorted_rows(rows, table)


def sorted_rows(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    return rows.select(table.names(Role.CONTENT, Role.MOMENT)).sort(table.key, nulls_last=True)


def assert_as_of_gives_every_picture(folder: Path, pictures: Path) -> None:
    """``as_of`` at each accepted capture's time equals that capture's rows where every poll was kept."""
    warehouse = open_warehouse(open_catalog(folder, create=False))
    messages = table_rows(pictures, BY_NAME["feed_messages"]).filter(pl.col("accepted")).sort("capture_offset")
    assert len(messages) == 21
    for offset, at in messages.select("capture_offset", "fetched_at").iter_rows():
        for table in SUBWAYS_TABLES:
            found = warehouse.sql(f"SELECT * FROM as_of('{table.name}', TIMESTAMPTZ '{at.isoformat()}')")
            ours = sorted_rows(pl.from_arrow(found), table)  # type: ignore[arg-type]
            assert_frame_equal(ours, picture(pictures, table, offset))


def test_as_of_gives_every_picture_back_from_changes(tmp_path: Path) -> None:
    replay(tmp_path / "all", "subway_1234567s", POLLS, history="every_poll")
    totals = replay(tmp_path / "changes", "subway_1234567s", POLLS, history="changes")

    assert totals.written["stop_time_updates"] < 45_000
    assert_as_of_gives_every_picture(tmp_path / "changes", tmp_path / "all")
    assert app.audit(app.DataFolder.existing(tmp_path / "changes"), None).ok


@pytest.mark.parametrize("order", [("changes", "every_poll", "changes"), ("every_poll", "changes", "every_poll")])
def test_as_of_gives_every_picture_back_across_switches_of_history(tmp_path: Path, order: tuple[str, ...]) -> None:
    replay(tmp_path / "all", "subway_1234567s", POLLS, history="every_poll")
    found = recordings([POLLS])
    declared = feed("subway_1234567s")
    for history, part in zip(order, (found[:7], found[7:14], found[14:]), strict=True):
        with app.writing(tmp_path / "mixed", Config()) as work:
            work.note_settings(history)
            work.append(
                [
                    (Poll(feed_id=declared.id, fetched_at=each.fetched_at, origin="replay-one"), each.body())
                    for each in part
                ]
            )
            work.drain(app.Totals())

    assert_as_of_gives_every_picture(tmp_path / "mixed", tmp_path / "all")
    assert app.audit(app.DataFolder.existing(tmp_path / "mixed"), None).ok


def test_as_of_outside_the_recording_is_empty_before_and_a_gap_after(tmp_path: Path) -> None:
    replay(tmp_path / "data", "subway_1234567s", POLLS, history="changes")
    warehouse = open_warehouse(open_catalog(tmp_path / "data", create=False))

    before = warehouse.sql("SELECT * FROM as_of('trip_updates', TIMESTAMPTZ '2023-05-29 18:00:00Z')")
    after = warehouse.sql("SELECT DISTINCT is_gap FROM as_of('trip_updates', TIMESTAMPTZ '2023-05-29 19:00:00Z')")

    assert len(before) == 0
    assert after.column("is_gap").to_pylist() == [True]
