"""Make the subway's tables of stations and routes from a static GTFS folder; run by hand, once per timetable.

    python3 scripts/build_stations.py FOLDER_WITH_GTFS_TXT src/thirdrail/schedule

Takes facts alone: ids, names, coordinates, and the order of stations along each route.
"""

import csv
import sys
from collections import Counter, defaultdict
from pathlib import Path


def rows(folder, name):
    """Give the rows of one GTFS file."""
    with (folder / name).open(newline="", encoding="utf-8-sig") as file:
        yield from csv.DictReader(file)


def patterns(folder, stations):
    """Give route -> Counter of southbound lists of station ids."""
    southbound = {
        trip["trip_id"]: trip["route_id"] for trip in rows(folder, "trips.txt") if trip["direction_id"] == "1"
    }
    stops = defaultdict(list)
    for time in rows(folder, "stop_times.txt"):
        if time["trip_id"] in southbound:
            stops[time["trip_id"]].append((int(time["stop_sequence"]), stations[time["stop_id"]]))
    found = defaultdict(Counter)
    for trip, listed in stops.items():
        found[southbound[trip]][tuple(station for _, station in sorted(listed))] += 1
    return found


def merged(lists):
    """Give one order that holds every station of the lists: longest first, others put in beside their neighbours."""
    order = []
    for pattern in sorted(lists, key=lambda each: (-len(each), each)):
        place = 0
        for station in pattern:
            if station in order:
                place = order.index(station) + 1
            else:
                order.insert(place, station)
                place += 1
    return order


def write(path, header, lines):
    """Write one table."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(lines)


def main(source, target):
    """Read the folder and write the three tables."""
    stops = list(rows(source, "stops.txt"))
    station_of = {stop["stop_id"]: stop["parent_station"] or stop["stop_id"] for stop in stops}
    stations = [stop for stop in stops if stop["location_type"] == "1"]
    fields = ("stop_id", "stop_name", "stop_lat", "stop_lon")
    write(
        target / "stations.csv",
        ("station_id", "name", "latitude", "longitude"),
        sorted(tuple(stop[field] for field in fields) for stop in stations),
    )
    routes = [
        (route["route_id"], route["route_long_name"], route["route_color"]) for route in rows(source, "routes.txt")
    ]
    write(target / "routes.csv", ("route_id", "name", "color"), sorted(routes))
    order = []
    for route, lists in sorted(patterns(source, station_of).items()):
        order += [(route, place, station) for place, station in enumerate(merged(lists))]
    write(target / "route_stations.csv", ("route_id", "southbound_order", "station_id"), order)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
