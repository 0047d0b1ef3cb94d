"""What every sink promises; one suite for all of them."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from tests.fakes.clock import FakeClock
from tests.simulation.test_commit import EVENTS, rows
from thirdrail.errors import PositionGap
from thirdrail.model.ports import Sink, Writer
from thirdrail.model.records import Span
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.sink import IcebergSink
from thirdrail.sinks.memory import MemorySink

Read = Callable[[], list[tuple[int, int]]]


def pairs(table: pa.Table) -> list[tuple[int, int]]:
    return sorted(zip(table.column("capture_offset").to_pylist(), table.column("place").to_pylist(), strict=True))


def wanted(start: int, end: int) -> list[tuple[int, int]]:
    return pairs(rows(Span(start, end)))


def commit(writer: Writer, start: int, end: int) -> None:
    writer.commit(rows(Span(start, end)), Span(start, end))


class SinkContract:
    """Inherited by a class per implementation, which gives the fixtures ``sink`` and ``read``."""

    def test_a_new_table_has_no_position_and_starts_anywhere(self, sink: Sink, read: Read) -> None:
        writer = sink.open(EVENTS, "log", "0")
        assert writer.position is None
        commit(writer, 7, 12)

        assert writer.position == 12
        assert read() == wanted(7, 12)

    def test_repeating_a_commit_is_harmless_whatever_its_cut(self, sink: Sink, read: Read) -> None:
        writer = sink.open(EVENTS, "log", "0")
        commit(writer, 0, 10)
        for span in ((0, 10), (0, 4), (3, 9), (2, 14), (0, 14)):
            commit(writer, *span)

        assert writer.position == 14
        assert read() == wanted(0, 14)

    def test_a_gap_is_refused_and_nothing_is_written(self, sink: Sink, read: Read) -> None:
        writer = sink.open(EVENTS, "log", "0")
        commit(writer, 0, 5)

        with pytest.raises(PositionGap, match="offsets 5 to 7"):
            commit(writer, 8, 10)
        assert read() == wanted(0, 5)

    def test_a_new_writer_knows_the_position(self, sink: Sink) -> None:
        commit(sink.open(EVENTS, "log", "0"), 0, 5)

        assert sink.open(EVENTS, "log", "0").position == 5

    def test_positions_are_kept_per_log(self, sink: Sink, read: Read) -> None:
        commit(sink.open(EVENTS, "log", "0"), 0, 5)
        other = sink.open(EVENTS, "other", "0")
        assert other.position is None
        commit(other, 0, 3)

        assert sink.open(EVENTS, "log", "0").position == 5
        assert sink.open(EVENTS, "other", "0").position == 3
        assert len(read()) == len(wanted(0, 5)) + len(wanted(0, 3))

    def test_an_old_writer_adds_nothing_twice(self, sink: Sink, read: Read) -> None:
        old = sink.open(EVENTS, "log", "0")
        commit(sink.open(EVENTS, "log", "0"), 0, 8)
        commit(old, 0, 6)
        commit(old, 6, 11)

        assert read() == wanted(0, 11)

    def test_an_empty_span_gives_a_new_table_its_position(self, sink: Sink) -> None:
        writer = sink.open(EVENTS, "log", "0")
        writer.commit(EVENTS.arrow_schema.empty_table(), Span(4, 4))

        assert sink.open(EVENTS, "log", "0").position == 4

    def test_spans_without_rows_count_once_the_writer_is_closed(self, sink: Sink, read: Read) -> None:
        writer = sink.open(EVENTS, "log", "0")
        commit(writer, 0, 5)
        writer.commit(EVENTS.arrow_schema.empty_table(), Span(5, 9))
        writer.commit(EVENTS.arrow_schema.empty_table(), Span(9, 20))
        writer.close()
        writer.close()

        assert sink.open(EVENTS, "log", "0").position == 20
        assert read() == wanted(0, 5)

    def test_rows_after_a_quiet_span_are_committed(self, sink: Sink, read: Read) -> None:
        writer = sink.open(EVENTS, "log", "0")
        commit(writer, 0, 5)
        writer.commit(EVENTS.arrow_schema.empty_table(), Span(5, 9))
        commit(writer, 9, 12)

        assert writer.position == 12
        assert read() == wanted(0, 5) + wanted(9, 12)


class TestMemorySink(SinkContract):
    @pytest.fixture
    def sink(self) -> Sink:
        return MemorySink()

    @pytest.fixture
    def read(self, sink: MemorySink) -> Read:
        return lambda: pairs(sink.rows(EVENTS))


class TestIcebergSink(SinkContract):
    @pytest.fixture
    def sink(self, tmp_path: Path) -> Sink:
        return IcebergSink(open_catalog(tmp_path, create=True), FakeClock())

    @pytest.fixture
    def read(self, sink: Sink, tmp_path: Path) -> Read:
        catalog = open_catalog(tmp_path, create=False)
        return lambda: pairs(catalog.load_table("mta.events").scan().to_arrow())
