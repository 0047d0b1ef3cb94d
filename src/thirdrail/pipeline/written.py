"""Canonical rows that are written → Arrow tables exactly as declared: envelope, moments, flags."""

import polars as pl
import pyarrow as pa

from thirdrail.model.rules import rule_ids
from thirdrail.model.tables import (
    STOP_TIME_UPDATES,
    TRIP_REPLACEMENT_PERIODS,
    TRIP_UPDATES,
    VEHICLE_POSITIONS,
    Table,
)

HALF_HOUR = pl.duration(minutes=30)
STALLED_AFTER_S = 90
UNDERWAY_WITHIN_S = 60
_HEADER = pl.col("feed_timestamp")


def _moments(table: Table) -> dict[str, pl.Expr]:
    """Give the columns that follow from content and the header's time; ``as_of`` computes the same in SQL."""
    if table is STOP_TIME_UPDATES:
        due = pl.coalesce("arrival_at", "departure_at")
        return {"seconds_to_arrival": (due - _HEADER).dt.total_seconds().cast(pl.Int32)}
    if table is TRIP_UPDATES:
        late = _HEADER - pl.col("first_stop_time_at")
        return {
            "is_stale": late > HALF_HOUR,
            "is_zombie": late > pl.duration(hours=6),
            "is_stale_unassigned": ~pl.col("nyct_is_assigned") & (late > pl.duration(minutes=5)),
        }
    if table is VEHICLE_POSITIONS:
        age = (_HEADER - pl.col("vehicle_at")).dt.total_seconds()
        stalled = pl.when(pl.col("nyct_is_assigned").is_not_null()).then(age > STALLED_AFTER_S)
        return {"vehicle_age_s": age.cast(pl.Int32), "is_stalled": stalled, "is_underway": age >= -UNDERWAY_WITHIN_S}
    if table is TRIP_REPLACEMENT_PERIODS:
        end = _HEADER + pl.duration(seconds=pl.col("end_after_header_s"))
        return {
            "end_at": end,
            "end_at_effective": pl.when(pl.col("end_after_header_s") > 0)
            .then(end)
            .when(pl.col("end_after_header_s").is_not_null())
            .then(_HEADER + HALF_HOUR),
        }
    return {}


def flag_lists(bits: pl.Series) -> pa.Array:
    """Give ``dq_flags`` of each row: the ids of the rules whose bit is set."""
    distinct = bits.unique()
    lists = pa.array([rule_ids(value) for value in distinct.to_list()], pa.large_list(pa.large_string()))
    if len(distinct) == 1:
        return pa.repeat(lists[0], len(bits))
    code = bits.replace_strict(distinct, pl.int_range(len(distinct), dtype=pl.Int32, eager=True))
    return lists.take(code.to_arrow())


def to_arrow(table: Table, frame: pl.DataFrame, facts: pl.DataFrame, log_id: str, version: int) -> pa.Table:
    """Give the rows of one table with the declared schema.

    ``frame`` has ``cap``, ``bits``, ``change_kind``, ``removed_reason`` and the canonical columns;
    ``facts`` one row per capture: ``feed_id, capture_offset, origin, fetched_at, feed_timestamp``.
    """
    if frame.is_empty():
        return table.arrow_schema.empty_table()
    envelope = facts[frame["cap"]]
    whole = frame.with_columns(
        **{name: envelope[name] for name in ("feed_id", "capture_offset", "origin", "fetched_at", "feed_timestamp")},
        capture_log=pl.lit(log_id),
        pipeline_version=pl.lit(version, pl.Int32),
    )
    if "restored_by_offset" not in whole.columns:
        whole = whole.with_columns(restored_by_offset=pl.lit(None, pl.Int64))
    whole = whole.with_columns(**_moments(table))
    names = [name for name in table.names() if name != "dq_flags"]
    arrow = whole.select(names).to_arrow(compat_level=pl.CompatLevel.oldest())
    columns = {name: arrow.column(name) for name in names}
    columns["dq_flags"] = flag_lists(whole["bits"])
    return as_declared(table, columns)


def as_declared(table: Table, columns: dict[str, pa.ChunkedArray | pa.Array]) -> pa.Table:
    """Give a table of exactly the declared schema; casts what Polars names otherwise."""
    schema = table.arrow_schema
    arrays = [
        column if (column := columns[field.name]).type == field.type else column.cast(field.type) for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
