"""Two-phase decode: whatever went before, the rows are those of the full decode."""

import time
from collections.abc import Callable, Iterable
from random import Random

import pytest
from google.transit.gtfs_realtime_pb2 import FeedMessage

from tests.oracle.synthetic import bus_message, subway_message
from thirdrail.city.messages import body as published
from thirdrail.decode import two_phase
from thirdrail.decode.decoded import Decoded
from thirdrail.decode.gtfs_realtime import decode
from thirdrail.decode.two_phase import Seen

AT = 1_790_000_000


def assert_same(full: Decoded, twice: Decoded) -> None:
    assert (full.failed, full.bad_entities) == (twice.failed, twice.bad_entities)
    assert full.headers.equals(twice.headers)
    assert full.entities.equals(twice.entities)
    assert full.tables.keys() == twice.tables.keys()
    for name, table in full.tables.items():
        assert table.equals(twice.tables[name]), name


def follow(bodies: Iterable[bytes]) -> Seen:
    """Decode messages one after the other, each both ways."""
    seen = Seen()
    for body in bodies:
        assert_same(decode([body]), decode([body], seen, 0))
    return seen


def test_a_third_moved_is_decoded_and_the_rest_is_taken_from_the_message_before() -> None:
    messages = [bus_message(0, later=30 * number) for number in range(3)]

    seen = follow(messages)

    share = seen.decoded / (seen.decoded + seen.reused)
    assert (1 + 2 * 0.30) / 3 < share < (1 + 2 * 0.37) / 3


def test_buses_that_pass_stops_leave_and_begin_give_the_rows_of_the_full_decode() -> None:
    messages = [published(0, "bus_trip_updates", AT + later) for later in (0, 10, 20, 600, 10)]

    seen = follow(messages)

    assert 0.2 < seen.reused / (seen.decoded + seen.reused) < 0.4


def test_several_messages_of_a_call_stay_in_order_beside_small_ones() -> None:
    large, small = [bus_message(0, 300, later=number * 30) for number in range(2)], subway_message(3, trips=4)
    bodies = [small, large[0], b"no message", small, large[1], small]
    seen = Seen()

    for _ in range(2):
        assert_same(decode(bodies), decode(bodies, seen, len(small)))

    assert seen.reused > seen.decoded


def test_lists_in_another_order_and_trips_named_twice_are_guessed_wrongly_and_decoded_rightly() -> None:
    feed = FeedMessage.FromString(bus_message(0, 40))
    orders = [feed.SerializeToString()]
    for seed in range(5):
        entities = list(feed.entity)
        Random(seed).shuffle(entities)
        del entities[seed:][10:12]
        other = FeedMessage(header=feed.header, entity=entities)
        other.entity[0].trip_update.trip.trip_id = other.entity[1].trip_update.trip.trip_id
        del other.entity[2].trip_update.stop_time_update[:]
        other.entity[3].trip_update.stop_time_update.add()
        other.entity[4].trip_update.trip.ClearField("trip_id")
        other.entity[5].trip_update.stop_time_update[1].stop_id = "x" * 200
        other.entity[6].trip_update.stop_time_update[1].stop_id = "x" * 20_000
        orders.append(other.SerializeToString())

    assert follow(orders[:2] + [orders[0]] * 2 + orders).reused > 0


def mutated(body: bytes, random: Random) -> bytes:
    data = bytearray(body)
    for _ in range(random.randint(1, 3)):
        place = random.randrange(len(data))
        if random.random() < 0.5:
            data[place] ^= 1 << random.randrange(8)
        else:
            data[place : place + random.randint(0, 4)] = random.randbytes(random.randint(0, 4))
    return bytes(data)


def test_a_thousand_mutants_are_judged_as_without_memory() -> None:
    originals = [bus_message(0, 6, 4, later=30 * number) for number in range(3)] + [subway_message(9, trips=4)]
    seen, accepted = Seen(), 0
    for seed in range(1_000):
        random = Random(seed)
        body = random.choice(originals)
        body = mutated(body, random) if random.random() < 0.8 else body
        full = decode([body])
        assert_same(full, decode([body], seen, 0))
        accepted += not full.failed and not full.bad_entities
    assert accepted > 200
    assert seen.reused > 500


class Longest:
    """Keeps the longest CPU time that one call took."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def watch(self, call: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*arguments: object) -> object:
            began = time.thread_time()
            try:
                return call(*arguments)
            finally:
                self.seconds = max(self.seconds, time.thread_time() - began)

        return staticmethod(wrapper)


def test_no_call_that_holds_the_interpreter_takes_forty_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    messages = [bus_message(0, later=30 * number) for number in range(3)]
    held = ("_OUTER_HANDLER", "list_to_record_batch"), ("_STOP_TIME_HANDLER", "list_to_record_batch")
    rounds = []
    for _ in range(3):
        longest = Longest()
        with monkeypatch.context() as patched:
            for name, method in (*held, ("_StrictOuter", "FromString"), ("TripUpdate", "FromString")):
                watched = longest.watch(getattr(getattr(two_phase, name), method))
                patched.setattr(two_phase, name, type(name, (), {method: watched}))
            seen = Seen()
            for message in messages:
                assert len(decode([message], seen).tables["stop_time_updates"]) == 140_000
        rounds.append(longest.seconds)

    assert 0.001 < min(rounds) < 0.040
