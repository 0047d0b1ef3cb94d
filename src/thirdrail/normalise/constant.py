"""Series that hold one value throughout, made without the cost of an expression."""

import polars as pl


def constant(value: object, length: int, dtype: pl.DataType | type[pl.DataType]) -> pl.Series:
    """Give a series that holds one value throughout."""
    return pl.Series([value], dtype=dtype).new_from_index(0, length)
