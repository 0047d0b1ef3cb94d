"""Rows per CPU-second from the log to the commit, against the ordinary way; memory, flat cost, GIL.

Every ratio is of one run, in which the candidates take turns. CPU is ``process_time`` (all threads, this
process alone). Default configuration, fsync on. ``--quick`` takes smaller inputs.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

from benchmarks.kinds import kinds
from benchmarks.ordinary import ordinary
from tests.oracle.synthetic import bus_message, subway_message
from thirdrail.capturelog.day_files import PARTITION
from thirdrail.capturelog.spool import Spool
from thirdrail.decode import gtfs_realtime
from thirdrail.decode.formats import DECODERS
from thirdrail.decode.two_phase import Seen
from thirdrail.model.feeds import GTFS_REALTIME, Feed
from thirdrail.model.records import Poll, Settings
from thirdrail.normalise.formats import NORMALISERS
from thirdrail.observe.clock import SystemClock
from thirdrail.pipeline import loop, transform
from thirdrail.pipeline.loop import Pipeline
from thirdrail.pipeline.workers import Team
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.sink import IcebergSink, IcebergWriter

ROUNDS = 3
FEEDS = {
    "subway": Feed(id="subway", family="subway", url="", meaning=""),
    "bus": Feed(id="bus", family="bus", url="", meaning=""),
}
MESSAGES = {"subway": 40, "bus": 6}
EVERY_S = 30
WANTED = {"subway": 250_000, "bus": 400_000}


def bodies(kind: str) -> list[bytes]:
    """Give successive messages, 30 s apart, a third of whose predictions move."""
    make = subway_message if kind == "subway" else bus_message
    return [make(0, later=number * EVERY_S) for number in range(MESSAGES[kind])]


@contextmanager
def steps(into: dict[str, float]) -> Iterator[None]:
    """Split CPU by step, by wrapping the function of each."""
    wrapped = [
        (transform, "gate", "check"),
        (transform, "changes", "keep changes"),
        (transform, "with_content_hash", "keep changes"),
        (transform, "to_arrow", "assemble"),
        (IcebergWriter, "commit", "commit"),
        (loop.Pipeline, "_read", "read log"),
    ]
    form = GTFS_REALTIME
    decoder, normaliser = DECODERS[form], NORMALISERS[form]
    DECODERS[form] = replace(decoder, decode=timed(decoder.decode, "decode", into))  # type: ignore[arg-type]
    NORMALISERS[form] = timed(normaliser, "normalise", into)  # type: ignore[assignment]
    originals = []
    for owner, name, step in wrapped:
        original = getattr(owner, name)
        originals.append((owner, name, original))
        setattr(owner, name, timed(original, step, into))
    try:
        yield
    finally:
        DECODERS[form], NORMALISERS[form] = decoder, normaliser
        for owner, name, original in originals:
            setattr(owner, name, original)


def timed(call: Callable[..., object], step: str, into: dict[str, float]) -> Callable[..., object]:
    """Wrap a call so that its CPU is added to a step."""

    def wrapper(*arguments: object, **named: object) -> object:
        began = time.process_time()
        try:
            return call(*arguments, **named)
        finally:
            into[step] += time.process_time() - began

    return wrapper


def ours(kind: str, history: str, messages: list[bytes], into: dict[str, float]) -> tuple[int, int, float]:
    """Carry the messages from a spool into tables; give rows in, rows written, CPU seconds of the pipeline."""
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        log = Spool.open(Path(folder) / "spool", clock, writable=True)
        log.append(PARTITION, [(Settings(history=history), None)])
        for number, body in enumerate(messages):
            poll = Poll(feed_id=kind, fetched_at=(1_780_000_005 + number * EVERY_S) * 1_000_000)
            log.append(PARTITION, [(poll, body)])
        pipeline = Pipeline(
            log, IcebergSink(open_catalog(Path(folder), create=True), clock), PARTITION, clock, feeds=FEEDS
        )
        rows_in = rows_out = 0
        with steps(into):
            pipeline.open()
            began = time.process_time()
            while (result := pipeline.step()) is not None:
                rows_in += result.decoded
                rows_out += sum(result.written.values())
        spent = time.process_time() - began
        pipeline.close()
        log.close()
    return rows_in, rows_out, spent


def plain(messages: list[bytes]) -> tuple[int, float]:
    """Carry the messages the ordinary way; give rows and CPU seconds."""
    with tempfile.TemporaryDirectory() as folder:
        catalog = open_catalog(Path(folder), create=True)
        began = time.process_time()
        return ordinary(messages, catalog), time.process_time() - began


def speed(kind: str) -> None:
    """Print rows per CPU-second of both histories and of the ordinary way, in turn."""
    messages = bodies(kind)
    best: dict[str, float] = defaultdict(float)
    split: dict[str, dict[str, float]] = {}
    written: dict[str, str] = {}
    for _ in range(ROUNDS):
        for history in ("changes", "every_poll"):
            into: dict[str, float] = defaultdict(float)
            rows_in, rows_out, spent = ours(kind, history, messages, into)
            written[history] = f"{rows_in:,} rows in, {rows_out:,} written"
            if rows_in / spent > best[history]:
                best[history], split[history] = rows_in / spent, {s: t / spent for s, t in into.items()}
        few = messages if kind == "subway" else messages[:2]
        rows, spent = plain(few)
        best["ordinary"] = max(best["ordinary"], rows / spent)
    size = sum(map(len, messages)) / len(messages)
    plainly = best["ordinary"]
    print(f"\n{kind}: {len(messages)} messages of {size / 1e6:.2f} MB; {plainly:,.0f} rows/CPU-s the ordinary way")
    for history in ("changes", "every_poll"):
        ratio, wanted = best[history] / best["ordinary"], WANTED[kind]
        print(
            f"  {history:11s}{best[history]:>10,.0f} rows/CPU-s ({best[history] / wanted:.2f} of {wanted:,}), "
            f"{ratio:.1f}x the ordinary way; {written[history]}"
        )
        print("    " + ", ".join(f"{step} {share:.0%}" for step, share in split[history].items()))


def workers() -> None:
    """Print rows per second of wall time with one process and with two workers, in turn; half subway, half bus rows."""
    bus = Feed(id="bus_trip_updates", family="bus", url="", meaning="")
    feeds = {"subway": FEEDS["subway"], bus.id: bus}
    best: dict[int, float] = defaultdict(float)
    for turn in range(2 * ROUNDS):
        count = 1 + turn % 2
        with tempfile.TemporaryDirectory() as place:
            spool, open_sink = Path(place) / "spool", partial(_iceberg, Path(place))
            log = Spool.open(spool, SystemClock(), writable=True)
            team = Team(count, partial(Spool.open, spool, SystemClock(), writable=False), open_sink)
            pipeline = Pipeline(
                log, open_sink(), PARTITION, SystemClock(), feeds=feeds, team=team if count > 1 else None
            )
            for half in (range(8), range(8, 56)):  # in the first, processes begin and libraries load
                log.append(PARTITION, [_mixed(number) for number in half])
                began, rows = time.monotonic(), 0
                while (result := pipeline.step()) is not None:
                    rows += result.decoded
            best[count] = max(best[count], rows / (time.monotonic() - began))
            pipeline.close()
            log.close()
    ratio = f"{best[2] / best[1]:.2f}x"
    print(f"\nworkers, wall time: one process {best[1]:,.0f} rows/s, two workers {best[2]:,.0f} rows/s: {ratio}")


@lru_cache(maxsize=64)
def _mixed(number: int) -> tuple[Poll, bytes]:
    """Give a poll: each fourth is of the buses, with as many rows as the three of the subway."""
    later, is_bus = number * EVERY_S, number % 4 == 0
    body = bus_message(0, 2_000, later=later) if is_bus else subway_message(0, 900, later=later)
    feed_id = "bus_trip_updates" if is_bus else "subway"
    return Poll(feed_id=feed_id, fetched_at=(1_780_000_005 + later) * 1_000_000), body


def _iceberg(folder: Path) -> IcebergSink:
    return IcebergSink(open_catalog(folder, create=True), SystemClock())


def two_phase() -> None:
    """Print the CPU of decoding a bus-sized message of which about a third moved, with and without the one before."""
    messages = bodies("bus")
    seen = Seen()
    gtfs_realtime.decode([messages[0]], seen)
    best = {"full": 9.9, "two-phase": 9.9}
    for _ in range(ROUNDS):
        for message in messages:
            for name, memory_of in (("full", None), ("two-phase", seen)):
                began = time.process_time()
                gtfs_realtime.decode([message], memory_of)
                best[name] = min(best[name], time.process_time() - began)
    share = seen.decoded / (seen.decoded + seen.reused)
    ratio = f"{best['full'] / best['two-phase']:.1f}x"
    spent = ", ".join(f"{name} {seconds * 1e3:.0f} ms" for name, seconds in best.items())
    print(f"\ndecode of a bus-sized message, {share:.0%} of its stop times new: {spent}: {ratio}")


def longest_call() -> None:
    """Print the longest CPU time of one call of the decoder on a bus-sized message."""
    body = bus_message(0)
    handler = gtfs_realtime._HANDLER  # noqa: SLF001 - measured from outside
    longest: dict[str, float] = defaultdict(float)

    def watch(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*arguments: object) -> object:
            began = time.thread_time()
            found = call(*arguments)
            longest[name] = max(longest[name], time.thread_time() - began)
            return found

        return wrapper

    for name in ("wire_refusal", "flatten", "split"):
        setattr(gtfs_realtime, name, watch(name, getattr(gtfs_realtime, name)))
    gtfs_realtime._HANDLER = type(  # noqa: SLF001 - as above
        "H", (), {"list_to_record_batch": staticmethod(watch("ptars", handler.list_to_record_batch))}
    )
    gtfs_realtime.decode([body])
    print(
        "\nlongest call on a bus-sized message, ms: " + ", ".join(f"{n} {s * 1e3:.1f}" for n, s in longest.items()),
    )


def flat(commits: int) -> None:
    """Print the CPU of a commit of all tables' worth of one table, early and late."""
    from tests.simulation.test_commit import EVENTS, rows  # noqa: PLC0415
    from thirdrail.model.records import Span  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        writer = IcebergSink(open_catalog(Path(folder), create=True), SystemClock()).open(EVENTS, "log", "0")
        spent = []
        for number in range(commits):
            batch, span = rows(Span(number * 3, number * 3 + 3)), Span(number * 3, number * 3 + 3)
            began = time.process_time()
            writer.commit(batch, span)
            spent.append(time.process_time() - began)
        early, late = (sorted(spent[at - 25 : at + 25])[25] for at in (50, commits - 25))
        files = len(list((Path(folder) / "warehouse" / "mta" / "events" / "metadata").iterdir()))
    ratio = f"{late / early:.2f}x"
    print(f"\ncommit CPU, median of 50: {early * 1e3:.1f} ms at the 50th, {late * 1e3:.1f} ms at {commits:,}: {ratio}")
    print(f"  metadata files on disk (nothing is swept within its half hour): {files:,}")


def memory(kind: str) -> None:
    """Print the peak resident memory of a process of its own that carries one kind, messages read from files."""
    with tempfile.TemporaryDirectory() as folder:
        for number, body in enumerate(bodies(kind)):
            (Path(folder) / f"{number:04d}").write_bytes(body)
        measured(kind, folder)


def measured(kind: str, folder: str) -> None:
    """Run the measuring process and print what it says."""
    child = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--memory", kind, folder], check=True, capture_output=True, text=True
    )
    found = json.loads(child.stdout.splitlines()[-1])
    print(
        f"\npeak resident memory, {kind}, changes: {found['peak_mb']:,} MB; {found['before_mb']:,} MB before it began"
    )


def measure_memory(kind: str, folder: str) -> None:
    """Carry the messages of a folder and print the peak."""
    loop.give_memory_back()
    messages = [path.read_bytes() for path in sorted(Path(folder).iterdir())]
    before = peak_mb()
    ours(kind, "changes", messages, defaultdict(float))
    print(json.dumps({"peak_mb": peak_mb(), "before_mb": before}))


def peak_mb() -> int:
    """Give this process's peak; ``getrusage`` would give that of the process which started it, if higher."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1000


def main() -> None:
    """Run what was asked for."""
    loop.give_memory_back()
    if "--memory" in sys.argv:
        measure_memory(*sys.argv[-2:])
        return
    if "--quick" in sys.argv:
        MESSAGES.update(subway=10, bus=2)
    for kind in ("subway", "bus"):
        speed(kind)
    kinds()
    for kind in ("subway", "bus"):
        memory(kind)
    flat(300 if "--quick" in sys.argv else 2_000)
    two_phase()
    workers()
    longest_call()


if __name__ == "__main__":
    main()
