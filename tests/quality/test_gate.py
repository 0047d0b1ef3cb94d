"""The gate: each rule refuses, flags or counts what it should; decoded = passed + refused."""

from collections.abc import Callable

import polars as pl
import pytest
from google.transit.gtfs_realtime_pb2 import FeedMessage

from thirdrail.model.feeds import Feed
from thirdrail.model.records import Poll, Settings
from thirdrail.pipeline.transform import Context, Rows, Stream, transform

HEADER = 1_780_000_000
FEEDS = {
    "subway": Feed(id="subway", family="subway", url="", meaning=""),
    "bus": Feed(id="bus", family="bus", url="", meaning=""),
}


def base() -> FeedMessage:
    feed = FeedMessage()
    feed.header.gtfs_realtime_version = "1.0"
    feed.header.timestamp = HEADER
    entity = feed.entity.add(id="1")
    entity.trip_update.trip.trip_id = "097550_1..S03R"
    entity.trip_update.trip.start_date = "20260528"
    entity.trip_update.trip.route_id = "1"
    for number in range(3):
        entity.trip_update.stop_time_update.add(stop_id=f"{101 + number}S").arrival.time = HEADER + 60 * number
    vehicle = feed.entity.add(id="2").vehicle
    vehicle.trip.CopyFrom(entity.trip_update.trip)
    vehicle.timestamp = HEADER - 10
    return feed


def gated(
    change: Callable[[FeedMessage], object], feed_id: str = "subway", settings: Settings | None = None
) -> dict[str, pl.DataFrame]:
    feed = base()
    change(feed)
    rows, streams = Rows(), {}
    context = Context("log", settings or Settings(history="every_poll"), FEEDS)
    poll = Poll(feed_id=feed_id, fetched_at=(HEADER + 5) * 1_000_000)
    transform([(0, poll, feed.SerializeToString())], context, lambda *key: streams.setdefault(key[:2], Stream()), rows)
    return {name: pl.from_arrow(parts[0]) for name, parts in rows.tables.items()}  # type: ignore[misc]


def trip(feed: FeedMessage):  # type: ignore[no-untyped-def]
    return feed.entity[0].trip_update


def twin(feed: FeedMessage) -> None:
    feed.entity.add(id="3").trip_update.CopyFrom(trip(feed))


def bad_place(feed: FeedMessage) -> None:
    feed.entity[1].vehicle.position.latitude = 91
    feed.entity[1].vehicle.position.longitude = 0


REJECTED = {
    "E001": (lambda feed: setattr(trip(feed).stop_time_update[1].arrival, "time", 5), "stop_time_updates", "row"),
    "E026": (bad_place, "vehicle_positions", "entity"),
    "E040": (lambda feed: trip(feed).stop_time_update[1].ClearField("stop_id"), "stop_time_updates", "row"),
    "M011": (twin, "trip_updates", "entity"),
}


@pytest.mark.parametrize("rule", REJECTED)
def test_a_rule_that_rejects_sends_the_row_to_quarantine_whole(rule: str) -> None:
    change, table, level = REJECTED[rule]
    tables = gated(change)
    (refused,) = tables["quarantine"].to_dicts()
    message = tables["feed_messages"].to_dicts()[0]

    assert (refused["primary_rule_id"], refused["target_table"], refused["level"]) == (rule, table, level)
    assert refused["reason"]
    assert refused["payload_format"] == "json"
    assert message["quarantined_count"] == 1
    decoded = {"trip_updates": message["trip_update_count"], "stop_time_updates": message["stop_time_update_count"]}
    for name, count in {**decoded, "vehicle_positions": message["vehicle_count"]}.items():
        assert message[f"{name}_passed"] + message[f"{name}_quarantined"] == count
        assert message[f"{name}_passed"] == message[f"{name}_written"] == len(tables.get(name, []))


def test_a_refused_trip_takes_its_stop_times_along_in_one_quarantine_row() -> None:
    tables = gated(twin)

    assert len(tables["stop_time_updates"]) == 3
    assert tables["quarantine"]["payload"][0].count("stop_id") == 3


FLAGGED = {
    "M010": (lambda feed: setattr(feed.entity[1], "id", "1"), "vehicle_positions"),
    "M012": (lambda feed: setattr(trip(feed).trip, "trip_id", "050350_0"), "trip_updates"),
    "M026": (lambda feed: setattr(trip(feed), "timestamp", HEADER * 1000), "trip_updates"),
    "M028": (lambda feed: setattr(trip(feed).trip, "start_date", "2026-05-28 00:00:00"), "trip_updates"),
}


@pytest.mark.parametrize("rule", FLAGGED)
def test_a_rule_that_flags_keeps_the_row_and_says_so(rule: str) -> None:
    change, table = FLAGGED[rule]
    tables = gated(change)

    assert tables[table]["dq_flags"].to_list() == [[rule]]
    assert f"{rule}=1" in tables["feed_messages"]["rule_counts"][0]
    assert "quarantine" not in tables


COUNTED = {
    "M016": lambda feed: setattr(trip(feed).stop_time_update[0].arrival, "time", HEADER - 1900),
    "M020": lambda feed: setattr(feed.entity[1].vehicle, "timestamp", HEADER - 91),
    "M021": lambda feed: setattr(feed.entity[1].vehicle, "timestamp", HEADER + 61),
    "M029": lambda feed: setattr(trip(feed).stop_time_update[0].arrival, "time", HEADER - 301),
}


@pytest.mark.parametrize("rule", COUNTED)
def test_a_rule_about_the_moment_is_counted_and_flags_nothing(rule: str) -> None:
    tables = gated(COUNTED[rule])

    assert f"{rule}=1" in tables["feed_messages"]["rule_counts"][0]
    assert tables["trip_updates"]["dq_flags"].to_list() == [[]]


def test_the_action_of_a_rule_is_configured_per_feed() -> None:
    severities = {"*": {"M012": "reject"}, "bus": {"M026": "reject"}}
    settings = Settings(history="every_poll", severities=severities)
    odd = gated(FLAGGED["M012"][0], settings=settings)
    milliseconds = {feed: gated(FLAGGED["M026"][0], feed, settings) for feed in ("subway", "bus")}

    assert odd["quarantine"]["primary_rule_id"].to_list() == ["M012"]
    assert "quarantine" not in milliseconds["subway"]
    assert milliseconds["bus"]["quarantine"]["primary_rule_id"].to_list() == ["M026"]


def test_info_counts_without_a_flag() -> None:
    tables = gated(FLAGGED["M012"][0], settings=Settings(history="every_poll", severities={"*": {"M012": "info"}}))

    assert tables["trip_updates"]["dq_flags"].to_list() == [[]]
    assert "M012=1" in tables["feed_messages"]["rule_counts"][0]


def test_a_stop_visited_twice_is_two_rows() -> None:
    tables = gated(lambda feed: setattr(trip(feed).stop_time_update[2], "stop_id", "101S"))

    assert tables["stop_time_updates"].sort("stu_index")["stop_occurrence"].to_list() == [2, 1, 1]
