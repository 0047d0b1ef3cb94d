"""Decode: presence, damage, slices, order; what upb refuses is never accepted."""

import time
from collections.abc import Callable
from random import Random

import pytest
from google.transit.gtfs_realtime_pb2 import FeedMessage

from tests.oracle.synthetic import bus_message, subway_message
from thirdrail.decode import gtfs_realtime
from thirdrail.decode.decoded import Decoded
from thirdrail.decode.gtfs_realtime import decode, peek


def message(*ids: str) -> FeedMessage:
    feed = FeedMessage()
    feed.header.gtfs_realtime_version = "2.0"
    feed.header.timestamp = 1_780_000_000
    for number, identifier in enumerate(ids):
        entity = feed.entity.add(id=identifier)
        entity.trip_update.trip.trip_id = f"T{number}"
        entity.trip_update.stop_time_update.add(stop_id=f"S{number}").arrival.time = 1_780_000_100
    return feed


def counts(decoded: Decoded) -> tuple[int, int, int]:
    return len(decoded.entities), len(decoded.bad_entities), len(decoded.failed)


def same(left: Decoded, right: Decoded) -> bool:
    assert set(left.tables) == set(right.tables)
    tables = all(left.tables[name].equals(right.tables[name]) for name in left.tables)
    whole = left.headers.equals(right.headers) and left.entities.equals(right.entities)
    return tables and whole and left.bad_entities == right.bad_entities


def test_absent_is_never_zero_or_empty() -> None:
    feed = message("1")
    feed.entity[0].trip_update.stop_time_update.add()
    zeros = feed.entity.add(id="").vehicle
    zeros.timestamp = 0
    zeros.current_status = 0
    zeros.position.latitude = 0.0
    zeros.position.longitude = -0.0
    zeros.trip.trip_id = ""
    decoded = decode([feed.SerializeToString()])
    vehicle = decoded.tables["vehicle_positions"].to_pylist()[0]
    stop = decoded.tables["stop_time_updates"].to_pylist()[1]

    assert (vehicle["timestamp"], vehicle["current_status"], vehicle["latitude"], vehicle["trip_id"]) == (0, 0, 0.0, "")
    assert vehicle["entity_id"] == ""
    assert vehicle["bearing"] is None
    assert vehicle["route_id"] is None
    assert vehicle["is_assigned"] is None
    assert {name for name, value in stop.items() if value is not None} == {
        "message_index",
        "entity_ordinal",
        "stu_index",
        "parent",
    }


def test_an_unknown_enum_number_and_the_largest_numbers_survive() -> None:
    vehicle = FeedMessage()
    vehicle.header.gtfs_realtime_version = "2.0"
    position = vehicle.entity.add(id="v").vehicle
    position.timestamp = 2**64 - 1
    position.current_stop_sequence = 2**32 - 1
    # occupancy_status (field 9, varint) = 99 is no member of the closed enum
    extended = _with_longer_vehicle(vehicle, b"\x48\x63")
    row = decode([extended]).tables["vehicle_positions"].to_pylist()[0]

    assert (row["occupancy_status"], row["timestamp"], row["current_stop_sequence"]) == (99, 2**64 - 1, 2**32 - 1)


def _with_longer_vehicle(feed: FeedMessage, more: bytes) -> bytes:
    """Append raw bytes to the vehicle of a message's only entity."""
    vehicle = feed.entity[0].vehicle.SerializeToString() + more
    entity = b"\x0a\x01v\x22" + bytes([len(vehicle)]) + vehicle
    header = feed.header.SerializeToString()
    return b"\x0a" + bytes([len(header)]) + header + b"\x12" + bytes([len(entity)]) + entity


def test_a_bad_string_or_a_missing_field_loses_its_entity_alone() -> None:
    feed = message("1", "2", "3")
    body = feed.SerializeToString().replace(b"T1", b"\xff\xfe")
    decoded = decode([body, message("9").SerializeToString()])
    assert counts(decoded) == (3, 1, 0)
    assert [(bad.message_index, bad.entity_ordinal) for bad in decoded.bad_entities] == [(0, 1)]
    assert decoded.entities.column("entity_ordinal").to_pylist() == [0, 2, 0]

    feed.entity[1].trip_update.ClearField("trip")
    missing = decode([feed.SerializePartialToString()])
    assert counts(missing) == (2, 1, 0)
    assert "trip" in missing.bad_entities[0].reason
    feed.entity[0].ClearField("id")
    assert counts(decode([feed.SerializePartialToString()])) == (1, 2, 0)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty body"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b"  <Error><Code>NoSuchKey</Code></Error>", "XML"),
        (b'{"message": "Missing Authentication Token"}', "JSON"),
        (b"\x0a", "not a GTFS-Realtime message"),
        (b"\x12\x03\x0a\x01x", "required fields are missing"),
        (message("1").SerializeToString()[:-1], "not a GTFS-Realtime message"),
    ],
)
def test_what_is_no_message_fails_with_a_plain_reason_and_alone(body: bytes, reason: str) -> None:
    decoded = decode([body, message("1").SerializeToString()])

    assert reason in decoded.failed[0]
    assert len(decoded.headers) == len(decoded.entities) == 1
    assert decoded.entities.column("message_index").to_pylist() == [1]
    assert peek(body) is None


def test_truncation_at_an_entity_boundary_and_an_empty_feed_are_messages() -> None:
    whole = message("1", "2").SerializeToString()
    one = message("1").SerializeToString()
    assert whole.startswith(one)
    assert counts(decode([one])) == (1, 0, 0)
    assert counts(decode([message().SerializeToString()])) == (0, 0, 0)


def test_header_after_entities_two_headers_and_unknown_fields_are_taken_as_protobuf_takes_them() -> None:
    feed = message("1", "2")
    header = b"\x0a" + bytes([feed.header.ByteSize()]) + feed.header.SerializeToString()
    entities = feed.SerializeToString()[len(header) :]
    unknown = b"\x7a\x02ab"
    wanted = decode([header + entities])
    for body in (
        entities + header,
        header + entities + header,
        header + unknown + entities,
        entities[:0] + header + entities + unknown,
    ):
        assert FeedMessage.FromString(body).IsInitialized()
        assert same(decode([body]), wanted)


def test_slices_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = [subway_message(seed, trips=40) for seed in range(3)]
    broken = bodies[1].replace(b"|T7|", b"|\xff\xff|", 1)
    wanted = decode([*bodies, broken])
    for size in (200, 5_000, 20_000):
        monkeypatch.setattr(gtfs_realtime, "CALL_BYTES", size)
        found = decode([*bodies, broken])
        assert same(found, wanted)
        parents = found.tables["stop_time_updates"].column("parent").to_pylist()
        assert parents == sorted(parents)


def test_peek_tells_what_decode_tells() -> None:
    body = subway_message(1, trips=20)
    decoded = decode([body])
    assert peek(body) == (decoded.headers.column("timestamp")[0].as_py(), len(decoded.entities))


class Stopwatch:
    """Wraps a call and keeps the longest CPU time that one call took."""

    def __init__(self, call: Callable[..., object]) -> None:
        self._call, self.longest = call, 0.0

    def __call__(self, *arguments: object) -> object:
        began = time.thread_time()
        found = self._call(*arguments)
        self.longest = max(self.longest, time.thread_time() - began)
        return found


def test_no_call_on_a_bus_sized_message_takes_forty_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    body = bus_message(0)
    assert len(body) > 4_000_000
    longest = []
    for _ in range(3):
        watches = {name: Stopwatch(getattr(gtfs_realtime, name)) for name in ("wire_refusal", "flatten", "split")}
        handler = Stopwatch(gtfs_realtime._HANDLER.list_to_record_batch)
        with monkeypatch.context() as patched:
            for name, watch in watches.items():
                patched.setattr(gtfs_realtime, name, watch)
            patched.setattr(
                gtfs_realtime, "_HANDLER", type("Handler", (), {"list_to_record_batch": staticmethod(handler)})
            )
            assert len(decode([body]).tables["stop_time_updates"]) == 140_000
        longest.append(max(handler.longest, *(watch.longest for watch in watches.values())))

    assert min(longest) < 0.040


def mutated(body: bytes, random: Random) -> bytes:
    """Truncate, flip, delete, insert or overwrite somewhere."""
    data = bytearray(body)
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(data)) if data else 0
        kind = random.randrange(5)
        if kind == 0:
            del data[place:]
        elif kind == 1 and data:
            data[place] ^= 1 << random.randrange(8)
        elif kind == 2:
            del data[place : place + random.randint(1, 20)]
        elif kind == 3:
            data[place:place] = random.randbytes(random.randint(1, 20))
        elif data:
            data[place : place + 4] = random.randbytes(4)
    return bytes(data)


def fuzz(seeds: range) -> int:
    """Decode mutants; give how many were accepted whole. Raises when anything is accepted that upb refuses."""
    originals = [subway_message(9, trips=4), message("1", "2").SerializeToString(), message().SerializeToString()]
    accepted = 0
    for seed in seeds:
        random = Random(seed)
        body = mutated(random.choice(originals), random)
        decoded = decode([body])
        if decoded.failed or decoded.bad_entities:
            continue
        strict = FeedMessage.FromString(body)
        assert strict.IsInitialized(), seed
        assert len(strict.entity) == len(decoded.entities), seed
        assert sum(len(e.trip_update.stop_time_update) for e in strict.entity) == len(
            decoded.tables["stop_time_updates"]
        ), seed
        accepted += 1
    return accepted


def test_two_thousand_mutants_crash_nothing_and_none_is_accepted_that_upb_refuses() -> None:
    assert fuzz(range(2_000)) > 40


@pytest.mark.crash
@pytest.mark.timeout(3_600)
def test_two_hundred_thousand_mutants_crash_nothing() -> None:
    assert fuzz(range(5_000, 205_000)) > 5_000  # 7,182 when last run
