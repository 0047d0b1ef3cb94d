"""What a declared column is in Snowflake, and which rows Snowflake would not take as they are.

The types are those of a Snowflake-managed Iceberg table of version 2, chosen so that DuckDB and Spark see there the
very types of our own tables (facts of Snowflake's page "Iceberg table data types", read in stored copies; no account
has confirmed them here, see docs/snowflake.md):

``string``        VARCHAR, an Iceberg string; without a length, so that the limit is Snowflake's
``int``           INT: in an Iceberg table the Iceberg type, 32 bits; read back as NUMBER(10,0)
``long``          LONG: 64 bits, read back as NUMBER(19,0). Not BIGINT: that is Snowflake's word for NUMBER(38,0), which
                  an Iceberg table would keep as decimal(38,0)
``float``         FLOAT: the Iceberg type, 32 bits (in an ordinary table the same word means 64)
``double``        DOUBLE
``timestamptz``   TIMESTAMP_LTZ(6), an Iceberg timestamptz in microseconds. TIMESTAMP_NTZ(6) would be an Iceberg
                  timestamp without zone, which Spark reads in the session's zone: another instant for every reader
``list<string>``  ARRAY(VARCHAR), the structured type; an untyped ARRAY is refused by Iceberg tables of version 2
"""

from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from thirdrail.model.tables import Column, Table


class _Name(NamedTuple):
    """A type in the declaration of a column, and in a cast of a pipe, where Snowflake's own words hold."""

    column: str
    cast: str


_NAMES = {
    "string": _Name("VARCHAR", "VARCHAR"),
    "int": _Name("INT", "NUMBER(10,0)"),
    "long": _Name("LONG", "NUMBER(19,0)"),
    "float": _Name("FLOAT", "FLOAT"),
    "double": _Name("DOUBLE", "DOUBLE"),
    "boolean": _Name("BOOLEAN", "BOOLEAN"),
    "date": _Name("DATE", "DATE"),
    "timestamptz": _Name("TIMESTAMP_LTZ(6)", "TIMESTAMP_LTZ(6)"),
    "list<string>": _Name("ARRAY(VARCHAR)", "ARRAY(VARCHAR)"),
}

MAX_VALUE_BYTES = 16 * 1024 * 1024
"""Of one text or list: the lower of the two documented limits (16 MB of a VARCHAR and of a VARIANT on its way through
a pipe, 128 MB of a VARCHAR in newer accounts). The longest text seen in a recording has 11 kB."""

FIRST_US, LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The years 1 to 9999, which Snowflake, ISO 8601 and Python all can say."""
FIRST_DAY, LAST_DAY = -719_162, 2_932_896


def column_type(column: Column) -> str:
    """Give the type of a column in ``CREATE ICEBERG TABLE``."""
    return _NAMES[column.type].column


def cast_type(column: Column) -> str:
    """Give the type to which a pipe casts a value of the column: a text of JSON or of Parquet holds anything."""
    return _NAMES[column.type].cast


def unfit(table: Table, rows: pa.Table) -> pa.BooleanArray:
    """Give for each row whether Snowflake would refuse or alter it: true is not to be sent. Never null.

    Integers cannot be out of range: Arrow's types are those of the columns. Refused are a null where there must be a
    value, a text or list that is too long, bytes that are no UTF-8, a time or date outside the years 1 to 9999, and
    NaN or an infinity, which the client would send as null without a word.
    """
    bad = _all(len(rows), value=False)
    for column in table.columns:
        values = rows[column.name]
        if column.required and values.null_count:
            bad = pc.or_(bad, values.is_null())
        refused = _refused(column, values)
        if refused is not None:
            bad = pc.or_(bad, pc.fill_null(refused, fill_value=False))
    return bad.combine_chunks() if isinstance(bad, pa.ChunkedArray) else bad


def _refused(column: Column, values: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Say of each value whether it cannot go; None when no value of this type is refused."""
    match column.type:
        case "string":
            return _long_or_broken(values)
        case "list<string>":
            return pa.chunked_array([_bad_list(chunk) for chunk in values.chunks], pa.bool_())
        case "float" | "double":
            return pc.invert(pc.is_finite(values))
        case "timestamptz":
            return _outside(values.cast(pa.int64()), FIRST_US, LAST_US)
        case "date":
            return _outside(values.cast(pa.int32()), FIRST_DAY, LAST_DAY)
    return None


def _outside(numbers: pa.ChunkedArray, first: int, last: int) -> pa.ChunkedArray:
    return pc.or_(pc.less(numbers, first), pc.greater(numbers, last))


def _long_or_broken(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([_bad_text(chunk) for chunk in values.chunks], pa.bool_())


def _bad_text(chunk: pa.Array) -> pa.Array:
    too_long = pc.greater(pc.binary_length(chunk), MAX_VALUE_BYTES)
    try:
        # All at once, at the speed of memory; one by one only when one is broken, which no recording ever showed.
        chunk.validate(full=True)
    except pa.ArrowInvalid:
        return pc.or_(too_long, pa.array([_is_broken(value) for value in chunk.cast(pa.large_binary())]))
    return too_long


def _is_broken(value: pa.Scalar) -> bool:
    try:
        (value.as_py() or b"").decode()
    except UnicodeDecodeError:
        return True
    return False


def _bad_list(chunk: pa.Array) -> pa.Array:
    """Say of each list whether it is too long as a whole or holds a bad text."""
    texts, owners = chunk.flatten(), pc.list_parent_indices(chunk)
    if not len(texts):
        return _all(len(chunk), value=False)
    found = pa.table(
        {"owner": owners, "bad": pc.fill_null(_bad_text(texts), fill_value=False), "bytes": pc.binary_length(texts)}
    )
    bad = set(found.filter(found["bad"])["owner"].to_pylist())
    if pc.sum(found["bytes"]).as_py() > MAX_VALUE_BYTES:
        sums = found.group_by("owner").aggregate([("bytes", "sum")])
        bad |= set(sums.filter(pc.greater(sums["bytes_sum"], MAX_VALUE_BYTES))["owner"].to_pylist())
    places = pa.array(range(len(chunk)), pa.int64())
    return pc.is_in(places, value_set=pa.array(sorted(bad), pa.int64())) if bad else _all(len(chunk), value=False)


def _all(length: int, *, value: bool) -> pa.Array:
    return pa.repeat(pa.scalar(value), length)
