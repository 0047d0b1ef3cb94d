"""What is particular to the New York subway's trip ids, routes and stops.

Source: NYCT GTFS-Realtime reference v1.1; quirks measured on recordings. ``origin`` counts hundredths of a
minute from midnight of the start date and may be negative or beyond 24 h.
"""

import polars as pl

TRIP_ID = r"^(-?\d{1,6})_([A-Z0-9]{1,3})\.{1,2}([NS])?(.*)$"
ROUTE_ALIASES = {"SS": "SI", "S": "GS", "5X": "5"}
NORTH = "NORTH"
_HUNDREDTH_OF_A_MINUTE_MS = 600


def parse_trip_ids(trip_ids: pl.Series) -> pl.DataFrame:
    """Give origin (hundredths), route and path of each distinct trip id, and whether it matched.

    Columns ``trip_id, origin, trip_id_route, trip_path, matched``; one row per distinct non-null id.
    """
    distinct = trip_ids.unique().drop_nulls()
    groups = distinct.str.extract_groups(TRIP_ID).struct.unnest()
    return pl.DataFrame(
        {
            "trip_id": distinct,
            "origin": groups["1"].cast(pl.Int32),
            "trip_id_route": groups["2"],
            "trip_path": groups["4"].replace("", None),
            "matched": groups["1"].is_not_null(),
        }
    )


def origin_offset_us(origin: pl.Series) -> pl.Series:
    """Give microseconds after midnight of an origin, rounded to whole seconds (half up)."""
    milliseconds = origin.cast(pl.Int64) * _HUNDREDTH_OF_A_MINUTE_MS
    return ((milliseconds + 500) // 1000) * 1_000_000


def parent_stop_ids(stop_ids: pl.Series) -> pl.Series:
    """Give the station of each platform: the id without its N or S."""
    is_platform = stop_ids.str.ends_with("N") | stop_ids.str.ends_with("S")
    return stop_ids.str.head(-1).zip_with(is_platform.fill_null(value=False), stop_ids)
