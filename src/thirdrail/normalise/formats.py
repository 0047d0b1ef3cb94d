"""The normaliser of each format of published bodies."""

from collections.abc import Callable

import polars as pl

from thirdrail.model.feeds import (
    EQUIPMENT_JSON,
    GTFS_REALTIME,
    GTFS_REALTIME_JSON,
    OUTAGES_JSON,
    SIRI_FLAT,
    SIRI_JSON,
)
from thirdrail.normalise import elevators, gtfs_realtime, siri
from thirdrail.normalise.constant import constant
from thirdrail.normalise.iso_times import iso_instants
from thirdrail.normalise.rows import Canonical, Raw
from thirdrail.normalise.times import INSTANT, instants


def header_times(form: str, headers: pl.DataFrame) -> pl.Series:
    """Give the time of each decoded header (µs UTC), as the normaliser of the format gives it; null without one."""
    if form in (GTFS_REALTIME, GTFS_REALTIME_JSON):
        return instants(headers["timestamp"]).values
    if form == SIRI_JSON:
        return iso_instants(headers["response_timestamp"]).values
    return constant(None, len(headers), INSTANT)


NORMALISERS: dict[str, Callable[[Raw, pl.DataFrame], Canonical]] = {
    GTFS_REALTIME: gtfs_realtime.normalise,
    GTFS_REALTIME_JSON: gtfs_realtime.normalise,
    SIRI_JSON: siri.normalise,
    SIRI_FLAT: siri.normalise_flat,
    OUTAGES_JSON: elevators.normalise_outages,
    EQUIPMENT_JSON: elevators.normalise_equipment,
}
