"""Types of columns, and rows that Snowflake would not take as they are."""

import math
from typing import Any

import pyarrow as pa
import pytest

from thirdrail.model.tables import ARROW_TYPES, TABLES, Column, Table
from thirdrail.sinks.snowflake import types
from thirdrail.sinks.snowflake.types import FIRST_DAY, FIRST_US, LAST_DAY, LAST_US, cast_type, column_type, unfit

KINDS = tuple(ARROW_TYPES)
ALL = Table("all", "one column of each type", tuple(Column(kind, kind, "x") for kind in KINDS), (), ())


def _rows(kind: str, values: list[Any], *, required: bool = False) -> tuple[Table, pa.Table]:
    table = Table("one", "one column", (Column("a", kind, "x", required=required),), (), ())
    array = values if isinstance(values, pa.Array) else pa.array(values, ARROW_TYPES[kind])
    return table, pa.table({"a": array})


def test_every_declared_column_has_a_type_and_a_cast() -> None:
    for table in TABLES:
        for column in table.columns:
            assert column_type(column)
            assert cast_type(column)


def test_no_column_is_called_bigint_which_iceberg_would_keep_as_a_decimal() -> None:
    assert column_type(Column("a", "long", "x")) == "LONG"


def test_empty_rows_are_all_fit() -> None:
    assert unfit(ALL, pa.table({kind: pa.array([], ARROW_TYPES[kind]) for kind in KINDS})).to_pylist() == []
    assert unfit(ALL, ALL.arrow_schema.empty_table()).to_pylist() == []


def test_nulls_are_fit_where_there_may_be_one() -> None:
    rows = pa.table({kind: pa.nulls(2, ARROW_TYPES[kind]) for kind in KINDS})
    assert unfit(ALL, rows).to_pylist() == [False, False]


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("double", [1.0, math.nan, math.inf, -math.inf, None], [False, True, True, True, False]),
        ("float", [1.0, math.nan, None], [False, True, False]),
        ("timestamptz", [FIRST_US, LAST_US, FIRST_US - 1, LAST_US + 1, None], [False, False, True, True, False]),
        ("date", [FIRST_DAY, LAST_DAY, FIRST_DAY - 1, LAST_DAY + 1, None], [False, False, True, True, False]),
        ("list<string>", [[], ["a", None], None, ["b"]], [False, False, False, False]),
        ("int", [2**31 - 1, -(2**31)], [False, False]),
        ("long", [2**63 - 1, -(2**63)], [False, False]),
    ],
)
def test_values_outside_what_snowflake_can_say_are_unfit(kind: str, values: list[Any], expected: list[bool]) -> None:
    assert unfit(*_rows(kind, values)).to_pylist() == expected


def test_a_null_in_a_required_column_is_unfit() -> None:
    assert unfit(*_rows("string", ["a", None], required=True)).to_pylist() == [False, True]


def test_a_text_or_list_over_the_limit_is_unfit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(types, "MAX_VALUE_BYTES", 4)
    assert unfit(*_rows("string", ["abcd", "abcde", "ééé", None])).to_pylist() == [False, True, True, False]
    lists = [["ab", "cd"], ["ab", "cd", "e"], [], None, ["abcde"]]
    assert unfit(*_rows("list<string>", lists)).to_pylist() == [False, True, False, False, True]


def _unchecked(values: list[bytes | None]) -> pa.Array:
    """Text that nobody has checked, as a decoder over raw buffers could make it."""
    raw = pa.array(values, pa.large_binary())
    return pa.Array.from_buffers(pa.large_string(), len(raw), raw.buffers())


def test_bytes_that_are_no_utf_8_are_unfit_and_their_neighbours_are_not() -> None:
    texts = _unchecked([b"fine", b"\xff\xfe", None, "é".encode(), b"\xed\xa0\x80"])
    assert unfit(*_rows("string", texts)).to_pylist() == [False, True, False, False, True]
    lists = pa.LargeListArray.from_arrays(pa.array([0, 1, 2, 2, 5], pa.int64()), texts)
    assert unfit(*_rows("list<string>", lists)).to_pylist() == [False, True, False, True]


def test_slices_and_chunks_are_judged_by_their_own_rows() -> None:
    lists = pa.chunked_array(
        [
            pa.array([["x"], ["y"]]).cast(ARROW_TYPES["list<string>"]).slice(1),
            pa.array([None, ["z"]], ARROW_TYPES["list<string>"]),
        ]
    )
    table = Table("one", "x", (Column("a", "list<string>", "x", required=True),), (), ())
    assert unfit(table, pa.table({"a": lists})).to_pylist() == [False, True, False]
