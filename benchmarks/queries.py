"""What a query costs on all of New York at weekday-peak size, before and after maintenance.

``python -m benchmarks.queries [MINUTES]``. So many simulated minutes (default 30) of every feed are taken in, committed
every 10 s of simulated time. Each query runs in turn five times; CPU and wall are the medians, ``read`` is what the
process read from files (from the kernel's count), all from a warm page cache.
"""

import re
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.day import AT, polls
from thirdrail import app
from thirdrail.app.caring import care_for
from thirdrail.app.data_folder import SIMULATED, DataFolder
from thirdrail.city.server import SERVED
from thirdrail.config import Config, SpoolConfig
from thirdrail.model.tables import BY_NAME, TABLES
from thirdrail.observe.clock import SystemClock
from thirdrail.query.warehouse import Warehouse, open_warehouse
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.reader import pin

TURNS = 5
PREDICTIONS = "SELECT fetched_at, trip_key, stop_id, arrival_at FROM stop_time_updates WHERE {} ORDER BY fetched_at"
LAST_HOUR = f"to_timestamp({AT + 1_800}) - INTERVAL 1 HOUR"
CONFIG = Config(spool=SpoolConfig(retention_days=9, reserve_gb=0.0))


def queries(warehouse: Warehouse) -> dict[str, str]:
    """Give the queries, with a trip and a stop that are there."""
    one = "SELECT {0} FROM {1} WHERE route_id = '{2}' GROUP BY {0} ORDER BY count(*) DESC LIMIT 1"
    (trip,) = warehouse.sql(one.format("trip_key", "stop_time_updates", "A")).to_pylist()
    (stop,) = warehouse.sql(one.format("stop_id", "stop_time_updates", "A")).to_pylist()
    return {
        "a trip's predictions": PREDICTIONS.format(f"trip_key = '{trip['trip_key']}'"),
        "a stop's last hour": PREDICTIONS.format(f"stop_id = '{stop['stop_id']}' AND fetched_at > {LAST_HOUR}"),
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


def measured(warehouse: Warehouse, asked: dict[str, str]) -> dict[str, tuple[float, float, float, int]]:
    """Give CPU (ms), wall (ms), megabytes read and rows of each query."""
    found: dict[str, list[tuple[float, float, float, int]]] = {name: [] for name in asked}
    for _ in range(TURNS):
        for name, query in asked.items():
            cpu, wall, read = time.process_time(), time.perf_counter(), read_so_far()
            rows = len(warehouse.sql(query))
            spent = (time.process_time() - cpu) * 1e3, (time.perf_counter() - wall) * 1e3
            found[name].append((*spent, (read_so_far() - read) / 1e6, rows))
    return {name: tuple(map(median, zip(*each, strict=True))) for name, each in found.items()}  # type: ignore[misc]


class _Time(SystemClock):
    at = AT

    def now(self) -> int:
        return self.at * 1_000_000


def main() -> None:
    """Run the benchmark."""
    minutes = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    with tempfile.TemporaryDirectory() as name:
        folder, clock = Path(name) / "data", _Time()
        with app.writing(folder, CONFIG, clock, kinds=(SIMULATED,)) as work:
            work.note_settings()
            for end, records in polls(list(SERVED), minutes):
                clock.at = end
                for start in range(0, 30, 10):
                    work.append(
                        [
                            each
                            for each in records
                            if end - 30 + start <= each[0].fetched_at // 1_000_000 < end - 20 + start
                        ]
                    )
                    work.drain(app.Totals())
        catalog = open_catalog(folder, create=False)
        warehouse = open_warehouse(catalog)
        asked = queries(warehouse)
        show("as it was written", catalog, measured(warehouse, asked))
        began = time.process_time()
        list(care_for(DataFolder.existing(folder, SIMULATED), CONFIG, clock))
        print(f"\nmaintenance: {time.process_time() - began:.1f} s of CPU")
        show("after maintenance", catalog, measured(warehouse, asked))
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
