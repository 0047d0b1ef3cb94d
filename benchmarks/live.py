"""A live run against the simulated city: freshness seen by a reader in another process, CPU and memory of the run.

``python -m benchmarks.live [SECONDS] [COMMIT_INTERVAL]… [--full]``; eight subway feeds at weekday-peak size, or all of
New York's, at their declared intervals, fsync on.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from thirdrail import app
from thirdrail.app.running import Run
from thirdrail.city.lines import ROUTES
from thirdrail.city.server import SERVED
from thirdrail.config.feeds import polled
from thirdrail.config.settings import Config
from thirdrail.errors import NoDataYet
from thirdrail.model.feeds import Feed
from thirdrail.model.tables import FEED_MESSAGES, PICTURE_TABLES
from thirdrail.observe.clock import SystemClock
from thirdrail.sinks.iceberg.sink import IcebergWriter

LOOK_EVERY_S = 0.05
FULL = "--full"
_FEEDS = list(SERVED if FULL in sys.argv else ROUTES)
WRITTEN = [f"{table.name}_written" for table in PICTURE_TABLES]


def live(seconds: float, interval: float) -> None:
    """Print freshness, CPU and memory of one run."""
    with tempfile.TemporaryDirectory() as folder, _city() as address:
        data = Path(folder) / "data"
        command = [sys.executable, "-m", "benchmarks.live", "--child", address, str(data), str(seconds), str(interval)]
        command += [FULL] if FULL in sys.argv else []
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            ages, rows = _watch(data, child)
            facts = json.loads(child.stdout.read() if child.stdout else "{}")
    order = pc.sort_indices(ages)
    ages, rows = ages.take(order), rows.take(order)
    total = pc.sum(rows).as_py()
    reached = pc.cumulative_sum(rows)
    p50, p99 = (ages[pc.index(pc.greater_equal(reached, total * share), True).as_py()].as_py() for share in (0.5, 0.99))
    within = [pc.sum(pc.if_else(pc.less_equal(ages, interval + more), rows, 0)).as_py() / total for more in (1, 2)]
    print(f"commit interval {interval:g} s, {seconds:.0f} s: {len(ages)} captures, {total:,} rows written")
    print(f"  queryable within interval + 1 s: {within[0]:.2%}, + 2 s: {within[1]:.2%}")
    print(f"  half within {p50:.2f} s, 99 % within {p99:.2f} s")
    print(
        f"  CPU {facts['cpu_s'] / facts['wall_s']:.1%} of a core, of which commits "
        f"{facts['commit_cpu_s'] / facts['wall_s'] * 60:.2f} s a minute; peak memory {facts['peak_mb']:.0f} MB"
    )


def _watch(data: Path, child: "subprocess.Popen[str]") -> tuple[pa.Array, pa.Array]:
    """Give, for every capture with rows, its age when it could first be queried (s, from receipt) and its rows."""
    ages: list[pa.Array] = []
    rows: list[pa.Array] = []
    position = following = 0
    snapshot = None
    while child.poll() is None:
        time.sleep(LOOK_EVERY_S)
        try:
            pinned = app.pinned(app.DataFolder.existing(data), FEED_MESSAGES)
        except NoDataYet:
            continue
        if pinned.snapshot_id == snapshot:
            continue
        snapshot, now = pinned.snapshot_id, time.time()
        for found in pinned.scan(["capture_offset", "received_at", *WRITTEN], position, None):
            written = pa.array([0] * len(found), pa.int64())
            for name in WRITTEN:
                written = pc.add(written, pc.fill_null(found.column(name).combine_chunks().cast(pa.int64()), 0))
            received = pc.divide(found.column("received_at").combine_chunks().cast(pa.int64()).cast(pa.float64()), 1e6)
            ages.append(pc.subtract(now, received))
            rows.append(written)
            newest = pc.max(found.column("capture_offset")).as_py()
            following = max(following, position if newest is None else newest + 1)
        position = following
    return pa.concat_arrays(ages), pa.concat_arrays(rows)


@contextmanager
def _city() -> Iterator[str]:
    command = [sys.executable, "-m", "thirdrail", "city", "--until-eof"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as city:
        yield city.stdout.readline().strip()  # type: ignore[union-attr]
        city.stdin.close()  # type: ignore[union-attr]


def _child(address: str, data: Path, seconds: float, interval: float) -> None:
    """Run, with the CPU of commits taken apart, and print the facts as JSON."""
    spent = 0.0
    commit = IcebergWriter.commit

    def timed(*arguments: object, **named: object) -> None:
        nonlocal spent
        began = time.thread_time()
        commit(*arguments, **named)  # type: ignore[arg-type]
        spent += time.thread_time() - began

    IcebergWriter.commit = timed  # type: ignore[method-assign, assignment]
    clock, config = SystemClock(), Config(commit_interval_seconds=interval)
    began = time.monotonic()
    with app.writing(data, config, clock) as work:
        run = Run(
            work,
            tuple(_rebased(feed, address) for feed in polled(config, _FEEDS, environment={})),
            clock,
            lambda _text: None,
        )
        stopping = threading.Event()
        threading.Timer(seconds, stopping.set).start()
        run.until_stopped(stopping, lambda: None)
    wall = time.monotonic() - began
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    used = os.times()
    facts = {
        "wall_s": wall,
        "cpu_s": used.user + used.system,
        "commit_cpu_s": spent,
        "peak_mb": int(peak.split()[1]) / 1000,
    }
    print(json.dumps(facts))


def _rebased(feed: Feed, address: str) -> Feed:
    return msgspec.structs.replace(feed, url=f"{address}/{feed.url.split('//', 1)[1].split('/', 1)[1]}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _child(sys.argv[2], Path(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]))
    else:
        numbers = [float(each) for each in sys.argv[1:] if each != FULL]
        for each in numbers[1:] or [5.0, 1.0]:
            live(numbers[0] if numbers else 120.0, each)
