"""The sink against the official connector, the official client of pipes, and the emulator."""

import datetime as dt
import os
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fakes.clock import FakeClock
from tests.fakes.snowpipe import FakeSnowpipe
from tests.faults.process import eventually
from tests.snowpipe.rig import FilesRig
from tests.snowpipe_streaming.rig import EVENTS, deliver, emulated, pairs, rows, settle
from thirdrail.emulator.faults import Fault
from thirdrail.emulator.server import EmulatorServer
from thirdrail.errors import (
    ChannelStuck,
    ConfigError,
    LogBehindDestination,
    PositionGap,
    PositionUnknown,
    SnowflakeRefused,
    SnowflakeUnavailable,
    StagedFileRefused,
)
from thirdrail.model.records import Refused, Rejection, Span
from thirdrail.model.tokens import Token, parsed
from thirdrail.sinks.snowpipe import writer as module
from thirdrail.sinks.snowpipe.pipe import _outcomes
from thirdrail.sinks.snowpipe.ports import FAILED, Outcome
from thirdrail.sinks.snowpipe.writer import Books

ROUNDS = max(2, int(os.environ.get("THIRDRAIL_SNOWFLAKE_ROUNDS", "8")) // 8)
END = 150


@pytest.fixture(autouse=True)
def asks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASK_S", 0.1)


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[EmulatorServer]:
    with emulated(tmp_path / "emulator") as server:
        yield server


@pytest.fixture
def rig(tmp_path: Path, emulator: EmulatorServer) -> Iterator[FilesRig]:
    rig = FilesRig(tmp_path, emulator)
    yield rig
    rig.close()
    rig.sink.close()


def test_rows_are_staged_loaded_and_in_order_and_a_new_writer_goes_on(rig: FilesRig) -> None:
    writer = rig.open()
    assert writer.position is None
    writer.submit(rows(Span(3, 3)), Span(3, 3))
    assert writer.position == 3
    for start, end in ((3, 20), (20, 40), (40, 60)):
        writer.submit(rows(Span(start, end)), Span(start, end))
        writer.flush()
    settle(writer, 60)

    again = rig.open()
    assert again.position == 60
    again.submit(rows(Span(40, 75)), Span(40, 75))
    settle(again, 75)
    assert rig.found() == pairs(3, 75)
    assert rig.rejections == []


def test_values_arrive_as_they_were(rig: FilesRig) -> None:
    writer = rig.open()
    writer.submit(rows(Span(0, 9)), Span(0, 9))
    writer.flush()
    settle(writer, 9)
    there = rig.emulator.storage.rows(EVENTS.name).select(EVENTS.names())
    assert there.cast(EVENTS.arrow_schema).equals(rows(Span(0, 9)))


def test_what_was_submitted_is_no_position_until_it_is_loaded(rig: FilesRig) -> None:
    rig.emulator.storage.commit_delay_s = 1.5
    writer = rig.open()
    writer.submit(rows(Span(0, 50)), Span(0, 50))
    writer.flush()
    writer.submit(rows(Span(50, 51)), Span(50, 51))
    assert writer.settle() == 0
    settle(writer, 51)
    assert rig.found() == pairs(0, 51)


def test_rows_become_a_file_by_number_bytes_or_time(tmp_path: Path, emulator: EmulatorServer) -> None:
    for key, value in (("batch_rows", 40), ("batch_bytes", 2_000), ("batch_seconds", 0.5)):
        keys = {"batch_rows": 10_000, "batch_bytes": 10_000_000, "batch_seconds": 3_000.0} | {key: value}
        rig = FilesRig(tmp_path, emulator, key.replace("_", "-"), **keys)
        writer = rig.open()
        for start in range(0, 60, 10):
            writer.submit(rows(Span(start, start + 10)), Span(start, start + 10))
            assert key != "batch_seconds" or not writer.rows_sent
        if key == "batch_seconds":
            time.sleep(0.5)
            writer.settle()
        assert writer.rows_sent >= 40, key
        rig.close()
        rig.sink.close()


def test_loaded_files_are_removed_but_the_newest_which_says_how_far_the_table_is(tmp_path: Path, rig: FilesRig) -> None:
    writer = rig.open()
    for start in (0, 10, 20):
        writer.submit(rows(Span(start, start + 10)), Span(start, start + 10))
        writer.flush()
    settle(writer, 30)
    assert rig.staged() == ["main/events/log/0/20-30.parquet"]

    (tmp_path / "channels-main.json").unlink()
    rig.sink = rig.new_sink()
    assert rig.open().position == 30


def test_a_gap_is_refused(rig: FilesRig) -> None:
    writer = rig.open()
    writer.submit(rows(Span(0, 5)), Span(0, 5))
    with pytest.raises(PositionGap, match="offsets 5 to 7"):
        writer.submit(rows(Span(8, 10)), Span(8, 10))


def test_a_file_that_was_staged_and_never_submitted_is_submitted_by_who_comes_next(rig: FilesRig) -> None:
    writer = rig.open()
    writer.submit(rows(Span(0, 30)), Span(0, 30))
    rig.emulator.faults.add(Fault(call="insert_files", status=503))
    with pytest.raises(SnowflakeUnavailable, match="insertFiles"):
        writer.flush()
    assert rig.staged() == ["main/events/log/0/0-30.parquet"]
    rig.sink = rig.new_sink()
    again = rig.open()
    assert again.position == 0
    again.submit(rows(Span(0, 44)), Span(0, 44))  # cut elsewhere this time
    settle(again, 44)
    assert rig.found() == pairs(0, 44)


def test_a_lost_answer_loads_nothing_twice(rig: FilesRig) -> None:
    writer = rig.open()
    rig.emulator.faults.add(Fault(call="insert_files", reset="after"))
    writer.submit(rows(Span(0, 30)), Span(0, 30))
    with pytest.raises(SnowflakeUnavailable):
        writer.flush()
    again = rig.open()
    again.submit(rows(Span(0, 44)), Span(0, 44))
    settle(again, 44)
    assert rig.found() == pairs(0, 44)


REFUSED = "log/0/0-30.parquet"


def fates(rig: FilesRig) -> list[str]:
    with rig.emulator.storage.transaction() as db:
        return [status for (status,) in db.execute("SELECT status FROM submitted ORDER BY path")]


def refused(rig: FilesRig) -> None:
    """Have the first of three files refused while the others are loaded."""
    rig.emulator.faults.spoil["events"] = b"PAR1"  # every file
    writer = rig.open()
    writer.submit(rows(Span(0, 30)), Span(0, 30))
    writer.flush()
    eventually(lambda: fates(rig) == ["LOAD_FAILED"], 10, "it is refused")
    rig.emulator.faults.spoil.clear()
    writer.submit(rows(Span(30, 60)), Span(30, 60))
    writer.flush()
    with pytest.raises(StagedFileRefused, match="spoilt by the emulator") as error:
        settle(writer, 60)
    assert f"{REFUSED} (captures 0 to 29)" in str(error.value)
    assert "quarantine replay" in error.value.hint
    assert writer.rows_rejected == 1, "what metric and alert look at"
    eventually(lambda: rig.found() == pairs(30, 60), 10, "the other is loaded")


def test_a_file_that_snowflake_does_not_load_is_told_of_once_and_stops_the_sink_until_it_is_settled(
    rig: FilesRig,
) -> None:
    refused(rig)
    for _ in range(2):
        rig.sink = rig.new_sink()
        with pytest.raises(StagedFileRefused, match="spoilt by the emulator"):
            rig.open()
    (rejection,) = rig.rejections
    place = Refused(first="log/0", last="log/30", count=0, rows=0, file=REFUSED)
    assert (rejection.table, rejection.places) == ("events", (place,))

    rig.settled.add(REFUSED)
    again = rig.open()
    assert again.position == 60, "an order brings its rows, or nobody does: none is staged a second time"
    again.submit(rows(Span(0, 75)), Span(0, 75))
    settle(again, 75)
    assert rig.found() == pairs(30, 75)
    assert not [name for name in rig.staged() if name.endswith(REFUSED)]
    rig.sink = rig.new_sink()
    assert rig.open().position == 75
    assert len(rig.rejections) == 1


def test_a_refused_file_that_somebody_took_away_is_settled_all_the_same(rig: FilesRig) -> None:
    refused(rig)
    rig.emulator.snowpipe.stages.remove("THIRDRAIL_STAGE", f"main/events/{REFUSED}")
    rig.sink = rig.new_sink()
    with pytest.raises(StagedFileRefused, match=r"0-30\.parquet"):
        rig.open()
    rig.settled.add(REFUSED)
    assert rig.open().position == 60
    assert rig.found() == pairs(30, 60)


def test_a_refused_file_behind_one_that_is_on_its_way_is_passed_when_that_is_loaded(rig: FilesRig) -> None:
    rig.emulator.faults.is_frozen = True
    writer = rig.open()
    for start in (0, 30):
        writer.submit(rows(Span(start, start + 30)), Span(start, start + 30))
        writer.flush()
    with rig.emulator.storage.transaction() as db:
        partly = (
            "UPDATE submitted SET status = 'PARTIALLY_LOADED', rows = 7, errors = 2, loaded_ms = ? WHERE path LIKE ?"
        )
        db.execute(partly, (int(time.time() * 1000), "%30-60.parquet"))
    rig.sink = rig.new_sink()
    with pytest.raises(
        StagedFileRefused, match=r"30-60\.parquet \(captures 30 to 59\): Snowflake says PARTIALLY_LOADED"
    ):
        rig.open()
    ((place,),) = (rejection.places for rejection in rig.rejections)
    assert (place.first, place.last, place.count, place.rows) == ("log/30", "log/60", 2, 9)
    rig.settled.add(place.file)
    again = rig.open()
    again.submit(rows(Span(0, 75)), Span(0, 75))
    again.flush()
    assert again.settle() == 0
    rig.emulator.faults.is_frozen = False
    settle(again, 75)
    assert rig.found() == pairs(0, 30) + pairs(60, 75)
    assert rig.staged() == ["main/events/log/0/60-75.parquet"]


def test_a_refused_file_that_begins_where_a_channel_ended_begins_after_its_last_row() -> None:
    clock, told, had = FakeClock(), list[Rejection](), Token(3, 3, 1, -1, "w")
    server = FakeSnowpipe(Random(1), clock)
    stage, pipe = server.place(EVENTS)
    server.files[EVENTS.name]["log/0/3-9.parquet"] = (b"", dt.datetime.now(dt.UTC))
    server.fates[EVENTS.name]["log/0/3-9.parquet"] = Outcome(FAILED, 0, 1, "no")
    books = Books(3, lambda _: None, told.append, {}, lambda _: None, lambda *_: False, token=had)
    limits = module.Limits(1, 1, 1.0)
    with pytest.raises(StagedFileRefused):
        module.FilesWriter(EVENTS, ("log", "0"), (stage, pipe), books, clock, limits=limits, stuck_seconds=9.0)
    first = parsed(told[0].places[0].first, "log", EVENTS.name)
    assert had < first < had._replace(ordinal=2)


def test_a_refusal_names_row_and_column_where_snowflake_does() -> None:
    file = {"path": "a", "status": "LOAD_FAILED", "errorsSeen": 2, "firstError": "too long"}
    assert _outcomes({"files": [file]})["a"].error == "too long"
    named = file | {"firstErrorLineNum": 7, "firstErrorColumnName": "STOP_ID"}
    assert _outcomes({"files": [named]})["a"].error == "too long (row 7 of the file, column STOP_ID)"


def test_rows_that_snowflake_would_not_take_are_told_to_the_log_and_not_staged(rig: FilesRig) -> None:
    whole = rows(Span(0, 20))
    place = whole.schema.get_field_index("ratio")
    bad = [float("nan") if number == 3 else value for number, value in enumerate(whole["ratio"].to_pylist())]
    writer = rig.open()
    writer.submit(whole.set_column(place, "ratio", pa.array(bad, pa.float64())), Span(0, 20))
    settle(writer, 20)
    assert rig.found() == [pair for number, pair in enumerate(pairs(0, 20)) if number != 3]
    (rejection,) = rig.rejections
    assert [(row["capture_offset"], row["entity_ordinal"]) for row in rejection.rows] == [pairs(0, 20)[3]]


def test_files_of_another_log_are_left_alone(rig: FilesRig) -> None:
    rig.emulator.faults.is_frozen = True
    writer = rig.open()
    writer.submit(rows(Span(0, 10)), Span(0, 10))
    writer.flush()
    with pytest.raises(PositionUnknown, match="staged from another capture log; this is other"):
        rig.open("other")


def test_a_log_that_ends_below_a_staged_file_is_found_out(rig: FilesRig) -> None:
    rig.emulator.faults.is_frozen = True
    writer = rig.open()
    writer.submit(rows(Span(0, 10)), Span(0, 10))
    writer.flush()
    rig.close()
    rig.sink = rig.new_sink(log_end=5)
    with pytest.raises(LogBehindDestination, match="captures up to offset 10, but the capture log ends at 5"):
        rig.open()


def test_what_the_same_process_stages_beyond_where_the_log_ended_at_its_start_is_its_own(rig: FilesRig) -> None:
    rig.sink = rig.new_sink(log_end=5)
    rig.emulator.faults.is_frozen = True
    writer = rig.open()
    writer.submit(rows(Span(0, 10)), Span(0, 10))
    writer.flush()
    again = rig.open()  # as after an error
    assert again.position == 0
    rig.emulator.faults.is_frozen = False
    again.submit(rows(Span(0, 20)), Span(0, 20))
    settle(again, 20)
    assert rig.found() == pairs(0, 20)


def test_a_file_of_unknown_fate_after_a_fortnight_is_nobodys_to_load_again(rig: FilesRig) -> None:
    rig.emulator.faults.is_frozen = True
    writer = rig.open()
    writer.submit(rows(Span(0, 10)), Span(0, 10))
    writer.flush()
    for _, path in rig.emulator.snowpipe.stages.files("THIRDRAIL_STAGE", ""):
        os.utime(path, (time.time() - 14 * 86_400,) * 2)
    with pytest.raises(PositionUnknown, match="no longer knows whether it has loaded it"):
        rig.open()


def test_a_pipe_that_loads_nothing_is_said_and_goes_on_by_itself(tmp_path: Path, emulator: EmulatorServer) -> None:
    rig = FilesRig(tmp_path, emulator, stuck_seconds=0.2)
    emulator.faults.is_frozen = True
    writer = rig.open()
    writer.submit(rows(Span(0, 10)), Span(0, 10))
    writer.flush()
    with pytest.raises(ChannelStuck, match=r"0-10\.parquet was submitted, and Snowflake has not told of it for"):
        settle(writer, 10, within_s=15)
    assert writer.trouble
    emulator.faults.is_frozen = False
    again = rig.open()
    again.submit(rows(Span(0, 12)), Span(0, 12))
    settle(again, 12)
    assert (rig.found(), again.trouble) == (pairs(0, 12), "")
    rig.close()
    rig.sink.close()


def test_sessions_and_tokens_that_expire_are_begun_anew(rig: FilesRig) -> None:
    deliver(rig, 30, Random(1))
    rig.emulator.identity.not_before = time.time()
    deliver(rig, 60, Random(1))
    assert rig.found() == pairs(0, 60)


@pytest.mark.parametrize("what", ["other", "missing", "no key"])
def test_a_wrong_key_is_refused_with_what_to_do(tmp_path: Path, emulator: EmulatorServer, what: str) -> None:
    path = tmp_path / "key.p8"
    if what == "other":
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    elif what == "no key":
        path.write_text("ssh-rsa AAAA\n")
    rig = FilesRig(tmp_path, emulator, private_key_path=str(path))
    began = time.monotonic()
    with pytest.raises((SnowflakeRefused, SnowflakeUnavailable, ConfigError)) as error:
        rig.open()
    assert time.monotonic() - began < 20
    assert isinstance(error.value, SnowflakeRefused if what == "other" else ConfigError)
    rig.sink.close()


def test_a_server_that_is_away_is_an_error_within_the_time_for_tries(tmp_path: Path) -> None:
    with emulated(tmp_path / "gone") as server:
        rig = FilesRig(tmp_path, server, retry_seconds=1.0)
    began = time.monotonic()
    with pytest.raises(SnowflakeUnavailable):
        rig.open()
    assert time.monotonic() - began < 20
    rig.sink.close()


FAULTS = ("insert_files", "insert_report", "load_history", "query", "query", "login", "abort")


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_whatever_goes_wrong_each_row_is_there_once(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    with emulated(tmp_path / "emulator") as emulator:
        rig = FilesRig(tmp_path, emulator, batch_seconds=0.1, retry_seconds=2.0, stuck_seconds=1.0)
        for _ in range(30):
            call, kind = random.choice(FAULTS), random.random()
            if kind < 0.4:
                emulator.faults.add(Fault(call=call, reset=random.choice(("before", "after"))))
            elif kind < 0.8:
                status = random.choice((400, 401, 403, 404, 405, 429, 500, 502, 503))
                emulator.faults.add(Fault(call=call, status=status, applied=status >= 500 and random.random() < 0.5))
            else:
                emulator.faults.add(Fault(call=call, delay_s=random.choice((0.3, 2.5))))
        deliver(rig, END, random, within_s=240)
        rig.close()
        assert sorted(rig.found()) == pairs(0, END)
        assert sum(emulator.faults.happened.values()) >= 12
        rig.sink.close()


@pytest.mark.parametrize("mutant", ["doubles", "loses"])
def test_an_emulator_that_breaks_its_promise_is_noticed(rig: FilesRig, mutant: str) -> None:
    """Else the tests of this folder would prove nothing."""
    setattr(rig.emulator.faults, mutant, True)
    writer = rig.open()
    rig.emulator.faults.add(Fault(call="insert_files", reset="after"))
    writer.submit(rows(Span(0, 60)), Span(0, 60))
    with pytest.raises(SnowflakeUnavailable):
        writer.flush()
    if mutant == "doubles":
        eventually(rig.found, 10, "it is loaded")
        rig.emulator.snowpipe.submit("EVENTS_FILES_PIPE", "events", [("log/0/0-60.parquet", 1)])
    deliver(rig, 80, Random(1))
    eventually(lambda: len(rig.found()) != len(pairs(0, 80)), 10, "the mutant shows")
