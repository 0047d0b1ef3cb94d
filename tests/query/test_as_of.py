"""``as_of`` gives back what a feed said: seeded histories against a model in plain Python (design 3a)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

import duckdb
import pytest

from tests.query.lake import Lake, Row, at, message
from thirdrail.model.tables import BY_NAME, PICTURE_TABLES, Role

Key = tuple[str, str | None, int]
Picture = dict[Key, str]

FEEDS = 24
LENGTH = 16
SEED = 7
STREAMS = (("log", "live"), ("log", "replay-1"), ("other", "live"))


@dataclass
class Moment:
    """What ``as_of`` must give of one feed from this capture on."""

    offset: int
    log: str
    fetched_at: datetime
    header: datetime
    picture: Picture


@dataclass
class History:
    """One feed: what its tables hold, and what each accepted capture showed."""

    feed: str
    messages: list[Row] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)


def moved(random: Random, picture: Picture) -> Picture:
    """The same trains a little later: some stops gone, some new, some predictions other."""
    kept = {key: str(random.randint(0, 3)) if random.random() < 0.3 else value for key, value in picture.items()}
    kept = {key: value for key, value in kept.items() if random.random() > 0.2}
    for _ in range(random.randint(0, 3)):
        key = (f"trip{random.randint(0, 3)}", random.choice(("A1N", "A2S", None)), random.randint(0, 1))
        kept[key] = str(random.randint(0, 3))
    return kept


def changes(base: Picture, picture: Picture, *, is_full: bool) -> Iterator[tuple[Key, str, str | None]]:
    """Key, kind and content of each row that change keeping writes."""
    for key, value in picture.items():
        kind = "added" if key not in base else "changed" if base[key] != value else "repeated"
        if kind != "repeated" or is_full:
            yield key, kind, value
    yield from ((key, "removed", None) for key in base if key not in picture)


class Writing:
    """Writes one history as the pipeline would, and remembers in plain Python what it meant."""

    def __init__(self, random: Random, feed: str) -> None:
        self.random, self.history = random, History(feed)
        self.base: dict[tuple[str, str], Picture] = {}
        self.shown: dict[tuple[str, str], Picture] = {}
        self.now = 0.0

    def capture(self, offset: int) -> None:
        random = self.random
        stream = random.choice(STREAMS[: random.randint(1, 3)])
        # Two captures at one instant, and clocks that step back, happen.
        self.now += random.choice((0, 15, 15, 60, 400, -45))
        log, origin = stream
        envelope = {"feed_id": self.history.feed, "capture_log": log, "capture_offset": offset, "origin": origin}
        envelope |= {"fetched_at": at(self.now), "feed_timestamp": at(self.now - random.choice((0, 3.5, 40)))}
        accepted = random.random() > 0.25
        is_full = accepted and (stream not in self.base or random.random() < 0.25)
        self.history.messages.append(message(offset, **envelope, accepted=accepted, is_full_picture=is_full))
        if not accepted:
            if random.random() < 0.5:
                for key, value in moved(random, {}).items():
                    self.row(envelope, key, "unaccepted", value)
            return
        self.accepted(stream, envelope, is_full=is_full)

    def accepted(self, stream: tuple[str, str], envelope: Row, *, is_full: bool) -> None:
        base = self.base.get(stream, {})
        picture = moved(self.random, base)
        shown = {} if is_full else dict(self.shown[stream])
        for key, kind, value in changes(base, picture, is_full=is_full):
            self.row(envelope, key, kind, value)
            if value is None:
                shown.pop(key, None)
            else:
                shown[key] = value
        for key in sorted((base.keys() - picture.keys()), key=str):
            # The gate refused the row, and a person had it judged again: it counts although it was marked removed.
            if self.random.random() < 0.1:
                self.row(envelope, key, "restored", "back", restored_by_offset=900)
                shown[key] = "back"
        self.base[stream], self.shown[stream] = picture, shown
        moment = Moment(
            envelope["capture_offset"], stream[0], envelope["fetched_at"], envelope["feed_timestamp"], shown
        )
        self.history.moments.append(moment)

    def row(self, envelope: Row, key: Key, kind: str, value: str | None, **more: Any) -> None:
        trip, stop, occurrence = key
        named = {"trip_key": trip, "stop_id": stop, "stop_occurrence": occurrence, "change_kind": kind}
        content = {"actual_track": value, "arrival_at": at(1_000) if value == "1" else None, "seconds_to_arrival": -1}
        self.history.rows.append({**envelope, **named, **content, **more})


def histories() -> list[History]:
    random = Random(SEED)
    written = []
    for feed in range(FEEDS):
        writing = Writing(random, f"feed{feed}")
        for offset in range(LENGTH):
            writing.capture(offset)
        written.append(writing.history)
    return written


def expected(history: History, time: datetime) -> set[tuple[Any, ...]]:
    """What the model says of one feed at a time."""
    before = [moment for moment in history.moments if moment.fetched_at <= time]
    if not before:
        return set()
    last = max(before, key=lambda moment: (moment.fetched_at, moment.offset))
    wait = int((at(1_000) - last.header).total_seconds())
    is_gap = time - last.fetched_at > timedelta(minutes=30)
    return {
        (history.feed, *key, value, last.offset, wait if value == "1" else None, is_gap)
        for key, value in last.picture.items()
    }


@pytest.fixture(scope="module")
def written() -> list[History]:
    return histories()


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory, written: list[History]) -> duckdb.DuckDBPyConnection:
    lake = Lake(tmp_path_factory.mktemp("histories"))
    lake.append("stop_time_updates", *(row for history in written for row in history.rows), log=1_000, other=1_000)
    lake.append("feed_messages", *(row for history in written for row in history.messages), log=1_000, other=1_000)
    return lake.warehouse.connect()


def found(connection: duckdb.DuckDBPyConnection, time: datetime) -> list[tuple[Any, ...]]:
    query = f"""
        SELECT feed_id, trip_key, stop_id, stop_occurrence, actual_track, as_of_capture_offset, seconds_to_arrival,
               is_gap
        FROM as_of('stop_time_updates', TIMESTAMPTZ '{time.isoformat()}')"""
    return [tuple(row.values()) for row in connection.sql(query).to_arrow_table().to_pylist()]


def test_histories_hold_what_they_are_meant_to_hold(written: list[History]) -> None:
    kinds = {row["change_kind"] for history in written for row in history.rows}
    moments = [moment for history in written for moment in history.moments]

    assert kinds == {"added", "changed", "repeated", "removed", "restored", "unaccepted"}
    assert len(moments) > 200
    assert {moment.log for moment in moments} == {"log", "other"}
    assert any(not moment.picture for moment in moments)
    assert any(moment.header.microsecond for moment in moments)


def test_as_of_gives_the_picture_of_every_accepted_capture(
    connection: duckdb.DuckDBPyConnection, written: list[History]
) -> None:
    times = {moment.fetched_at for history in written for moment in history.moments}
    assert len(times) > 50
    for time in sorted(times):
        rows = found(connection, time)
        assert len(rows) == len(set(rows)), "a key is given once"
        assert set(rows) == set().union(*(expected(history, time) for history in written))


@pytest.mark.parametrize("seconds", [-3_600, -0.000001, 7.5, 1_800, 1_000_000])
def test_as_of_is_empty_before_and_says_that_there_is_a_gap_after(
    connection: duckdb.DuckDBPyConnection, written: list[History], seconds: float
) -> None:
    moments = [moment.fetched_at for history in written for moment in history.moments]
    time = (min(moments) if seconds < 0 else max(moments)) + timedelta(seconds=seconds)

    assert set(found(connection, time)) == set().union(*(expected(history, time) for history in written))
    assert bool(found(connection, time)) is (seconds > 0)


def test_at_the_end_of_time_the_newest_picture_is_no_gap(
    connection: duckdb.DuckDBPyConnection, written: list[History]
) -> None:
    newest = set().union(*(expected(h, max(m.fetched_at for m in h.moments)) for h in written))
    rows = connection.sql("FROM stop_time_updates_as_of('infinity'::TIMESTAMPTZ)").to_arrow_table()

    assert len(rows) == len(newest)
    assert set(rows.column("is_gap").to_pylist()) == {False}


HEADER = at(0)
MINUTE = 60
_STALE = {"int": -999, "boolean": None, "timestamptz": at(-9_999)}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake(tmp_path_factory.mktemp("empty"))


@pytest.fixture(scope="module")
def moments_lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """One full picture a quarter of an hour before ``HEADER``, and one at it in which nothing changed."""
    lake = Lake(tmp_path_factory.mktemp("moments"))
    old = message(0, feed_timestamp=at(-900), fetched_at=at(-890))
    lake.append("feed_messages", old, message(1, feed_timestamp=HEADER, is_full_picture=False), log=2)
    return lake


def moments_of(lake: Lake, name: str, key: str, contents: list[Row]) -> list[Row]:
    """Write rows whose stored moments are an older header's; give their moments as of the newest header."""
    columns = BY_NAME[name].names(Role.MOMENT)
    stored = {column: _STALE[BY_NAME[name][column].type] for column in columns}
    keyed = [{key: f"{place:02d}", **content} for place, content in enumerate(contents)]
    lake.append(name, *({"capture_offset": 0, "change_kind": "added", **stored, **row} for row in keyed), log=2)
    rows = lake.warehouse.sql(f"FROM as_of('{name}', TIMESTAMPTZ '{at(100).isoformat()}') ORDER BY {key}")
    return rows.select(columns).to_pylist()


def test_seconds_to_arrival_count_from_the_newest_header(moments_lake: Lake) -> None:
    cases = [
        ({"arrival_at": at(90), "departure_at": at(120)}, 90),
        ({"departure_at": at(-30)}, -30),
        ({}, None),
        ({"arrival_at": at(89.9)}, 89),
    ]
    found = moments_of(moments_lake, "stop_time_updates", "trip_key", [times for times, _ in cases])

    assert [row["seconds_to_arrival"] for row in found] == [seconds for _, seconds in cases]


def test_a_trip_is_stale_by_the_newest_header(moments_lake: Lake) -> None:
    cases = [  # seconds late, assigned → stale, zombie, stale unassigned
        (30 * MINUTE, True, False, False, False),
        (30 * MINUTE + 1, True, True, False, False),
        (6 * 60 * MINUTE, False, True, False, True),
        (6 * 60 * MINUTE + 1, False, True, True, True),
        (5 * MINUTE, False, False, False, False),
        (5 * MINUTE + 1, False, False, False, True),
        (None, False, None, None, None),
    ]
    contents = [
        {"nyct_is_assigned": assigned, "first_stop_time_at": None if late is None else at(-late)}
        for late, assigned, *_ in cases
    ]
    found = moments_of(moments_lake, "trip_updates", "trip_key", contents)

    assert [tuple(row.values()) for row in found] == [tuple(case[2:]) for case in cases]


def test_a_vehicle_ages_by_the_newest_header(moments_lake: Lake) -> None:
    cases = [  # age, assigned → stalled, underway
        (90, True, False, True),
        (91, False, True, True),
        (91, None, None, True),
        (-60, True, False, True),
        (-61, True, False, False),
        (None, True, None, None),
    ]
    contents = [
        {"nyct_is_assigned": assigned, "vehicle_at": None if age is None else at(-age)} for age, assigned, *_ in cases
    ]
    found = moments_of(moments_lake, "vehicle_positions", "vehicle_key", contents)

    assert [tuple(row.values()) for row in found] == [(age, *moments) for age, _, *moments in cases]


def test_a_replacement_period_ends_by_the_newest_header(moments_lake: Lake) -> None:
    cases = [(1, at(1), at(1)), (0, at(0), at(1_800)), (-5, at(-5), at(1_800)), (None, None, None)]
    contents = [{"end_after_header_s": after} for after, *_ in cases]
    found = moments_of(moments_lake, "trip_replacement_periods", "route_id", contents)

    assert [tuple(row.values()) for row in found] == [tuple(case[1:]) for case in cases]


def test_as_of_adds_to_a_tables_own_columns_what_it_was_taken_from(empty: Lake) -> None:
    added = ["as_of_capture_offset", "as_of_feed_timestamp", "as_of_fetched_at", "is_gap"]
    for table in PICTURE_TABLES:
        rows = empty.warehouse.sql(f"FROM as_of('{table.name}', now())")
        assert rows.column_names == [*table.names(), *added]
