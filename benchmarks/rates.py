"""Rows a minute and freshness through either method of Snowflake, live: the simulated city, every row of every poll.

``python -m benchmarks.rates [--seconds S] [--method M]… [--delay S]… [--city subway|full] [--json]``. The emulator and
the city run in processes of their own. Rows of ``stop_time_updates`` count as loaded, and captures as listed in
``feed_messages`` (which comes last), when we learn it.
"""

import argparse
import json
import tempfile
import threading
import time
from pathlib import Path

import msgspec

from benchmarks.live import _city, _rebased
from benchmarks.snowflake import emulator
from thirdrail import app
from thirdrail.app.running import Run
from thirdrail.app.writing import SNOWFLAKE
from thirdrail.capturelog.day_files import PARTITION
from thirdrail.city.lines import ROUTES
from thirdrail.city.server import SERVED
from thirdrail.cli.rehearse import compared_folders
from thirdrail.config.feeds import polled
from thirdrail.config.settings import Config, SnowflakeConfig, SpoolConfig
from thirdrail.emulator.looking import query
from thirdrail.model.records import Poll
from thirdrail.model.tables import STOP_TIME_UPDATES
from thirdrail.observe.clock import SystemClock

CITIES = {"subway": list(ROUTES), "full": list(SERVED)}
METHODS, DELAYS = ("snowpipe_streaming", "snowpipe"), (0.0, 5.0, 60.0)
_OWN_SHARE = """
SELECT quantile_cont(received_ms / 1000 - epoch(fetched_at), [0.5, 0.99]) AS own
FROM stop_time_updates AS s JOIN submitted AS f ON f.path = s._channel AND f.tbl = 'stop_time_updates'
"""


def measured(method: str, delay: float, seconds: float, feed_ids: list[str]) -> dict[str, object]:
    """Run for so long, and give what was measured."""
    with tempfile.TemporaryDirectory() as name, _city() as address:
        folder = Path(name)
        with emulator(folder / "emulator", delay) as way:
            snowflake = msgspec.structs.replace(way, ingestion_method=method)
            loaded, listed, rows = _run(folder / "data", snowflake, address, seconds, feed_ids)
            same = all(each.is_same for each in compared_folders(folder / "data", folder / "emulator"))
        own = query(folder / "emulator", _OWN_SHARE)["own"][0].as_py() if method == "snowpipe" else None
    return {
        "method": method,
        "delay_s": delay,
        "seconds": seconds,
        "rows": rows,
        "rows_per_minute": round(rows / seconds * 60),
        "captures": len(loaded),
        "loaded_s": _half_and_most(loaded),
        "listed_s": _half_and_most(listed),
        "submitted_s": None if own is None else tuple(round(each, 2) for each in own),
        "same_rows": same,
    }


def _half_and_most(ages: list[float]) -> tuple[float, float]:
    """Give the 50th and the 99th percentile."""
    ages = sorted(ages)
    return round(ages[len(ages) // 2], 2), round(ages[int(len(ages) * 0.99)], 2)


def _run(
    data: Path, snowflake: SnowflakeConfig, address: str, seconds: float, feed_ids: list[str]
) -> tuple[list[float], list[float], int]:
    """Give the seconds from each body to its rows being loaded and to its being listed, and how many rows there are."""
    clock, stopping = SystemClock(), threading.Event()
    config = Config(
        sinks=("iceberg", SNOWFLAKE), snowflake=snowflake, history="every_poll", spool=SpoolConfig(reserve_gb=0.0)
    )
    reached: list[tuple[int, int, float]] = []
    with app.writing(data, config, clock) as work:
        feeds = tuple(_rebased(feed, address) for feed in polled(config, feed_ids, environment={}))
        run = Run(work, feeds, clock, lambda _text: None)
        pipeline = next(each.pipeline for each in run.carriers if each.name == SNOWFLAKE)

        def rows_at() -> int:
            return pipeline.positions.get(STOP_TIME_UPDATES.name, 0)

        def watch() -> None:
            while not stopping.wait(0.1) or pipeline.settled < work.log.end(PARTITION):
                reached.append((rows_at(), pipeline.settled, clock.now() / 1e6))
                if stopping.is_set():
                    time.sleep(0.1)

        watching = threading.Thread(target=watch)
        watching.start()
        threading.Timer(seconds, stopping.set).start()
        run.until_stopped(stopping, lambda: None)
        totals = app.Totals()
        work.drain(totals)
        end = work.log.end(PARTITION)
        reached.append((end, end, clock.now() / 1e6))
        watching.join(120)
        entries = [each for each in work.log.headers(0, 1_000_000) if isinstance(each.record, Poll)]
    loaded, listed = [], []
    for entry in entries:
        at = entry.record.fetched_at / 1e6  # type: ignore[union-attr]
        loaded.append(next(moment for position, _, moment in reached if position > entry.offset) - at)
        listed.append(next(moment for _, position, moment in reached if position > entry.offset) - at)
    counted = query(data.parent / "emulator", "SELECT count(*) AS n FROM stop_time_updates")["n"][0].as_py()
    return loaded, listed, int(counted)


def main() -> None:
    """Measure every method with every delay."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--method", action="append", choices=METHODS)
    parser.add_argument("--delay", action="append", type=float)
    parser.add_argument("--city", choices=tuple(CITIES), default="subway")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    for delay in given.delay or DELAYS:
        for method in given.method or METHODS:
            found = measured(method, delay, given.seconds, CITIES[given.city])
            if given.json:
                print(json.dumps(found), flush=True)
                continue
            print(
                f"{method}, {given.city}, Snowflake's delay {delay:g} s, {given.seconds:g} s: "
                f"{found['rows_per_minute']:,} stop time updates a minute; half and 99 % from body to loaded "
                f"{found['loaded_s']}, to listed in feed_messages {found['listed_s']}, to insertFiles accepted "
                f"{found['submitted_s']} s; "
                f"{'the same rows as Iceberg' if found['same_rows'] else 'OTHER ROWS THAN ICEBERG'}",
                flush=True,
            )


if __name__ == "__main__":
    main()
