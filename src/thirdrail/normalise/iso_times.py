"""Times written as text → instants: ISO 8601 with an offset, and American local times."""

import polars as pl
import pyarrow as pa

from thirdrail.normalise.constant import constant
from thirdrail.normalise.times import EARLIEST, INSTANT, LATEST, Instants

_SECOND_US = 1_000_000
_ISO = "%+"


def iso_instants(texts: pl.Series) -> Instants:
    """Give the instants of ISO 8601 texts with an offset; ``impossible`` marks those unreadable or out of range."""
    if texts.null_count() == len(texts):
        return Instants(constant(None, len(texts), INSTANT), None, None)
    return _judged(texts, _parsed(texts))


def _parsed(texts: pl.Series) -> pl.Series:
    try:  # twenty times as fast, and all or nothing
        return pl.Series(texts.to_arrow().cast(pa.timestamp("us", "UTC"))).alias(texts.name)
    except pa.ArrowInvalid:
        return texts.str.to_datetime(_ISO, time_unit="us", time_zone="UTC", strict=False)


def _are_plain(texts: pl.Series, values: pl.Series) -> bool:
    """Whether every text gave a time within bounds: three looks instead of a judgement by row."""
    physical = values.to_physical()
    low, high = physical.min(), physical.max()
    return (
        values.null_count() == texts.null_count()
        and isinstance(low, int)
        and isinstance(high, int)
        and low >= EARLIEST * _SECOND_US
        and high < (LATEST + 1) * _SECOND_US
    )


def _judged(texts: pl.Series, values: pl.Series) -> Instants:
    if _are_plain(texts, values):
        return Instants(values.cast(INSTANT), None, None)
    seconds = values.dt.timestamp("us") // _SECOND_US
    outside = ((seconds < EARLIEST) | (seconds > LATEST)).fill_null(value=False)
    odd = outside | (values.is_null() & texts.is_not_null() & (texts.str.strip_chars() != "").fill_null(value=False))
    if not odd.any():
        return Instants(values.cast(INSTANT), None, None)
    return Instants(values.set(outside, None).cast(INSTANT), None, odd)


class LocalTimes:
    """Local times of several zones as instants.

    ``values``: the earlier of two when the hour comes twice; ``twice`` marks those, ``odd`` the unreadable.
    """

    def __init__(self, texts: pl.Series, zones: pl.Series, form: str) -> None:
        clean = texts.str.strip_chars().str.replace_all(r"\s+", " ")
        naive = clean.str.to_datetime(form, time_unit="us", strict=False)
        self.values = constant(None, len(texts), INSTANT)
        later = self.values
        for zone in zones.unique().to_list():
            here = zones == zone
            early, late = (
                naive.dt.replace_time_zone(zone, ambiguous=which, non_existent="null").dt.convert_time_zone("UTC")
                for which in ("earliest", "latest")
            )
            self.values = early.zip_with(here, self.values)
            later = late.zip_with(here, later)
        self.twice = (self.values != later).fill_null(value=False)
        self.odd = self.values.is_null() & (clean != "").fill_null(value=False)
