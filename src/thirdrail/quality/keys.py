"""64-bit hashes of rows, by which rows of two pictures are matched and compared.

A hash lives inside one process and is never stored. Each column is hashed with its own seed and the
results are joined by XOR, so an all-null column costs nothing and means the same in every call. The chance
that two keys of one bus-sized picture collide is about 1e-9 per poll; a full picture follows within 15
minutes (decision 0004).
"""

from collections.abc import Iterable

import polars as pl

from thirdrail.normalise.constant import constant


def row_hashes(frame: pl.DataFrame, columns: Iterable[str], seed: int) -> pl.Series:
    """Give one UInt64 per row; equal rows give equal hashes, null is a value of its own."""
    total = constant(0, len(frame), pl.UInt64)
    for place, name in enumerate(columns):
        column = frame[name]
        if column.null_count() == len(column):
            continue
        hashed = _hashable(column).hash(seed=seed + place)
        if column.null_count():
            hashed = hashed.set(column.is_null(), 0)
        total = total ^ hashed
    return total.alias("hash")


def _hashable(column: pl.Series) -> pl.Series:
    """Give lists as text, which has a hash."""
    return column.list.join("\x1f") if isinstance(column.dtype, pl.List) else column
