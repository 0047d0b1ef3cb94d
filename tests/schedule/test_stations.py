"""The subway's stations and routes, as shipped."""

import csv
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from thirdrail.schedule.stations import NAMES, subway_table

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_stations.py"


def table(name: str) -> pl.DataFrame:
    frame = pl.from_arrow(subway_table(name))
    assert isinstance(frame, pl.DataFrame)
    return frame


def test_a_routes_stations_are_stations_and_every_route_but_one_has_some() -> None:
    order = table("route_stations")

    assert set(order["station_id"]) <= set(table("stations")["station_id"])
    assert set(table("routes")["route_id"]) - set(order["route_id"]) == {"5X"}, "no train of that timetable ran as 5X"
    assert set(order["route_id"]) <= set(table("routes")["route_id"])


def test_stations_are_known_once_and_lie_in_the_city() -> None:
    stations = table("stations")

    assert len(stations) == stations["station_id"].n_unique() == 499
    assert stations["station_id"].str.len_chars().unique().to_list() == [3]
    assert stations["latitude"].is_between(40.5, 40.95).all()
    assert stations["longitude"].is_between(-74.26, -73.7).all()
    assert stations.null_count().sum_horizontal().item() == 0


@pytest.mark.parametrize(
    ("route", "north", "south", "stations"),
    [
        ("1", "Van Cortlandt Park-242 St", "South Ferry", 38),
        ("7", "Flushing-Main St", "34 St-Hudson Yards", 22),
        ("L", "8 Av", "Canarsie-Rockaway Pkwy", 24),
        ("GS", "Times Sq-42 St", "Grand Central-42 St", 2),
        ("SI", "St George", "Tottenville", 21),
    ],
)
def test_a_route_runs_from_its_north_end_to_its_south_end(route: str, north: str, south: str, stations: int) -> None:
    along = (
        table("route_stations")
        .filter(pl.col("route_id") == route)
        .sort("southbound_order")
        .join(table("stations"), on="station_id", maintain_order="left")
    )

    assert (along["name"][0], along["name"][-1], len(along)) == (north, south, stations)
    assert along["southbound_order"].to_list() == list(range(stations))


def gtfs(folder: Path, **files: list[dict[str, str]]) -> Path:
    """A timetable of these rows."""
    folder.mkdir()
    for name, rows in files.items():
        with (folder / f"{name}.txt").open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return folder


def stops(*stations: str) -> list[dict[str, str]]:
    blank = {"stop_lat": "40.7", "stop_lon": "-74.0"}
    parents = [{"stop_id": s, "stop_name": s, "location_type": "1", "parent_station": "", **blank} for s in stations]
    return parents + [
        {"stop_id": f"{s}S", "stop_name": s, "location_type": "", "parent_station": s, **blank} for s in stations
    ]


def test_branches_are_put_in_beside_their_neighbours(tmp_path: Path) -> None:
    patterns = {"long": ["A01", "A02", "A03", "A05"], "branch": ["A02", "A04", "A05"], "north": ["A05", "A01"]}
    source = gtfs(
        tmp_path / "gtfs",
        stops=stops("A01", "A02", "A03", "A04", "A05"),
        routes=[{"route_id": "A", "route_long_name": "8 Avenue Express", "route_color": "2850AD"}],
        trips=[
            {"trip_id": trip, "route_id": "A", "direction_id": "0" if trip == "north" else "1"} for trip in patterns
        ],
        stop_times=[
            {"trip_id": trip, "stop_id": f"{station}S", "stop_sequence": str(place)}
            for trip, listed in patterns.items()
            for place, station in enumerate(listed, start=1)
        ],
    )
    (tmp_path / "out").mkdir()
    subprocess.run([sys.executable, SCRIPT, source, tmp_path / "out"], check=True)

    with (tmp_path / "out" / "route_stations.csv").open() as file:
        order = [row["station_id"] for row in csv.DictReader(file)]
    assert set(order) == {"A01", "A02", "A03", "A04", "A05"}
    assert order.index("A01") < order.index("A02") < order.index("A04") < order.index("A05")
    assert order.index("A02") < order.index("A03") < order.index("A05")
    assert {path.stem for path in (tmp_path / "out").iterdir()} == set(NAMES)
