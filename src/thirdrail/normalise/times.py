"""POSIX seconds as sent → instants, with repair of milliseconds and a mark on the impossible."""

from typing import NamedTuple

import polars as pl

from thirdrail.normalise.constant import constant

EARLIEST, LATEST = 1_104_537_600, 1_991_620_134
"""2005-01-01 and 2033-02-10: the range of the validator's rule E001."""

MILLISECONDS_FROM = 100_000_000_000
"""Values above this many seconds (year 5138) are milliseconds: cancelled bus trips send them."""

INSTANT = pl.Datetime("us", "UTC")


class Instants(NamedTuple):
    """Instants (µs UTC), and where a value was repaired or impossible; None when there is nowhere."""

    values: pl.Series
    repaired: pl.Series | None
    impossible: pl.Series | None


def instants(seconds: pl.Series) -> Instants:
    """Give the instants of a series of POSIX seconds; null and 0 mean unknown and give null."""
    if seconds.null_count() == len(seconds):
        return Instants(constant(None, len(seconds), INSTANT), None, None)
    repaired: pl.Series | None = None
    impossible: pl.Series | None = None
    lowest, highest = seconds.min(), seconds.max()
    if lowest == 0:
        seconds = seconds.set(seconds == 0, None)
        lowest = seconds.min()
    if highest is not None and int(highest) > MILLISECONDS_FROM:  # type: ignore[arg-type]
        repaired = (seconds > MILLISECONDS_FROM).fill_null(value=False)
        seconds = seconds.zip_with(~repaired, seconds // 1000)
        highest = seconds.max()
    outside = (lowest is not None and int(lowest) < EARLIEST) or (  # type: ignore[arg-type]
        highest is not None and int(highest) > LATEST  # type: ignore[arg-type]
    )
    if outside:
        impossible = ((seconds < EARLIEST) | (seconds > LATEST)).fill_null(value=False)
        seconds = seconds.set(impossible, None)
    return Instants((seconds.cast(pl.Int64) * 1_000_000).cast(INSTANT), repaired, impossible)
