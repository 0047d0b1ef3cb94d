"""A day of all New York at weekday-peak size: bytes of captures, rows and bytes of tables, by family and history.

``python -m benchmarks.day [MINUTES]``. So many simulated minutes (default 30: two 15-minute slots, each with its full
picture) are taken in at each feed's own interval, committed every 30 s of simulated time, and scaled to 24 hours: the
city is as busy at every hour. Nothing is compacted.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from thirdrail import app
from thirdrail.app.data_folder import SIMULATED
from thirdrail.city.messages import body
from thirdrail.city.server import SERVED
from thirdrail.config.settings import Config, SpoolConfig
from thirdrail.model.feeds import BY_ID
from thirdrail.model.records import Poll
from thirdrail.model.tables import TABLES
from thirdrail.observe.clock import SystemClock
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.reader import pin

AT = 1_790_000_100
DAY_MINUTES = 1_440
COMMIT_EVERY_S = 30
FAMILIES = {
    "subway": [feed_id for feed_id in SERVED if feed_id.startswith("subway")],
    "railroads": ["lirr", "mnr"],
    "bus trip updates": ["bus_trip_updates"],
    "bus vehicles": ["bus_vehicle_positions"],
    "SIRI vehicles": ["siri_vehicles"],
    "alerts": [feed_id for feed_id in SERVED if "alerts" in feed_id],
    "elevators": [feed_id for feed_id in SERVED if feed_id.startswith("ene_")],
}


class _Time(SystemClock):
    """Stands at the simulated moment."""

    at = AT

    def now(self) -> int:
        """Microseconds since 1970 UTC."""
        return self.at * 1_000_000


def polls(feed_ids: list[str], minutes: int) -> Iterator[tuple[int, list[tuple[Poll, bytes]]]]:
    """Give the polls of each commit, with the moment (POSIX seconds) after them."""
    due = {feed_id: float(AT) for feed_id in feed_ids}
    for end in range(AT + COMMIT_EVERY_S, AT + 60 * minutes + 1, COMMIT_EVERY_S):
        found = []
        for feed_id in feed_ids:
            while due[feed_id] < end:
                at = int(due[feed_id])
                found.append((Poll(feed_id=feed_id, fetched_at=at * 1_000_000), body(0, feed_id, at)))
                due[feed_id] += max(BY_ID[feed_id].interval_seconds, 30.0 if feed_id == "siri_vehicles" else 0.0)
        yield end, found


def size(folder: Path) -> int:
    """Give the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def family(name: str, minutes: int) -> None:
    """Print a family's line for each history."""
    for history in ("changes", "every_poll"):
        with tempfile.TemporaryDirectory() as folder:
            clock, data = _Time(), Path(folder) / "data"
            config = Config(history=history, spool=SpoolConfig(retention_days=9, reserve_gb=0.0))
            with app.writing(data, config, clock, kinds=(SIMULATED,)) as work:
                work.note_settings()
                for end, records in polls(FAMILIES[name], minutes):
                    clock.at = end
                    work.append(list(records))
                    work.drain(app.Totals())
            captures = size(data / "spool")
            catalog = open_catalog(data, create=False)
            pinned = [pin(catalog, table) for table in TABLES]
            rows, held = sum(each.rows for each in pinned), sum(each.bytes for each in pinned)
        share = DAY_MINUTES / minutes
        print(
            f"  {name:17s}{history:11s}{captures * share / 1e9:>8.2f} GB{rows * share / 1e6:>9.1f} M"
            f"{held / max(rows, 1):>8.1f} B{held * share / 1e9:>8.2f} GB",
            flush=True,
        )


def main() -> None:
    """Run the benchmark."""
    minutes = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    print(
        f"a day, from {minutes} simulated minutes:\n  {'family':17s}history     captures       rows  by row    tables"
    )
    for name in FAMILIES:
        family(name, minutes)


if __name__ == "__main__":
    main()
