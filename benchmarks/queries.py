"""What a query costs on all of New York at weekday-peak size, before and after maintenance.

``python -m benchmarks.queries [--minutes 30] [--commit-every 10] [--turns 5] [--folder DIR]``. So many simulated
minutes of every feed, made in a process of its own, are taken in and committed every so many seconds of simulated time.
Each query runs in turn a few times; CPU and wall are the medians, ``read`` is what the process read from files (from
the kernel's count). A folder that is named stays.
"""

import argparse
import re
import tempfile
import time
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.queues import Queue
from pathlib import Path
from statistics import median

from benchmarks.day import AT, polls
from thirdrail import app
from thirdrail.app.caring import care_for
from thirdrail.app.data_folder import SIMULATED, DataFolder
from thirdrail.city.server import SERVED
from thirdrail.config.settings import Config, SpoolConfig
from thirdrail.model.records import Poll
from thirdrail.model.tables import BY_NAME, TABLES
from thirdrail.observe.clock import SystemClock
from thirdrail.query.warehouse import Warehouse, open_warehouse
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.reader import pin

PREDICTIONS = "SELECT fetched_at, trip_key, stop_id, arrival_at FROM stop_time_updates WHERE {} ORDER BY fetched_at"
Made = tuple[int, list[tuple[Poll, bytes]]]
"""As `polls` gives it."""

CONFIG = Config(spool=SpoolConfig(retention_days=9, reserve_gb=0.0))


def queries(warehouse: Warehouse, end: int) -> dict[str, str]:
    """Give the queries, with a trip and a stop that are there; ``end``: of what was taken in, POSIX seconds."""
    hour = f"to_timestamp({end}) - INTERVAL 1 HOUR"
    one = "SELECT {0} FROM {1} WHERE route_id = '{2}' GROUP BY {0} ORDER BY count(*) DESC LIMIT 1"
    (trip,) = warehouse.sql(one.format("trip_key", "stop_time_updates", "A")).to_pylist()
    (stop,) = warehouse.sql(one.format("stop_id", "stop_time_updates", "A")).to_pylist()
    return {
        "a trip's predictions": PREDICTIONS.format(f"trip_key = '{trip['trip_key']}'"),
        "a stop's last hour": PREDICTIONS.format(f"stop_id = '{stop['stop_id']}' AND fetched_at > {hour}"),
        "a route's day": "SELECT trip_key, stop_id, min(arrival_at), max(arrival_at), count(*) FROM stop_time_updates "
        "WHERE route_id = 'A' GROUP BY ALL",
        "every prediction now": "SELECT count(*) FROM predictions_now",
        "buses of a route now": "SELECT count(*) FROM vehicle_positions_as_of('infinity'::TIMESTAMPTZ) "
        "WHERE route_id = 'M15'",
        "how feeds fare": "SELECT * FROM feed_freshness",
    }


def read_so_far() -> int:
    """Give the bytes that this process has read."""
    return int(re.findall(r"rchar: (\d+)", Path("/proc/self/io").read_text())[0])


def measured(warehouse: Warehouse, asked: dict[str, str], turns: int) -> dict[str, tuple[float, float, float, int]]:
    """Give CPU (ms), wall (ms), megabytes read and rows of each query."""
    found: dict[str, list[tuple[float, float, float, int]]] = {name: [] for name in asked}
    for _ in range(turns):
        for name, query in asked.items():
            cpu, wall, read = time.process_time(), time.perf_counter(), read_so_far()
            rows = len(warehouse.sql(query))
            spent = (time.process_time() - cpu) * 1e3, (time.perf_counter() - wall) * 1e3
            found[name].append((*spent, (read_so_far() - read) / 1e6, rows))
    return {name: tuple(map(median, zip(*each, strict=True))) for name, each in found.items()}


class _Time(SystemClock):
    at = AT

    def now(self) -> int:
        return self.at * 1_000_000


def _make(queue: "Queue[Made | None]", minutes: int) -> None:
    for each in polls(list(SERVED), minutes):
        queue.put(each)
    queue.put(None)


def made_ahead(minutes: int) -> Iterator[Made]:
    """Give ``polls`` of all feeds from a process that makes them beside this one."""
    context = get_context("spawn")
    queue: Queue[Made | None] = context.Queue(maxsize=4)
    maker = context.Process(target=_make, args=(queue, minutes), daemon=True)
    maker.start()
    while (each := queue.get()) is not None:
        yield each
    maker.join()


def take_in(folder: Path, clock: _Time, minutes: int, commit_every_s: int) -> None:
    """Write the tables, and never merge."""
    began = time.process_time()
    with app.writing(folder, CONFIG, clock, kinds=(SIMULATED,)) as work:
        work.note_settings()
        waiting: list[tuple[Poll, bytes]] = []
        committed = AT
        for end, records in made_ahead(minutes):
            waiting += records
            while committed + commit_every_s <= end:
                committed += commit_every_s
                clock.at = committed
                due = [each for each in waiting if each[0].fetched_at // 1_000_000 < committed]
                waiting = [each for each in waiting if each[0].fetched_at // 1_000_000 >= committed]
                work.append(list(due))
                work.drain(app.Totals())
            if (end - AT) % 3_600 == 0:
                print(f"  {(end - AT) // 3_600} h: {time.process_time() - began:,.0f} s of CPU", flush=True)


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.queries")
    options.add_argument("--minutes", type=int, default=30)
    options.add_argument("--commit-every", type=int, default=10, help="seconds of simulated time")
    options.add_argument("--turns", type=int, default=5, help="of every query")
    options.add_argument("--folder", type=Path, help="a new one; left as it is in the end")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        compare(asked.folder or Path(name) / "data", asked.minutes, asked.commit_every, asked.turns)


def compare(folder: Path, minutes: int, commit_every_s: int, turns: int) -> None:
    """Print what each query costs before and after maintenance."""
    clock = _Time()
    take_in(folder, clock, minutes, commit_every_s)
    clock.at = AT + 60 * minutes
    catalog = open_catalog(folder, create=False)
    warehouse = open_warehouse(catalog)
    asked = queries(warehouse, clock.at)
    show("as it was written", catalog, measured(warehouse, asked, turns))
    began = time.process_time()
    for report in care_for(DataFolder.existing(folder, SIMULATED), CONFIG, clock):
        if report.trouble:
            print(f"  trouble: {report.trouble}")
    print(f"\nmaintenance: {time.process_time() - began:.1f} s of CPU", flush=True)
    show("after maintenance", catalog, measured(warehouse, asked, turns))
    print("\nbytes by row, after maintenance")
    for table in TABLES:
        pinned = pin(catalog, BY_NAME[table.name])
        if pinned.rows:
            print(f"  {table.name:26s}{pinned.rows:>12,} rows{pinned.bytes / pinned.rows:>9.1f} B")


def show(title: str, catalog: object, found: dict[str, tuple[float, float, float, int]]) -> None:
    """Print a table."""
    stops = pin(catalog, BY_NAME["stop_time_updates"])  # type: ignore[arg-type]
    print(f"\n{title}: stop_time_updates {stops.rows:,} rows, {len(stops.files)} files, {stops.bytes / 1e6:.1f} MB")
    print(f"  {'query':24s}{'CPU ms':>9s}{'wall ms':>9s}{'MB read':>9s}{'rows':>10s}")
    for name, (cpu, wall, read, rows) in found.items():
        print(f"  {name:24s}{cpu:>9.0f}{wall:>9.0f}{read:>9.2f}{rows:>10,.0f}", flush=True)


if __name__ == "__main__":
    main()
