"""The ordinary way that the benchmark measures against gives the same rows and columns as ours."""

from pathlib import Path

from benchmarks.ordinary import ordinary, rows_of
from tests.oracle.synthetic import subway_message
from thirdrail.model.records import Poll, Settings
from thirdrail.model.tables import BY_NAME
from thirdrail.pipeline.transform import Context, Rows, Stream, transform
from thirdrail.sinks.iceberg.catalog import open_catalog

SAME = (
    "capture_offset",
    "entity_ordinal",
    "entity_id",
    "trip_id",
    "route_id",
    "stop_id",
    "arrival_at",
    "departure_at",
    "vehicle_at",
)


def test_it_gives_the_same_rows_and_columns(tmp_path: Path) -> None:
    body = subway_message(0, trips=30)
    rows, stream = Rows(), Stream()
    poll = Poll(feed_id="subway_g", fetched_at=1_780_000_005_000_000)
    transform([(7, poll, body)], Context("l", Settings(history="every_poll"), {}), lambda *_: stream, rows)

    for name, theirs in rows_of(body, 7).items():
        (ours,) = rows.tables[name]
        assert len(ours) == len(theirs)
        compared = [column for column in SAME if column in ours.column_names and column in theirs[0]]
        assert len(compared) >= 5
        assert ours.select(compared).to_pylist() == [{column: row[column] for column in compared} for row in theirs]

    catalog = open_catalog(tmp_path, create=True)
    assert ordinary([body], catalog) == sum(len(found) for found in rows_of(body, 7).values())
    for name in rows_of(body, 7):
        columns = catalog.load_table(f"plain.{name}").scan().to_arrow().column_names
        assert columns == BY_NAME[name].names()


def test_it_stays_within_sixty_lines() -> None:
    lines = (Path(__file__).parents[2] / "benchmarks" / "ordinary.py").read_text().splitlines()

    assert sum(1 for line in lines if line.strip()) <= 60
