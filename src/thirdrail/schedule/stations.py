"""The subway's stations and routes as Arrow tables."""

from importlib.resources import files

import pyarrow as pa
import pyarrow.csv as pa_csv

NAMES = ("stations", "routes", "route_stations")
_STRINGS = ("station_id", "route_id", "name", "color")


def subway_table(name: str) -> pa.Table:
    """Give one of the shipped tables.

    ``stations`` (station_id, name, latitude, longitude), ``routes`` (route_id, name, color), ``route_stations``
    (route_id, southbound_order, station_id).
    """
    data = files("thirdrail.schedule").joinpath(f"{name}.csv").read_bytes()
    options = pa_csv.ConvertOptions(column_types=dict.fromkeys(_STRINGS, pa.string()))
    return pa_csv.read_csv(pa.BufferReader(data), convert_options=options)
