"""The views, on a picture small enough to read: two trains at Times Sq-42 St."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.query.lake import FEED, Lake, Row, at, message
from thirdrail.query.warehouse import Warehouse

HEADER = at(15)
"""Of the newest capture: 16:00:15 in New York."""

README = (Path(__file__).parents[2] / "README.md").read_text()


def stop(trip: str, stop_id: str, stops_to_end: int, seconds: float, **values: Any) -> Row:
    arrival = {"arrival_at": at(15 + seconds), "departure_at": at(45 + seconds)}
    named = {"route_id": trip, "trip_key": trip, "stop_id": stop_id, "parent_stop_id": stop_id[:3]}
    row = {"capture_offset": 0, "change_kind": "added", "stops_to_end": stops_to_end, **named, **arrival}
    return {**row, "scheduled_track": "4", **values}


def trip(route: str, offset: int, kind: str, **values: Any) -> Row:
    ends = {"first_stop_id": "127N", "last_stop_id": "101N", "nyct_train_id": f"train {route}"}
    named = {"route_id": route, "trip_key": route, **ends}
    return {"capture_offset": offset, "change_kind": kind, **named, "first_stop_time_at": at(75), **values}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Train 1 runs north; train 7 was there, was seen again, and has left the feed since."""
    lake = Lake(tmp_path_factory.mktemp("views"))
    lake.append(
        "stop_time_updates",
        stop("1", "127N", 1, 60),
        stop("1", "101N", 0, 1_500),
        stop("1", "127N", 1, 75, capture_offset=1, change_kind="changed", actual_track="3"),
        stop("7", "725S", 0, 30),
        stop("7", "725S", 0, 30, capture_offset=1, change_kind="removed"),
        log=2,
    )
    lake.append("trip_updates", trip("1", 0, "added"), trip("7", 0, "added"), trip("7", 1, "removed"), log=2)
    vehicle = {"capture_offset": 0, "change_kind": "added", "current_status": "STOPPED_AT", "parent_stop_id": "127"}
    at_its_stop = {**vehicle, "vehicle_key": "1", "stop_id": "127N", "vehicle_at": at(-90), "nyct_is_assigned": True}
    on_the_road = {**vehicle, "vehicle_key": "bus", "latitude": 40.5, "longitude": -74.25, "parent_stop_id": None}
    lake.append("vehicle_positions", at_its_stop, on_the_road, log=2)
    newest = message(1, feed_timestamp=HEADER, fetched_at=at(20), is_full_picture=False, header_age_s=5.0)
    failed = message(2, outcome="http_error", accepted=False, feed_timestamp=None, fetched_at=at(40))
    lake.append("feed_messages", message(0, header_age_s=4.0), newest, failed, log=3)
    return lake.warehouse


def rows(warehouse: Warehouse, query: str) -> list[Row]:
    return warehouse.sql(query).to_pylist()


def test_the_readmes_first_query_gives_the_next_trains_at_times_square(warehouse: Warehouse) -> None:
    (query,) = re.findall(r'thirdrail sql[^"]*"(.*?)"', README, re.DOTALL)

    assert rows(warehouse, query) == [
        {
            "route_id": "1",
            "towards": "Van Cortlandt Park-242 St",
            "minutes_away": 1.3,
            "arrival_local": datetime(2026, 5, 28, 16, 1, 30),  # noqa: DTZ001 - New York's wall clock
        }
    ]


def test_a_prediction_says_where_which_way_and_when_by_the_feeds_own_time(warehouse: Warehouse) -> None:
    first, last = rows(warehouse, "FROM predictions_now ORDER BY arrival_at")

    assert (first["stop_name"], first["direction"], first["track"]) == ("Times Sq-42 St", "northbound", "3")
    assert (first["arrival_at"], first["feed_timestamp"], first["feed_id"]) == (at(90), HEADER, FEED)
    assert (last["stop_name"], last["minutes_away"], last["track"]) == ("Van Cortlandt Park-242 St", 25.0, "4")


def test_a_train_that_has_left_the_feed_is_not_listed(warehouse: Warehouse) -> None:
    for view in ("trips_now", "predictions_now"):
        assert {row["route_id"] for row in rows(warehouse, f"FROM {view}")} == {"1"}


def test_a_trip_names_its_next_and_last_stop(warehouse: Warehouse) -> None:
    (found,) = rows(warehouse, "FROM trips_now")

    assert (found["next_stop"], found["towards"]) == ("Times Sq-42 St", "Van Cortlandt Park-242 St")
    assert (found["train_id"], found["next_stop_at"], found["is_stale"]) == ("train 1", at(75), False)


def test_a_vehicle_without_a_position_is_at_its_stop(warehouse: Warehouse) -> None:
    train, bus = rows(warehouse, "FROM vehicles_now ORDER BY vehicle_key")

    assert (train["stop_name"], train["position_source"]) == ("Times Sq-42 St", "stop")
    assert (train["latitude"], train["longitude"]) == (40.75529, -73.987495)
    assert (train["vehicle_age_s"], train["is_stalled"]) == (105, True)
    assert (bus["stop_name"], bus["position_source"], bus["latitude"]) == (None, "vehicle", 40.5)


def test_a_feeds_freshness_tells_the_last_poll_from_the_last_picture(warehouse: Warehouse) -> None:
    (found,) = rows(warehouse, "FROM feed_freshness")

    assert (found["last_poll_at"], found["last_accepted_at"], found["last_feed_timestamp"]) == (at(40), at(20), HEADER)
    assert (found["polls"], found["accepted"], found["failed"], found["header_age_s"]) == (3, 2, 1, 5.0)
