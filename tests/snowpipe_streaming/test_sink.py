"""The sink against the official client and the emulator: positions, thefts, drops, refusals, silence."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest

from tests.faults.process import eventually
from tests.snowpipe_streaming.rig import EVENTS, PIPE, Rig, configured, deliver, emulated, pairs, rows, settle
from thirdrail.emulator.faults import Fault
from thirdrail.emulator.server import EmulatorServer
from thirdrail.errors import (
    ChannelInvalid,
    ChannelOwnedElsewhere,
    ConfigError,
    PositionGap,
    PositionUnknown,
    SinkError,
    SnowflakeRefused,
    SnowflakeUnavailable,
)
from thirdrail.model.records import Span
from thirdrail.observe.clock import SystemClock
from thirdrail.sinks.snowflake.account import account_of
from thirdrail.sinks.snowflake.notes import ChannelNotes
from thirdrail.sinks.snowpipe_streaming import writer as module
from thirdrail.sinks.snowpipe_streaming.client import checked, connected, properties
from thirdrail.sinks.snowpipe_streaming.sink import StreamingSink


class NeverAgain(Random):
    """Chances by which the rig never begins a new process."""

    def random(self) -> float:
        """Give the highest."""
        return 0.999


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[EmulatorServer]:
    with emulated(tmp_path / "emulator") as server:
        yield server


@pytest.fixture
def rig(tmp_path: Path, emulator: EmulatorServer) -> Iterator[Rig]:
    rig = Rig(tmp_path, emulator)
    yield rig
    rig.close()


def test_a_new_channel_begins_where_it_is_told_and_a_new_writer_goes_on(rig: Rig) -> None:
    writer = rig.open()
    assert writer.position is None
    writer.submit(rows(Span(3, 3)), Span(3, 3))
    assert writer.position == 3
    writer.submit(rows(Span(3, 60)), Span(3, 60))
    settle(writer, 60)
    writer.close()

    again = rig.open()
    assert again.position == 60
    again.submit(rows(Span(40, 75)), Span(40, 75))
    settle(again, 75)
    assert rig.found() == pairs(3, 75)


def test_what_was_accepted_is_no_position_until_it_is_committed(rig: Rig) -> None:
    rig.emulator.storage.commit_delay_s = 1.5
    writer = rig.open()
    writer.submit(rows(Span(0, 0)), Span(0, 0))
    writer.submit(rows(Span(0, 50)), Span(0, 50))
    eventually(lambda: rig.emulator.storage.channel(PIPE, rig.channel).row_seq, 10, "the rows are accepted")
    assert writer.settle() == 0
    settle(writer, 50)
    assert rig.found() == pairs(0, 50)


def test_empty_spans_move_the_position_behind_rows_only_when_those_are_committed(rig: Rig) -> None:
    rig.emulator.faults.is_frozen = True
    writer = rig.open()
    writer.submit(rows(Span(0, 0)), Span(0, 0))
    writer.submit(rows(Span(0, 1)), Span(0, 1))  # offset 0 has no rows
    assert writer.position == 1
    writer.submit(rows(Span(1, 9)), Span(1, 9))
    writer.submit(EVENTS.arrow_schema.empty_table(), Span(9, 20))
    assert writer.settle() == 1
    rig.emulator.faults.is_frozen = False
    settle(writer, 20)


def test_a_gap_is_refused(rig: Rig) -> None:
    writer = rig.open()
    writer.submit(rows(Span(0, 0)), Span(0, 0))
    writer.submit(rows(Span(0, 5)), Span(0, 5))
    with pytest.raises(PositionGap, match="offsets 5 to 7"):
        writer.submit(rows(Span(8, 10)), Span(8, 10))


def test_rows_are_resumed_inside_a_capture_whatever_the_cut(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    real = module.chunks
    for cut in (1, 3, 2, 50):
        monkeypatch.setattr(module, "chunks", lambda frame, cut=cut: real(frame, chunk_rows=cut))
        writer = rig.open()
        if writer.position is None:
            writer.submit(rows(Span(0, 0)), Span(0, 0))
        before = rig.emulator.storage.channel(PIPE, rig.channel).row_seq
        start = writer.position or 0
        writer.submit(rows(Span(start, start + 30)), Span(start, start + 30))
        eventually(
            lambda before=before: rig.emulator.storage.channel(PIPE, rig.channel).row_seq > before,
            10,
            "some is accepted",
        )
        writer.close()  # whatever was not sent yet is thrown away
    writer = rig.open()
    writer.submit(rows(Span(writer.position or 0, 130)), Span(writer.position or 0, 130))
    settle(writer, 130)
    assert rig.found() == pairs(0, 130)


def test_a_stolen_channel_is_taken_back_and_nothing_is_twice(tmp_path: Path, rig: Rig) -> None:
    first = rig.open()
    first.submit(rows(Span(0, 0)), Span(0, 0))
    first.submit(rows(Span(0, 20)), Span(0, 20))
    settle(first, 20)
    other = Rig(tmp_path, rig.emulator)
    second = other.open()

    def goes_on(end: int = 21) -> None:
        while end < 60:
            first.submit(rows(Span(end - 1, end)), Span(end - 1, end))
            first.settle()
            end += 1
            time.sleep(0.1)

    with pytest.raises(ChannelInvalid):
        goes_on()
    second.submit(rows(Span(20, 60)), Span(20, 60))
    settle(second, 60)
    other.close()
    assert rig.found() == pairs(0, 60)


def test_of_two_processes_with_one_deployment_one_leaves_the_channels_to_the_other(
    tmp_path: Path, emulator: EmulatorServer
) -> None:
    """Both of one log, as from a copied folder; else the second would have been refused at once."""
    left = threading.Event()

    def bring(rig: Rig) -> str:
        while True:
            try:
                writer = rig.open()
                if writer.position is None:
                    writer.submit(rows(Span(0, 0)), Span(0, 0))
                at = writer.position or 0
                while not left.is_set() or at < 200:
                    writer.submit(rows(Span(at, at + 2)), Span(at, at + 2))
                    at += 2
                    writer.settle()
                    time.sleep(0.05)
                settle(writer, at)
            except ChannelOwnedElsewhere as error:
                left.set()
                return str(error)
            except SinkError:
                continue
            return str(at)

    folders = tmp_path / "one", tmp_path / "other"
    for folder in folders:
        folder.mkdir()
    both = [Rig(folder, emulator) for folder in folders]
    with ThreadPoolExecutor(2) as pool:
        ends = sorted(pool.map(bring, both))
    for rig in both:
        rig.close()
    end, why = int(ends[0]), ends[1]
    assert "channels of deployment 'main' were opened by another process 3 times" in why
    assert both[0].found() == pairs(0, end)


def test_a_server_that_hangs_is_asked_again_and_what_it_does_late_is_not_done_twice(rig: Rig) -> None:
    """The client waits for 20 s, of the 60 s that we give it to try."""
    rig.config = configured(rig.emulator, retry_seconds=60.0)
    rig.sink = rig.new_sink()
    writer = rig.open()
    writer.submit(rows(Span(0, 0)), Span(0, 0))
    rig.emulator.faults.add(Fault(call="rows", delay_s=23.0))
    writer.submit(rows(Span(0, 30)), Span(0, 30))
    began = time.monotonic()
    settle(writer, 30, within_s=50)
    assert time.monotonic() - began > 19
    time.sleep(4)  # the first request is done now, too
    writer.submit(rows(Span(30, 60)), Span(30, 60))
    settle(writer, 60)
    assert rig.found() == pairs(0, 60)


@pytest.mark.parametrize("fault", [Fault(call="token", status=409), Fault(call="token", reset="before")])
def test_a_token_that_could_not_be_renewed_is_no_end(rig: Rig, fault: Fault) -> None:
    """The client is invalid for good, or silent; the same sink goes on with a new one."""
    sink = rig.sink
    writer = rig.open()
    writer.submit(rows(Span(0, 0)), Span(0, 0))
    writer.submit(rows(Span(0, 20)), Span(0, 20))
    settle(writer, 20)
    for _ in range(4):
        rig.emulator.faults.add(fault)
    rig.emulator.identity.not_before = time.time()
    assert deliver(rig, 100, NeverAgain(1), within_s=60) > 0
    assert rig.sink is sink
    assert rig.found() == pairs(0, 100)


def test_a_dropped_channel_stops_the_sink_and_does_not_fill_its_table_again(rig: Rig) -> None:
    writer = rig.open()
    writer.submit(rows(Span(0, 0)), Span(0, 0))
    writer.submit(rows(Span(0, 20)), Span(0, 20))
    settle(writer, 20)
    writer.close()
    rig.emulator.storage.drop(PIPE, rig.channel)

    for _ in range(2):
        with pytest.raises(PositionUnknown, match=r"was dropped") as error:
            rig.open()
    assert "channels forget" in error.value.hint
    assert rig.found() == pairs(0, 20)


def test_a_channel_of_another_log_or_program_is_left_alone(rig: Rig) -> None:
    writer = rig.open()
    writer.submit(rows(Span(0, 0)), Span(0, 0))
    writer.close()
    with pytest.raises(PositionUnknown, match="filled from capture log log, but this is log other"):
        rig.open("other")
    rig.emulator.storage.open(PIPE, rig.channel, EVENTS.name, "4711", discard=True)
    with pytest.raises(PositionUnknown, match="not one of ours"):
        rig.open()


def test_rows_that_snowflake_would_not_take_are_told_to_the_log_and_not_sent(rig: Rig) -> None:
    whole = rows(Span(0, 20))
    place = whole.schema.get_field_index("ratio")
    bad = [float("nan") if number == 3 else value for number, value in enumerate(whole["ratio"].to_pylist())]
    writer = rig.open()
    writer.submit(rows(Span(0, 0)), Span(0, 0))
    writer.submit(whole.set_column(place, "ratio", pa.array(bad, pa.float64())), Span(0, 20))
    settle(writer, 20)
    assert len(rig.found()) == len(whole) - 1
    (rejection,) = rig.rejections
    assert rejection.table == "events"
    assert [(row["capture_offset"], row["entity_ordinal"]) for row in rejection.rows] == [pairs(0, 20)[3]]


def test_rows_that_the_server_refuses_are_counted_and_their_place_is_named(rig: Rig) -> None:
    rig.emulator.faults.spoil["events"] = b'"capture_offset":13,"entity_ordinal":0'
    writer = rig.open()
    writer.submit(rows(Span(0, 0)), Span(0, 0))
    for start in (0, 10, 20):
        writer.submit(rows(Span(start, start + 10)), Span(start, start + 10))
        settle(writer, start + 10)
    state = rig.emulator.storage.channel(PIPE, rig.channel)
    assert (state.inserted, state.errors) == (len(pairs(0, 30)) - 1, 1)
    assert writer.rows_sent == state.inserted + state.errors
    (rejection,) = rig.rejections
    assert [(row["first"], row["last"]) for row in rejection.rows] == [("log/11+0.-1.w", "log/20")]
    writer.close()
    # A new process does not tell of it again.
    writer = rig.open()
    writer.submit(rows(Span(30, 33)), Span(30, 33))
    settle(writer, 33)
    assert len(rig.rejections) == 1


@pytest.mark.parametrize("is_restored", [True, False])
def test_a_channel_that_was_made_anew_counts_its_refused_rows_anew(rig: Rig, *, is_restored: bool) -> None:
    rig.emulator.faults.spoil["events"] = b'"entity_ordinal":3'
    writer = rig.open()
    writer.submit(rows(Span(0, 0)), Span(0, 0))
    writer.submit(rows(Span(0, 20)), Span(0, 20))
    settle(writer, 20)
    had = rig.emulator.storage.channel(PIPE, rig.channel)
    assert had.errors > 2
    rig.close()
    client = rig.sink._client(PIPE)
    client.drop_channel(rig.channel)
    if is_restored:  # as `thirdrail snowflake channels restore` does
        client.open_channel(rig.channel, had.token)[0].close(wait_for_flush=False)
    rig.sink = rig.new_sink(earlier=None if is_restored else 20)  # or files have filled the table since
    writer = rig.open()
    writer.submit(rows(Span(20, 26)), Span(20, 26))
    settle(writer, 26)
    assert 0 < rig.emulator.storage.channel(PIPE, rig.channel).errors < had.errors
    told = [place.count for rejection in rig.rejections for place in rejection.places]
    assert sum(told) == sum(ordinal == 3 for _, ordinal in pairs(0, 26))


def test_a_channel_that_says_success_and_does_not_move_is_said_and_goes_on_by_itself(
    tmp_path: Path, emulator: EmulatorServer
) -> None:
    rig = Rig(tmp_path, emulator, stuck_seconds=1.5)
    writer = rig.open()
    writer.submit(rows(Span(0, 0)), Span(0, 0))
    emulator.faults.is_frozen = True
    writer.submit(rows(Span(0, 30)), Span(0, 30))
    eventually(lambda: writer.settle() is not None and writer.trouble, 15, "it is noticed")
    assert "says SUCCESS" in writer.trouble
    assert writer.position == 0
    emulator.faults.is_frozen = False
    settle(writer, 30)
    assert writer.trouble == ""
    rig.close()
    assert rig.found() == pairs(0, 30)


def test_a_channel_with_rows_that_are_never_committed_is_taken_over_soon_and_they_are_sent_again(
    tmp_path: Path, emulator: EmulatorServer
) -> None:
    """Sixteen tables are opened one after the other, and all of it is one call."""
    rig = Rig(tmp_path, emulator, retry_seconds=60.0)
    writer = rig.open()
    writer.submit(rows(Span(0, 0)), Span(0, 0))
    emulator.faults.is_frozen = True
    writer.submit(rows(Span(0, 30)), Span(0, 30))
    eventually(lambda: emulator.storage.channel(PIPE, rig.channel).row_seq, 10, "the rows are accepted")
    began = time.monotonic()
    writer = rig.open()
    assert time.monotonic() - began < 14
    assert writer.position == 0
    emulator.faults.is_frozen = False
    writer.submit(rows(Span(0, 30)), Span(0, 30))
    settle(writer, 30)
    rig.close()
    assert rig.found() == pairs(0, 30)


def test_a_table_that_is_silent_for_an_hour_goes_on_where_it_was(tmp_path: Path) -> None:
    """An hour of the writer's clock, in which the client's token has expired many times over."""

    class Hour(SystemClock):
        ahead = 0.0

        def monotonic(self) -> float:
            return super().monotonic() + self.ahead

    clock = Hour()
    with emulated(tmp_path / "emulator", token_lifetime_s=2.0) as server:
        rig = Rig(tmp_path, server, retry_seconds=10.0)
        account, notes = account_of(rig.config, {}), ChannelNotes(tmp_path / "notes")
        rig.sink = StreamingSink.of(rig.config, account, clock, notes, rig.rejections.append)
        writer = rig.open()
        writer.submit(rows(Span(0, 0)), Span(0, 0))
        writer.submit(rows(Span(0, 20)), Span(0, 20))
        settle(writer, 20)
        for minute in range(60):
            clock.ahead += 60.0
            writer.submit(EVENTS.arrow_schema.empty_table(), Span(20 + minute, 21 + minute))
            assert writer.settle() == 21 + minute
            time.sleep(0.1)
        assert writer.trouble == ""
        writer.submit(rows(Span(80, 100)), Span(80, 100))
        settle(writer, 100)
        assert rig.found() == pairs(0, 20) + pairs(80, 100)
        rig.close()


def test_another_state_than_success_begins_anew(rig: Rig) -> None:
    writer = rig.open()
    writer.submit(rows(Span(0, 0)), Span(0, 0))
    rig.emulator.faults.is_frozen = True
    rig.emulator.storage.set_code(PIPE, rig.channel, "ERR_TABLE_DOES_NOT_EXIST")
    writer.submit(rows(Span(0, 9)), Span(0, 9))

    def look() -> bool:
        try:
            writer.settle()
        except ChannelInvalid as error:
            return "ERR_TABLE_DOES_NOT_EXIST" in str(error)
        return False

    eventually(look, 10, "the state is noticed")


def test_a_wrong_key_is_refused_with_what_to_do(tmp_path: Path, emulator: EmulatorServer) -> None:
    with emulated(tmp_path / "elsewhere") as other:
        rig = Rig(tmp_path, emulator)  # never opened
        object.__setattr__(
            rig,
            "config",
            type(rig.config)(
                **{
                    **{name: getattr(rig.config, name) for name in rig.config.__struct_fields__},
                    "private_key_path": str(other.key_file),
                }
            ),
        )
        rig.sink = rig.new_sink()
        with pytest.raises((SnowflakeRefused, SnowflakeUnavailable)):
            rig.open()


def test_a_server_that_is_away_is_an_error_within_the_time_for_tries(tmp_path: Path) -> None:
    with emulated(tmp_path / "gone") as server:
        rig = Rig(tmp_path, server, retry_seconds=1.0)
    began = time.monotonic()
    with pytest.raises(SnowflakeUnavailable):
        rig.open()
    assert time.monotonic() - began < 20


def _in_file_mode(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "tests.snowpipe_streaming.file_mode", str(folder), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
    return ended.stdout or ended.stderr


@pytest.mark.parametrize("how", ["large", "switched"])
def test_large_appends_and_what_the_server_wants_so_go_as_files_and_none_is_lost(tmp_path: Path, how: str) -> None:
    said = _in_file_mode(tmp_path, how)
    assert said.startswith("all "), said
    assert int(said.split()[1]) > 0, "nothing was uploaded"


def test_a_bucket_that_does_not_answer_is_an_error_within_the_time_for_tries(tmp_path: Path) -> None:
    """By itself the client would go on for good, and its channel say SUCCESS."""
    said = _in_file_mode(tmp_path, "hangs")
    assert said.startswith("ChannelInvalid "), said
    assert int(said.split()[1]) < 15
    assert "Fail to upload file" in said
    assert "SYSTEM$ALLOWLIST()" in said


def test_towards_an_emulator_no_batch_is_uploaded_however_large(rig: Rig) -> None:
    """The client would send it to the first address of S3 that it ever saw in this process."""
    writer = rig.open()
    writer.submit(rows(Span(0, 0)), Span(0, 0))
    writer.submit(rows(Span(0, 900), payload=6_000), Span(0, 900))  # 11 MB; a batch is some 2 MB
    settle(writer, 900, within_s=30)
    assert rig.found() == pairs(0, 900)
    assert not list((rig.emulator.folder / "stage").rglob("*.ndjson"))


def test_more_than_the_client_may_hold_waits_until_it_is_sent(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first pictures of all buses are 150 MB at once: what waits beyond 64 MB would be uploaded, which hung."""
    waits: list[float] = []
    real = SystemClock.sleep
    monkeypatch.setattr(SystemClock, "sleep", lambda clock, seconds: (waits.append(seconds), real(clock, seconds))[1])
    rig.emulator.faults.add(Fault(call="rows", delay_s=3.0))  # all of it would wait meanwhile
    writer = rig.open()
    writer.submit(rows(Span(0, 0)), Span(0, 0))
    for start in range(0, 90, 30):
        writer.submit(rows(Span(start, start + 30), payload=500_000), Span(start, start + 30))  # 30 MB
    assert len(waits) > 10, "nothing was waited for"
    settle(writer, 90, within_s=60)
    assert rig.found() == pairs(0, 90)
    assert not list((rig.emulator.folder / "stage").rglob("*.ndjson"))


@pytest.mark.parametrize("mutant", ["doubles", "loses"])
def test_an_emulator_that_breaks_its_promise_is_noticed(rig: Rig, mutant: str) -> None:
    """Else the tests of this folder would prove nothing."""
    setattr(rig.emulator.faults, mutant, True)
    if mutant == "doubles":
        rig.emulator.faults.add(Fault(call="rows", reset="after"))
        deliver(rig, 60, Random(1))
        assert rig.found() != pairs(0, 60)
    else:
        writer = rig.open()
        writer.submit(rows(Span(0, 0)), Span(0, 0))
        writer.submit(rows(Span(0, 60)), Span(0, 60))
        with pytest.raises(AssertionError, match="not at 60"):
            settle(writer, 60, within_s=3)


@pytest.mark.parametrize(("name", "uploads"), [("HOME", True), ("AWS_ENDPOINT_URL", False)])
def test_a_store_of_our_own_is_sent_nothing_of_snowflakes(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, name: str, *, uploads: bool
) -> None:
    """The client heeds the address of S3 that our own tables may have."""
    monkeypatch.setenv(name, "https://minio.example")
    account = replace(account_of(rig.config, {}), url="https://org-account.snowflakecomputing.com")
    given = properties(account, retry_seconds=5, buffer_ms=100)
    assert ("max_buffered_kb_for_rowset_mode" not in given) is uploads


def test_a_property_that_the_client_would_ignore_is_refused(tmp_path: Path, emulator: EmulatorServer) -> None:
    account = account_of(Rig(tmp_path, emulator).config, {})
    given = properties(account, retry_seconds=5, buffer_ms=100)
    with pytest.raises(ConfigError, match="max_client_lag"):
        connected(account, PIPE, given | {"max_client_lag": "1"})
    assert checked(given) == given
