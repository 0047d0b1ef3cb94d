"""The simulated New York: the same for the same seed and time, at the real thing's size, and true to itself."""

from collections import Counter

import pytest
from google.transit.gtfs_realtime_pb2 import FeedMessage

from thirdrail.city.lines import A_DIVISION, ROUTES
from thirdrail.city.messages import GRID_S, body, message
from thirdrail.city.trains import City
from thirdrail.city.truth import passages
from thirdrail.decode.gtfs_realtime import decode

AT = 1_780_000_005 // GRID_S * GRID_S


def parsed(feed_id: str, at: int, seed: int = 0) -> FeedMessage:
    return FeedMessage.FromString(body(seed, feed_id, at))


def predictions(feed: FeedMessage) -> dict[tuple[str, str, str], tuple[int, int]]:
    return {
        (entity.trip_update.trip.trip_id, entity.trip_update.trip.start_date, stop.stop_id): (
            stop.arrival.time,
            stop.departure.time,
        )
        for entity in feed.entity
        for stop in entity.trip_update.stop_time_update
    }


@pytest.mark.parametrize("feed_id", ROUTES)
def test_a_message_is_well_formed_and_decodes_without_a_finding(feed_id: str) -> None:
    feed = parsed(feed_id, AT)
    assert feed.IsInitialized()
    assert feed.header.timestamp == AT

    decoded = decode([body(0, feed_id, AT)])
    assert (decoded.failed, decoded.bad_entities) == ({}, [])


@pytest.mark.parametrize("feed_id", ROUTES)
def test_no_trip_key_and_no_entity_id_is_there_twice(feed_id: str) -> None:
    listed = message(0, feed_id, AT)
    keys = Counter(
        (e.trip_update.trip.trip_id, e.trip_update.trip.start_date, e.trip_update.trip.nyct.train_id)
        for e in listed.entity
        if e.HasField("trip_update")
    )
    assert max(keys.values()) == 1
    assert max(Counter(entity.id for entity in listed.entity).values()) == 1


def test_same_seed_and_time_give_the_same_bytes_and_another_seed_others() -> None:
    assert body(1, A_DIVISION, AT) == body(1, A_DIVISION, AT + GRID_S - 1)
    body.__globals__["_body"].cache_clear()
    assert body(1, A_DIVISION, AT) == message(1, A_DIVISION, AT).SerializeToString()
    assert body(1, A_DIVISION, AT) != body(2, A_DIVISION, AT)


@pytest.mark.parametrize("at", [AT, AT + 6 * 3600, AT + 90 * 86_400])
def test_the_numbered_lines_have_the_size_of_a_weekdays_peak(at: int) -> None:
    """Measured on recordings: 285-343 trips, 174-215 vehicles, 6,100-6,700 stop times, 214-240 kB."""
    feed = parsed(A_DIVISION, at)
    trips = [entity.trip_update for entity in feed.entity if entity.HasField("trip_update")]
    vehicles = [entity for entity in feed.entity if entity.HasField("vehicle")]

    assert 300 <= len(trips) <= 380
    assert 170 <= len(vehicles) <= 270
    assert 5_500 <= sum(len(trip.stop_time_update) for trip in trips) <= 7_500
    assert 200_000 <= len(body(0, A_DIVISION, at)) <= 280_000


def test_about_a_third_of_the_predictions_move_from_one_message_to_the_next() -> None:
    before, after = predictions(parsed(A_DIVISION, AT)), predictions(parsed(A_DIVISION, AT + GRID_S))
    both = before.keys() & after.keys()
    share = sum(before[key] != after[key] for key in both) / len(both)
    assert 0.2 <= share <= 0.5


def test_trains_go_forwards_and_what_they_pass_leaves_the_list() -> None:
    trips = {(trip.trip_id, trip.train_id): trip for trip in City(0).trips(A_DIVISION, AT)}
    assert trips
    for trip in trips.values():
        places = [trip.next_stop(AT + seconds) for seconds in range(0, 3_600, 60)]
        assert places == sorted(places)
        times = [time for pair in trip.actual for time in pair]
        assert times == sorted(times)


def test_predictions_come_true_when_the_train_is_there() -> None:
    errors_far, errors_near = [], []
    for trip in City(0).trips(A_DIVISION, AT):
        for place in range(1, len(trip.actual)):
            arrival = trip.actual[place][0]
            if trip.is_assigned(arrival - 1_800):
                errors_far.append(abs(trip.predicted(place, arrival - 1_800)[0] - arrival))
            errors_near.append(abs(trip.predicted(place, arrival - 10)[0] - arrival))
    assert sum(errors_near) / len(errors_near) < 1
    assert sum(errors_far) / len(errors_far) > 10


def test_the_truth_holds_every_stop_once_and_agrees_with_the_feed() -> None:
    rows = passages(City(0), A_DIVISION, AT, AT + 600).to_pylist()
    keys = Counter((row["trip_id"], row["start_date"], row["train_id"], row["stop_id"]) for row in rows)
    assert rows
    assert max(keys.values()) == 1
    listed = {(trip, stop) for trip, _, stop in predictions(parsed(A_DIVISION, AT))}
    arriving = [row for row in rows if row["arrival_at"] is not None]
    known = sum((row["trip_id"], row["stop_id"]) in listed for row in arriving)
    assert known / len(arriving) > 0.9
