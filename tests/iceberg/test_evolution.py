"""Tables gain columns and wider types by themselves; anything else is refused in words."""

from dataclasses import replace
from pathlib import Path
from random import Random

import polars as pl
import pytest

from tests.contract.test_sinks import commit, wanted
from tests.fakes.catalogs import FaultyCatalog
from tests.fakes.clock import FakeClock
from tests.simulation.test_commit import EVENTS, rows
from thirdrail.errors import SchemaMismatch
from thirdrail.model.records import Span
from thirdrail.model.tables import Column, Table
from thirdrail.sinks.iceberg.catalog import LocalCatalog, open_catalog
from thirdrail.sinks.iceberg.reader import pin
from thirdrail.sinks.iceberg.rewrite import Outcome, rewrite
from thirdrail.sinks.iceberg.sink import IcebergSink

LOG = ("log", "0")


def having(*columns: Column) -> Table:
    """Give the table with these columns in place of the last."""
    return replace(EVENTS, columns=(*EVENTS.columns[:-1], *columns))


PLACE = EVENTS["place"]
COLOUR = Column("colour", "string", "new, and in the middle")
WORDS = Column("words", "list<string>", "new too")
GAINED = having(COLOUR, PLACE, WORDS)


def sink_of(folder: Path) -> tuple[LocalCatalog, IcebergSink]:
    catalog = open_catalog(folder, create=True)
    return catalog, IcebergSink(catalog, FakeClock())


def coloured(table: Table, span: Span) -> pl.DataFrame:
    frame: pl.DataFrame = pl.from_arrow(rows(span))  # type: ignore[assignment]
    return frame.with_columns(colour=pl.lit("red"), words=pl.lit(["a", "b"])).select(table.names())


def commit_coloured(sink: IcebergSink, start: int, end: int) -> None:
    new = coloured(GAINED, Span(start, end)).to_arrow().cast(GAINED.arrow_schema)
    sink.open(GAINED, *LOG).commit(new, Span(start, end))


def test_a_table_gains_columns_and_what_was_written_before_has_no_value_in_them(tmp_path: Path) -> None:
    catalog, sink = sink_of(tmp_path)
    commit(sink.open(EVENTS, *LOG), 0, 9)
    before = pin(catalog, EVENTS)
    commit_coloured(sink, 9, 12)

    pinned = pin(catalog, GAINED)
    assert pinned.positions == {LOG: 12}
    assert pinned.since == {"colour": {LOG: 9}, "words": {LOG: 9}}
    assert pinned.field_ids == {**before.field_ids, "colour": 5, "words": 6}
    found = pl.DataFrame(pinned.read(pinned.files, GAINED.names()))
    assert list(found.select("capture_offset", "place").sort("capture_offset", "place").iter_rows()) == wanted(0, 12)
    assert found.filter(pl.col("colour") == "red")["capture_offset"].unique().sort().to_list() == [10, 11]
    assert found.filter(pl.col("words").is_null())["capture_offset"].max() == 8
    # PyIceberg agrees, by field id; so does whoever still holds the picture from before, and the older declaration.
    assert catalog.load_table("mta.events").scan().to_arrow()["colour"].null_count == len(wanted(0, 9))
    assert len(before.read(before.files, EVENTS.names())) == len(wanted(0, 9))
    assert pin(catalog, EVENTS).rows == len(found)


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    catalog, sink = sink_of(tmp_path)
    commit(sink.open(EVENTS, *LOG), 0, 9)
    sink.open(GAINED, *LOG)
    location = catalog.load_table("mta.events").metadata_location
    sink.open(GAINED, *LOG)
    assert catalog.load_table("mta.events").metadata_location == location


def test_files_from_before_and_after_are_merged(tmp_path: Path) -> None:
    catalog, sink = sink_of(tmp_path)
    commit(sink.open(EVENTS, *LOG), 0, 9)
    commit_coloured(sink, 9, 12)
    pinned = pin(catalog, GAINED)
    assert rewrite(catalog, ("mta", "events"), pinned, pinned.files, FakeClock()) is Outcome.REWRITTEN
    merged = pin(catalog, GAINED)
    (file,) = merged.files
    rows_now = merged.read([file], GAINED.names())
    assert rows_now["colour"].null_count == len(wanted(0, 9))
    assert len(rows_now) == len(wanted(0, 12))


def test_types_are_widened(tmp_path: Path) -> None:
    wide = having(Column("place", "long", "wider", required=True))
    catalog, sink = sink_of(tmp_path)
    commit(sink.open(EVENTS, *LOG), 0, 9)
    far = pl.DataFrame(rows(Span(9, 12))).with_columns(place=pl.col("place").cast(pl.Int64) + (1 << 40))
    sink.open(wide, *LOG).commit(far.to_arrow().cast(wide.arrow_schema), Span(9, 12))

    pinned = pin(catalog, wide)
    found = pl.DataFrame(pinned.read(pinned.files, ["place"]))["place"]
    assert found.dtype == pl.Int64
    assert (found > 1 << 39).sum() == len(wanted(9, 12))
    assert sorted(catalog.load_table("mta.events").scan().to_arrow()["place"].to_pylist()) == sorted(found)
    assert pinned.since == {}


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        (having(PLACE, replace(COLOUR, required=True)), "column colour is missing and may not be null"),
        (having(), "it has a column place int, which this version does not know"),
        (having(Column("place", "string", "", required=True)), "column place should be string, but is int"),
        (having(Column("place", "int", "")), "column place may be null, but in the table it may not"),
        (having(PLACE, Column("PLACE", "double", "", required=True)), "column PLACE is missing"),
    ],
)
def test_anything_else_is_refused_by_name_with_two_ways_out(tmp_path: Path, declared: Table, says: str) -> None:
    catalog, sink = sink_of(tmp_path)
    commit(sink.open(EVENTS, *LOG), 0, 9)
    location = catalog.load_table("mta.events").metadata_location
    with pytest.raises(SchemaMismatch, match=says) as refused:
        sink.open(declared, *LOG)
    assert "use the version that made this table, or a new data folder" in refused.value.hint
    assert catalog.load_table("mta.events").metadata_location == location


def test_a_writer_from_before_is_told_and_writes_nothing_more(tmp_path: Path) -> None:
    catalog, sink = sink_of(tmp_path)
    older = sink.open(EVENTS, *LOG)
    commit(older, 0, 9)
    commit_coloured(sink, 9, 12)
    with pytest.raises(SchemaMismatch, match="a column colour string, which this version does not know"):
        commit(older, 9, 15)
    assert pin(catalog, GAINED).positions == {LOG: 12}


def test_a_column_that_comes_while_an_older_writer_commits_comes_before_it_or_after(tmp_path: Path) -> None:
    """The older writer has staged its rows; the column comes; its commit must not land below ``since`` unseen."""
    catalog, sink = sink_of(tmp_path)
    commit(sink.open(EVENTS, *LOG), 0, 9)
    raced = FaultyCatalog(catalog, Random(0), rate=0.0)
    older = IcebergSink(raced, FakeClock()).open(EVENTS, *LOG)  # type: ignore[arg-type]
    raced.before_commit = lambda: sink.open(GAINED, *LOG)  # type: ignore[assignment, return-value]
    with pytest.raises(SchemaMismatch):
        commit(older, 9, 12)
    assert pin(catalog, GAINED).positions == {LOG: 9}

    # And the other way round: rows land while the column is on its way, so it comes after them.
    wider = having(COLOUR, PLACE, WORDS, Column("more", "double", "a third"))
    newer = IcebergSink(raced, FakeClock())  # type: ignore[arg-type]
    raced.before_commit = lambda: commit_coloured(sink, 9, 12)
    newer.open(wider, *LOG)
    assert pin(catalog, wider).since["more"] == {LOG: 12}
