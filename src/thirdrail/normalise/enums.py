"""Names of the GTFS-Realtime enums; a number without a name survives as ``UNKNOWN_<n>``.

Source: gtfs-realtime.proto of the GTFS-Realtime reference (2026-06), NYCT and MTARR extensions.
"""

import polars as pl

from thirdrail.normalise.constant import constant

INCREMENTALITY = {0: "FULL_DATASET", 1: "DIFFERENTIAL"}
TRIP_RELATIONSHIP = {
    0: "SCHEDULED",
    1: "ADDED",
    2: "UNSCHEDULED",
    3: "CANCELED",
    5: "REPLACEMENT",
    6: "DUPLICATED",
    7: "DELETED",
    8: "NEW",
}
STOP_RELATIONSHIP = {0: "SCHEDULED", 1: "SKIPPED", 2: "NO_DATA", 3: "UNSCHEDULED"}
VEHICLE_STOP_STATUS = {0: "INCOMING_AT", 1: "STOPPED_AT", 2: "IN_TRANSIT_TO"}
CONGESTION_LEVEL = dict(
    enumerate(("UNKNOWN_CONGESTION_LEVEL", "RUNNING_SMOOTHLY", "STOP_AND_GO", "CONGESTION", "SEVERE_CONGESTION"))
)
OCCUPANCY_STATUS = dict(
    enumerate(
        (
            "EMPTY",
            "MANY_SEATS_AVAILABLE",
            "FEW_SEATS_AVAILABLE",
            "STANDING_ROOM_ONLY",
            "CRUSHED_STANDING_ROOM_ONLY",
            "FULL",
            "NOT_ACCEPTING_PASSENGERS",
            "NO_DATA_AVAILABLE",
            "NOT_BOARDABLE",
        )
    )
)
PICKUP_DROP_OFF = {0: "REGULAR", 1: "NONE", 2: "PHONE_AGENCY", 3: "COORDINATE_WITH_DRIVER"}
WHEELCHAIR = {0: "NO_VALUE", 1: "UNKNOWN", 2: "WHEELCHAIR_ACCESSIBLE", 3: "WHEELCHAIR_INACCESSIBLE"}
QUIET_CARRIAGE = {0: "UNKNOWN", 1: "QUIET", 2: "NOT_QUIET"}
TOILET_FACILITIES = {0: "UNKNOWN", 1: "ONBOARD", 2: "NONE"}
ALERT_CAUSE = dict(
    enumerate(
        (
            "UNKNOWN_CAUSE",
            "OTHER_CAUSE",
            "TECHNICAL_PROBLEM",
            "STRIKE",
            "DEMONSTRATION",
            "ACCIDENT",
            "HOLIDAY",
            "WEATHER",
            "MAINTENANCE",
            "CONSTRUCTION",
            "POLICE_ACTIVITY",
            "MEDICAL_EMERGENCY",
            "SPECIAL_EVENT",
        ),
        start=1,
    )
)
ALERT_EFFECT = dict(
    enumerate(
        (
            "NO_SERVICE",
            "REDUCED_SERVICE",
            "SIGNIFICANT_DELAYS",
            "DETOUR",
            "ADDITIONAL_SERVICE",
            "MODIFIED_SERVICE",
            "OTHER_EFFECT",
            "UNKNOWN_EFFECT",
            "STOP_MOVED",
            "NO_EFFECT",
            "ACCESSIBILITY_ISSUE",
        ),
        start=1,
    )
)
ALERT_SEVERITY = {1: "UNKNOWN_SEVERITY", 2: "INFO", 3: "WARNING", 4: "SEVERE"}
NYCT_DIRECTION = {1: "NORTH", 2: "EAST", 3: "SOUTH", 4: "WEST"}


def names(numbers: pl.Series, known: dict[int, str], absent: str | None = None) -> pl.Series:
    """Give the names of a series of enum numbers; null stays null, or becomes ``absent``."""
    if numbers.null_count() == len(numbers):
        return constant(absent, len(numbers), pl.String)
    seen = [number for number in numbers.unique().to_list() if number is not None]
    if len(seen) == 1 and numbers.null_count() == 0:
        return constant(known.get(seen[0], f"UNKNOWN_{seen[0]}"), len(numbers), pl.String)
    old = pl.Series(seen, dtype=numbers.dtype)
    new = pl.Series([known.get(number, f"UNKNOWN_{number}") for number in seen], dtype=pl.String)
    named = numbers.replace_strict(old, new, default=None, return_dtype=pl.String)
    return named if absent is None else named.fill_null(absent)
