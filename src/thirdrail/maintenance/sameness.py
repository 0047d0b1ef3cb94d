"""Do two destinations hold the same rows, each as often as the other? Compared in every column."""

from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from thirdrail.model.tables import Table

_SEED = 17


@dataclass(frozen=True, slots=True)
class Sameness:
    """Rows of one table here and there; ``only_here`` and ``only_there`` count repeated ones as often as they are."""

    table: str
    here: int
    there: int
    only_here: int
    only_there: int

    @property
    def is_same(self) -> bool:
        """Whether nothing differs."""
        return self.only_here == self.only_there == 0


def compared(table: Table, here: pa.Table, there: pa.Table) -> Sameness:
    """Compare the rows of a table in two places; both have at least its columns."""
    counted = _counted(table, here).join(_counted(table, there), on="row", how="full", suffix="_there")
    surplus = counted.select(
        pl.col("times").fill_null(0).cast(pl.Int64) - pl.col("times_there").fill_null(0).cast(pl.Int64)
    ).to_series()
    return Sameness(
        table.name,
        len(here),
        len(there),
        int(surplus.clip(lower_bound=0).sum()),
        int((-surplus).clip(lower_bound=0).sum()),
    )


def _counted(table: Table, rows: pa.Table) -> pl.DataFrame:
    """Give the hash of every distinct row, and how often it is there."""
    frame = pl.DataFrame(rows.select(table.names()).cast(table.arrow_schema))
    lists = [name for name, kind in frame.schema.items() if isinstance(kind, pl.List)]
    frame = frame.with_columns(pl.col(lists).list.join("\x1f"))
    return pl.DataFrame({"row": frame.hash_rows(_SEED)}).group_by("row").agg(pl.len().alias("times"))
