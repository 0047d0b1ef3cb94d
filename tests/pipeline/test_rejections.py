"""Rejections in the log: told once, settled by an order, rows made again as they were, for the sink that lacks them."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from tests.pipeline.test_agreement import take_in
from thirdrail import app
from thirdrail.app import rejecting
from thirdrail.app.data_folder import DataFolder
from thirdrail.capturelog.day_files import PARTITION
from thirdrail.capturelog.spool import Spool
from thirdrail.errors import NoInput
from thirdrail.model.feeds import BY_ID
from thirdrail.model.records import Refused, Rejection, ReplayOrder
from thirdrail.model.tables import BY_NAME, QUARANTINE
from thirdrail.model.tokens import in_order, parsed, token_of
from thirdrail.observe.clock import SystemClock
from thirdrail.pipeline.processor import Processor
from thirdrail.pipeline.transform import Rows

STOPS = BY_NAME["stop_time_updates"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    take_in(tmp_path / "data", 0, 1)
    return tmp_path / "data"


@pytest.fixture
def log(folder: Path) -> Iterator[Spool]:
    spool = Spool.open(DataFolder.existing(folder).spool, SystemClock(), writable=True)
    yield spool
    spool.close()


def made(log: Spool, sink: str) -> Rows:
    rows = Rows()
    Processor(log, PARTITION, 0, BY_ID, sink=sink).process(log.read(PARTITION, 0, 1_000), rows)
    return rows


def whole(rows: Rows, name: str) -> pa.Table:
    return pa.concat_tables([BY_NAME[name].arrow_schema.empty_table(), *rows.tables.get(name, ())])


def places(log: Spool) -> list[str]:
    rows = made(log, "snowflake")
    frame = in_order(STOPS, whole(rows, STOPS.name), pa.concat_arrays(rows.offsets[STOPS.name]))
    return [token_of(frame, row).text(log.log_id) for row in range(len(frame))]


def rejection(*refused: Refused, **more: object) -> Rejection:
    given: dict[str, object] = {
        "rejected_at": 1_780_000_000_000_000, "sink": "snowflake", "table": STOPS.name, "feed_id": "subway_g",
        "reason": "a test's", "rows": tuple({"n": number} for number in range(len(refused))), "places": refused,
    }  # fmt: skip
    return Rejection(**(given | more))  # type: ignore[arg-type]


def ordered(log: Spool, *chosen: str, payloads: str | None = None) -> None:
    found = rejecting.rejections_in(log)
    settled = app.sent_again(log, [each for name, each in found.items() if not chosen or name in chosen], payloads)
    log.append(PARTITION, [(ReplayOrder(ordered_at=1, quarantine_ids=(), captures=(), settled=tuple(settled)), None)])


def test_a_row_is_told_of_once_however_often_it_is_met(log: Spool) -> None:
    one, two, three = (Refused(first=text, last=text) for text in places(log)[:3])
    for each in (rejection(one, two), rejection(one), rejection(two, three), rejection(one, two, three)):
        rejecting.tell(log, each)
    told = [each.place for each in rejecting.rejections_in(log).values()]
    assert told == [one, two, three]


def test_how_many_were_told_of_is_read_from_the_log(log: Spool) -> None:
    text = places(log)[0]
    rejecting.tell(log, rejection(Refused(first=text, last=text), channel="c", counted=7))
    end = log.end(PARTITION)
    told = (("c", 0), ("other", 0), ("c", end))
    assert [rejecting.told_of(log, STOPS.name, channel, since) for channel, since in told] == [7, 0, 0]


def test_rows_are_made_again_as_they_were_for_the_sink_that_lacks_them_alone(log: Spool) -> None:
    before = whole(made(log, "snowflake"), STOPS.name)
    texts = places(log)
    rejecting.tell(log, rejection(*(Refused(first=text, last=text) for text in texts[3:6])))
    span = Refused(first=texts[-4], last=texts[-2], count=3, rows=3)
    rejecting.tell(log, rejection(span))
    ordered(log)
    again = made(log, "snowflake")
    rows = whole(again, STOPS.name)
    assert len(rows) == len(before) + 6
    assert rows.slice(len(before)).to_pylist() == [before.to_pylist()[n] for n in _rows_at(log, [3, 4, 5, -4, -3, -2])]
    assert set(again.offsets[STOPS.name][-1].to_pylist()) == {log.end(PARTITION) - 1}
    assert whole(made(log, "iceberg"), STOPS.name).equals(before)
    assert len(whole(made(log, "iceberg"), QUARANTINE.name)) == 8, "four told of, four settled, everywhere"
    assert rejecting.rejections_in(log) == {}


def _rows_at(log: Spool, wanted: list[int]) -> list[int]:
    """Give where, in the order in which rows are made, the rows of places are."""
    rows = made(log, "none")
    offsets = pa.concat_arrays(rows.offsets[STOPS.name])
    table = whole(rows, STOPS.name)
    frame = in_order(STOPS, table.append_column("_n", pa.array(range(len(table)))), offsets)
    return [frame["_n"][number] for number in wanted]


def test_what_was_sent_again_and_refused_again_comes_back_from_the_order(log: Spool) -> None:
    first = places(log)[5]
    rejecting.tell(log, rejection(Refused(first=first, last=first)))
    ordered(log)
    order = log.end(PARTITION) - 1
    _, _, within = first.partition("/")
    record, _, row = within.partition("+")
    again = f"{log.log_id}/{order}+{row}@{record}"
    rejecting.tell(log, rejection(Refused(first=again, last=again)))
    ordered(log)
    offsets = made(log, "snowflake").offsets[STOPS.name]
    assert [part.to_pylist() for part in offsets[-2:]] == [[order], [order + 2]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"places": (), "rows": ({"last": "x"},)}, "did not note the rows' place"),
        ({"count": 2, "rows": 4}, "2 of 4 rows"),
        ({"count": 1, "rows": None}, r"1 of \? rows"),
    ],
)
def test_rows_whose_place_is_not_known_are_not_sent_again(log: Spool, given: dict[str, object], message: str) -> None:
    texts = places(log)
    places_given = () if "places" in given else (Refused(first=texts[0], last=texts[3], **given),)  # type: ignore[arg-type]
    told = rejection(*places_given, **(given if "places" in given else {}))
    rejecting.tell(log, told)
    with pytest.raises(NoInput, match=message) as error:
        ordered(log)
    assert "accept" in error.value.hint or "--refused" in error.value.hint


def test_rows_of_a_whole_call_that_were_never_sent_are_settled_for_themselves(log: Spool) -> None:
    texts, before = places(log), len(whole(made(log, "snowflake"), STOPS.name))
    rejecting.tell(log, rejection(Refused(first=texts[1], last=texts[1])))
    rejecting.tell(log, rejection(Refused(first=texts[0], last=texts[3], count=3, rows=3)))
    alone, call = rejecting.rejections_in(log)
    ordered(log, call)
    rows = whole(made(log, "snowflake"), STOPS.name).to_pylist()
    assert rows[before:] == [rows[n] for n in _rows_at(log, [0, 2, 3])]
    ordered(log, alone)
    rows = whole(made(log, "snowflake"), STOPS.name).to_pylist()
    assert rows[before + 3 :] == [rows[n] for n in _rows_at(log, [1])]


def test_one_order_for_a_whole_call_and_a_row_in_it_brings_each_once(log: Spool) -> None:
    texts, before = places(log), len(whole(made(log, "snowflake"), STOPS.name))
    rejecting.tell(log, rejection(Refused(first=texts[1], last=texts[1])))
    rejecting.tell(log, rejection(Refused(first=texts[0], last=texts[3], count=3, rows=3)))
    ordered(log)
    rows = whole(made(log, "snowflake"), STOPS.name).to_pylist()
    assert rows[before:] == [rows[n] for n in _rows_at(log, [0, 1, 2, 3])]


def test_a_file_that_was_left_out_whole_comes_back_after_the_row_that_a_channel_had_last(log: Spool) -> None:
    texts, before = places(log), len(whole(made(log, "snowflake"), STOPS.name))
    had = parsed(texts[3], log.log_id, STOPS.name)
    end = parsed(texts[-1], log.log_id, STOPS.name).offset + 1
    place = Refused(first=had.next.text(log.log_id), last=f"{log.log_id}/{end}", count=0, rows=0, file="f")
    rejecting.tell(log, rejection(place))
    assert [rejecting.is_settled(log, STOPS.name, file, 0) for file in ("f", "other")] == [False, False]
    ordered(log)
    assert [rejecting.is_settled(log, STOPS.name, file, 0) for file in ("f", "other")] == [True, False]
    rows = whole(made(log, "snowflake"), STOPS.name).to_pylist()
    assert rows[before:] == [rows[n] for n in _rows_at(log, list(range(4, len(texts))))]


def test_a_row_is_not_sent_again_by_two_orders(log: Spool) -> None:
    text = places(log)[0]
    refused = Refused(first=text, last=text)
    log.append(PARTITION, [(rejection(refused), None), (rejection(refused), None)])  # as if told of twice
    one, two = rejecting.rejections_in(log)
    ordered(log, one)
    with pytest.raises(NoInput, match="were refused"):
        ordered(log, two)


def test_a_file_of_payloads_is_read_as_lines_and_as_a_worksheet_exports_it() -> None:
    lines = '{"CAPTURE_OFFSET": 3, "text": "a,b"}\n\n{"capture_offset": 4}\n'
    exported = 'PAYLOAD\n"{""capture_offset"": 3,\n ""text"": ""a,b""}"\n"{""capture_offset"": 4}"\n'
    expected = [{"capture_offset": 3, "text": "a,b"}, {"capture_offset": 4}]
    assert rejecting.parsed_payloads(lines) == rejecting.parsed_payloads(exported) == expected
    with pytest.raises(NoInput, match="no line"):
        rejecting.parsed_payloads('{"other": 1}')
