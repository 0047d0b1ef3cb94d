"""What is fit by our own checks, the stand-in takes as it is: a row that a server refuses is our bug."""

import datetime as dt
from typing import Any

import polars as pl
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from thirdrail.emulator.rows import Column as Told
from thirdrail.emulator.rows import Judge
from thirdrail.model.tables import ARROW_TYPES, Column, Table
from thirdrail.model.tokens import ORDER
from thirdrail.sinks.snowflake.types import FIRST_DAY, FIRST_US, LAST_DAY, LAST_US, unfit
from thirdrail.sinks.snowpipe_streaming.lines import chunks

# Every type twice: once as it must be there, once as it may be null.
TABLE = Table(
    "every_type",
    "x",
    tuple(
        Column(f"{prefix}{place}", kind, "x", required=prefix == "r")
        for prefix in ("r", "n")
        for place, kind in enumerate(ARROW_TYPES)
    ),
    (),
    (),
)
JUDGE = Judge("every_type", {column.name: Told(column.type, column.required) for column in TABLE.columns})
_DAY = dt.date(1970, 1, 1).toordinal()
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": _TEXT,
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32),
    "double": st.floats(),
    "boolean": st.booleans(),
    "date": st.integers(FIRST_DAY - 400, LAST_DAY + 400) | st.sampled_from([FIRST_DAY, LAST_DAY]),
    "timestamptz": st.integers(FIRST_US - 10**13, LAST_US + 10**13) | st.sampled_from([FIRST_US, LAST_US, 0, -1]),
    "list<string>": st.lists(_TEXT, max_size=3),
}
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            column.name: VALUES[column.type] if column.required else st.none() | VALUES[column.type]
            for column in TABLE.columns
        }
    ),
    max_size=4,
)


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    columns = {}
    for column in TABLE.columns:
        kind = ARROW_TYPES[column.type]
        whole = {"date": pa.int32(), "timestamptz": pa.int64()}.get(column.type, kind)
        columns[column.name] = pa.array([row[column.name] for row in rows], whole).cast(kind)
    return pa.table(columns)


@settings(max_examples=150, deadline=None)
@given(ROWS)
def test_a_fit_row_is_taken_and_is_there_as_it_was(rows: list[dict[str, Any]]) -> None:
    table = _table(rows)
    fit = table.filter(pa.compute.invert(unfit(TABLE, table)))
    frame = pl.DataFrame(fit)
    ordered = frame.with_columns(**{name: pl.lit(0) for name in ORDER})
    body = b"\n".join(bytes(line) for chunk in chunks(ordered) for line in chunk.lines)

    taken, refused = JUDGE.judged(body)

    assert refused == []
    assert_frame_equal(taken, frame, check_exact=True)


@settings(max_examples=100, deadline=None)
@given(ROWS)
def test_what_is_unfit_could_not_have_been_sent(rows: list[dict[str, Any]]) -> None:
    found = unfit(TABLE, _table(rows)).to_pylist()
    expected = [
        any(
            (
                column.type in ("float", "double")
                and row[column.name] is not None
                and abs(row[column.name]) == float("inf")
            )
            or (column.type in ("float", "double") and row[column.name] != row[column.name])
            or (
                column.type == "date"
                and row[column.name] is not None
                and not dt.date.min.toordinal() <= row[column.name] + _DAY <= dt.date.max.toordinal()
            )
            or (
                column.type == "timestamptz"
                and row[column.name] is not None
                and not dt.date.min.toordinal() <= row[column.name] // 86_400_000_000 + _DAY <= dt.date.max.toordinal()
            )
            for column in TABLE.columns
        )
        for row in rows
    ]
    assert found == expected
