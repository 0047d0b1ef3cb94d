"""Snowpipe Streaming into the emulator: rows per CPU-second of our process, and from appended to committed.

``python -m benchmarks.snowflake``. The emulator runs in a process of its own and without limits; CPU is that of this
process, the client's threads included. The ordinary way: ``to_pylist`` and the client's call with dicts.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from thirdrail.capturelog.memory import MemoryLog
from thirdrail.city.server import CityServer
from thirdrail.config.settings import Config, SnowflakeConfig
from thirdrail.emulator.looking import query
from thirdrail.model.feeds import BY_ID
from thirdrail.model.records import Poll, Settings, Span
from thirdrail.model.tables import STOP_TIME_UPDATES
from thirdrail.model.tokens import in_order
from thirdrail.observe.clock import SystemClock
from thirdrail.pipeline.processor import Processor
from thirdrail.pipeline.transform import Rows
from thirdrail.sinks.snowflake.account import account_of
from thirdrail.sinks.snowflake.notes import ChannelNotes
from thirdrail.sinks.snowpipe_streaming.client import connected, properties
from thirdrail.sinks.snowpipe_streaming.lines import chunks
from thirdrail.sinks.snowpipe_streaming.sink import StreamingSink
from thirdrail.sinks.snowpipe_streaming.writer import StreamingWriter

TABLE = STOP_TIME_UPDATES
FEED = "subway_1234567s"
PIPE = "STOP_TIME_UPDATES_PIPE"


def real_rows(captures: int) -> pa.Table:
    """Give stop time updates of the simulated city as the pipeline makes them, every row of every capture."""
    now = int(time.time())
    log, rows = MemoryLog(), Rows()
    log.append("0", [(Settings(history="every_poll"), None)])
    for number in range(captures):
        at = now + 30 * number
        city = CityServer(clock=lambda at=at: float(at))  # type: ignore[misc]
        body = city.answer(f"/{BY_ID[FEED].url.split('//', 1)[1].split('/', 1)[1]}").body
        log.append("0", [(Poll(feed_id=FEED, fetched_at=at * 1_000_000), body)])
    Processor(log, "0", 0, BY_ID).process(log.read("0", 0, captures + 1), rows)
    return pa.concat_tables(rows.tables[TABLE.name])


@contextmanager
def emulator(folder: Path, delay: float) -> Iterator[SnowflakeConfig]:
    """Give the way to an emulator in another process."""
    command = [sys.executable, "-m", "thirdrail", "emulator", "serve", "--until-eof", "--no-limits"]
    command += ["--data", str(folder), "--commit-delay", str(delay)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None  # noqa: S101 - a pipe
        assert process.stdout is not None  # noqa: S101 - a pipe
        process.stdout.readline()
        lines = []
        while not lines or not lines[-1].startswith("ca_file"):
            lines.append(process.stdout.readline())
        yield msgspec.convert(tomllib.loads("".join(lines)), Config).snowflake
        process.stdin.close()


def opened(folder: Path, config: SnowflakeConfig, deployment: str) -> StreamingWriter:
    """Give a writer of a deployment of its own, which is a channel of its own."""
    config = msgspec.structs.replace(config, deployment=deployment)
    sink = StreamingSink.of(
        config, account_of(config, {}), SystemClock(), ChannelNotes(folder / deployment), lambda _: None
    )
    writer = sink.open(TABLE, "log", "0")
    writer.submit(TABLE.arrow_schema.empty_table(), Span(0, 0))
    return writer


def until(writer: StreamingWriter, position: int) -> None:
    """Wait until it is durable."""
    while (writer.settle() or 0) < position:
        time.sleep(0.02)


def ours(folder: Path, config: SnowflakeConfig, rows: pa.Table, channels: int, number: int) -> float:
    """Send rows over so many channels; give the CPU seconds of this process."""
    writers = [opened(folder, config, f"ours{number}_{each}") for each in range(channels)]
    end = pc.max(rows["capture_offset"]).as_py() + 1
    began = time.process_time()
    with ThreadPoolExecutor(channels) as pool:
        list(pool.map(lambda writer: (writer.submit(rows, Span(0, end)), until(writer, end)), writers))
    used = time.process_time() - began
    for writer in writers:
        writer.close()
    return used


def line_bytes(rows: pa.Table) -> int:
    """Give the bytes of the rows as lines."""
    frame = in_order(TABLE, rows, None)
    return sum(chunk.bytes for chunk in chunks(frame))


def ordinary(config: SnowflakeConfig, rows: pa.Table, number: int) -> float:
    """Send rows as dicts, 10,000 a call; give the CPU seconds of this process."""
    account = account_of(config, {})
    client = connected(account, PIPE, properties(account, retry_seconds=60, buffer_ms=100))
    channel, _ = client.open_channel(f"ordinary-{number}")
    began = time.process_time()
    for start in range(0, len(rows), 10_000):
        channel.append_rows(rows.slice(start, 10_000).to_pylist(), None, str(start))
    last = str((len(rows) - 1) // 10_000 * 10_000)
    while channel.get_channel_status().latest_committed_offset_token != last:
        time.sleep(0.02)
    used = time.process_time() - began
    channel.close(wait_for_flush=False)
    client.close(wait_for_flush=False)
    return used


def throughput(captures: int, rounds: int) -> None:
    """Print rows and bytes per CPU-second, taking turns."""
    rows = real_rows(captures)
    size = len(rows)
    with tempfile.TemporaryDirectory() as name, emulator(Path(name) / "emulator", 0.0) as config:
        folder = Path(name)
        ways: dict[str, Callable[[int], tuple[float, int]]] = {
            "one channel": lambda number: (ours(folder, config, rows, 1, number), 1),
            "four channels": lambda number: (ours(folder, config, rows, 4, number + 100), 4),
            "to_pylist and dicts": lambda number: (ordinary(config, rows, number), 1),
        }
        best = dict.fromkeys(ways, 0.0)
        for number in range(rounds):
            for way, send in ways.items():
                used, channels = send(number)
                best[way] = max(best[way], size * channels / used)
        lines = query(folder / "emulator", "SELECT sum(inserted) AS n, count(*) AS c FROM channels").to_pylist()[0]
    width = line_bytes(rows) / size
    print(
        f"{size:,} stop time updates a channel, best of {rounds} rounds, {lines['n']:,} rows on {lines['c']} channels"
    )
    for way, rate in best.items():
        print(f"  {way:22s} {rate:10,.0f} rows, {rate * width / 1e6:6.1f} MB of lines a CPU-second")
    print(f"  one channel to the ordinary way: {best['one channel'] / best['to_pylist and dicts']:.1f}x")


def latency(delay: float, seconds: float) -> None:
    """Print how long rows take from appended to committed, as our writer learns it."""
    rows = real_rows(1)
    few = rows.slice(0, 300)
    taken = []
    with tempfile.TemporaryDirectory() as name, emulator(Path(name) / "emulator", delay) as config:
        writer, position = opened(Path(name), config, "latency"), 0
        waiting: list[tuple[int, float]] = []
        end_at = time.monotonic() + seconds
        while time.monotonic() < end_at or waiting:
            if time.monotonic() < end_at:
                position += 1
                offsets = pa.array([position - 1] * len(few), pa.int64())
                place = few.schema.get_field_index("capture_offset")
                writer.submit(few.set_column(place, few.schema.field(place), offsets), Span(position - 1, position))
                waiting.append((position, time.monotonic()))
            time.sleep(0.25)
            reached = writer.settle() or 0
            taken += [time.monotonic() - at for each, at in waiting if each <= reached]
            waiting = [(each, at) for each, at in waiting if each > reached]
        writer.close()
    taken.sort()
    half, most = taken[len(taken) // 2], taken[int(len(taken) * 0.99)]
    print(f"  emulator's delay {delay:.0f} s: {len(taken)} appends, half within {half:.2f} s, 99 % within {most:.2f} s")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--captures", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=30)
    given = parser.parse_args()
    throughput(given.captures, given.rounds)
    print("from appended to committed (seen by asking every quarter second):")
    for delay in (0.0, 5.0):
        latency(delay, given.seconds)


if __name__ == "__main__":
    main()
