"""What every sink promises where rows are durable some time after they were handed over; one suite for both."""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest

from tests.snowpipe.rig import FilesRig
from tests.snowpipe_streaming.rig import EVENTS, Rig, deliver, emulated, pairs, rows, settle
from thirdrail.emulator.server import EmulatorServer
from thirdrail.errors import PositionGap, PositionUnknown
from thirdrail.model.ports import DeferredSink
from thirdrail.model.records import Span
from thirdrail.sinks.snowpipe import writer as files_writer

AnyRig = Rig | FilesRig
METHODS: dict[str, Callable[[Path, EmulatorServer], AnyRig]] = {"snowpipe_streaming": Rig, "snowpipe": FilesRig}


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[EmulatorServer]:
    with emulated(tmp_path / "emulator") as server:
        yield server


@pytest.fixture(params=METHODS)
def rig(
    request: pytest.FixtureRequest, tmp_path: Path, emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AnyRig]:
    monkeypatch.setattr(files_writer, "ASK_S", 0.1)
    rig = METHODS[request.param](tmp_path, emulator)
    yield rig
    rig.close()
    rig.sink.close()


def sent(rig: AnyRig, *spans: tuple[int, int]) -> None:
    writer = rig.open()
    for start, end in spans:
        writer.submit(rows(Span(start, end)), Span(start, end))
    writer.flush()
    settle(writer, spans[-1][1])


def test_it_is_a_deferred_sink(rig: AnyRig) -> None:
    assert isinstance(rig.sink, DeferredSink)


def test_a_new_table_has_no_position_and_an_empty_span_gives_it_one(rig: AnyRig) -> None:
    writer = rig.open()
    assert writer.position is None
    writer.submit(EVENTS.arrow_schema.empty_table(), Span(7, 7))
    assert writer.position == 7
    assert rig.open().position == 7


def test_rows_come_in_order_and_a_new_writer_leaves_out_what_is_there(rig: AnyRig) -> None:
    sent(rig, (0, 0), (0, 9), (9, 10), (10, 40))
    assert rig.open().position == 40
    sent(rig, (21, 55))
    assert rig.found() == pairs(0, 55)


def test_a_position_never_lies_above_rows_that_are_not_there(rig: AnyRig) -> None:
    rig.emulator.faults.is_frozen = True
    writer = rig.open()
    writer.submit(rows(Span(0, 0)), Span(0, 0))
    writer.submit(rows(Span(0, 30)), Span(0, 30))
    writer.submit(EVENTS.arrow_schema.empty_table(), Span(30, 50))
    writer.flush()
    assert writer.settle() in (0, 1)  # offset 0 has no rows
    rig.emulator.faults.is_frozen = False
    settle(writer, 50)
    assert rig.found() == pairs(0, 30)


def test_spans_without_rows_move_the_position(rig: AnyRig) -> None:
    sent(rig, (0, 0), (0, 20))
    writer = rig.open()
    writer.submit(EVENTS.arrow_schema.empty_table(), Span(20, 33))
    assert writer.settle() == 33


def test_a_gap_is_refused_and_the_rest_can_go_on(rig: AnyRig) -> None:
    writer = rig.open()
    writer.submit(rows(Span(0, 5)), Span(0, 5))
    with pytest.raises(PositionGap, match="offsets 5 to 7"):
        writer.submit(rows(Span(8, 10)), Span(8, 10))


def test_another_log_is_refused(rig: AnyRig) -> None:
    sent(rig, (0, 0), (0, 20))
    with pytest.raises(PositionUnknown):
        rig.open("other")


def test_types_and_values_arrive_as_they_were(rig: AnyRig) -> None:
    sent(rig, (0, 0), (0, 12))
    there = rig.emulator.storage.rows(EVENTS.name).select(EVENTS.names())
    assert there.cast(EVENTS.arrow_schema).equals(rows(Span(0, 12)))


def test_unfit_rows_are_told_of_and_the_others_are_there(rig: AnyRig) -> None:
    whole = rows(Span(0, 20))
    place = whole.schema.get_field_index("ratio")
    bad = [float("inf") if number == 5 else value for number, value in enumerate(whole["ratio"].to_pylist())]
    writer = rig.open()
    writer.submit(rows(Span(0, 0)), Span(0, 0))
    writer.submit(whole.set_column(place, "ratio", pa.array(bad, pa.float64())), Span(0, 20))
    settle(writer, 20)
    assert rig.found() == [pair for number, pair in enumerate(pairs(0, 20)) if number != 5]
    assert [(row["capture_offset"], row["entity_ordinal"]) for each in rig.rejections for row in each.rows] == [
        pairs(0, 20)[5]
    ]


def test_closing_waits_for_nothing_and_loses_nothing(rig: AnyRig) -> None:
    writer = rig.open()
    writer.submit(rows(Span(0, 0)), Span(0, 0))
    writer.submit(rows(Span(0, 40)), Span(0, 40))
    writer.close()
    writer.close()
    deliver(rig, 60, Random(3))
    assert sorted(rig.found()) == pairs(0, 60)
