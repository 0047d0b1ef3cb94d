"""Rows that Snowflake takes as they are; of the others the log is told, whole."""

from collections.abc import Callable

import polars as pl

from thirdrail.model.ports import Clock
from thirdrail.model.records import Refused, Rejection
from thirdrail.model.tables import Table
from thirdrail.model.tokens import token_of
from thirdrail.sinks.snowflake.types import unfit

Reject = Callable[[Rejection], None]


def fit(table: Table, frame: pl.DataFrame, log_id: str, clock: Clock, reject: Reject) -> pl.DataFrame:
    """Give the rows of :func:`tokens.in_order` that Snowflake will take, with every column that ``frame`` has."""
    names = table.names()
    bad = pl.Series(unfit(table, frame.select(names).to_arrow().cast(table.arrow_schema)))
    if not bad.any():
        return frame
    refused = frame.filter(bad)
    places = [token_of(refused, row).text(log_id) for row in range(len(refused))]
    reject(
        Rejection(
            rejected_at=clock.now(),
            sink="snowflake",
            table=table.name,
            feed_id=refused["feed_id"][0],
            reason="a value that Snowflake would refuse or alter: too long, no text, or out of its range",
            rows=tuple(_told(row) for row in refused.select(names).to_dicts()),
            places=tuple(Refused(first=place, last=place) for place in places),
        )
    )
    return frame.filter(~bad)


def _told(row: dict[str, object]) -> dict[str, object]:
    """Give a row as a record of the log holds it: what JSON does not know as text."""
    return {name: value if isinstance(value, str | int | None) else repr(value) for name, value in row.items()}
