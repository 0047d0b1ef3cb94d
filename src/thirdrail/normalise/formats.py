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
from thirdrail.normalise.rows import Canonical, Raw

NORMALISERS: dict[str, Callable[[Raw, pl.DataFrame], Canonical]] = {
    GTFS_REALTIME: gtfs_realtime.normalise,
    GTFS_REALTIME_JSON: gtfs_realtime.normalise,
    SIRI_JSON: siri.normalise,
    SIRI_FLAT: siri.normalise_flat,
    OUTAGES_JSON: elevators.normalise_outages,
    EQUIPMENT_JSON: elevators.normalise_equipment,
}
