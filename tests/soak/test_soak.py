"""Thousands of commits over all tables, with care: nothing grows but the rows. ``make soak`` does 20,000."""

import json
import os
import time
from collections import Counter
from pathlib import Path
from statistics import median

import pyarrow as pa
import pytest

from tests.fakes.clock import FakeClock
from thirdrail.app.caring import LETS_GO_EVERY
from thirdrail.city.messages import body
from thirdrail.city.server import SERVED
from thirdrail.maintenance.care import HOUR_US, Policy, care
from thirdrail.model.feeds import BY_ID
from thirdrail.model.records import Poll, Settings, Span
from thirdrail.model.tables import BY_NAME, TABLES
from thirdrail.pipeline.loop import give_memory_back
from thirdrail.pipeline.streams import Stream
from thirdrail.pipeline.transform import Context, Rows, transform
from thirdrail.sinks.iceberg.catalog import LocalCatalog, open_catalog
from thirdrail.sinks.iceberg.files import local_path
from thirdrail.sinks.iceberg.reader import pin
from thirdrail.sinks.iceberg.sink import IcebergSink

COMMITS = int(os.environ.get("THIRDRAIL_SOAK", "2000"))
ROWS = 150
AT = 1_790_000_000
DAYS = 3
CARE_AT_MOST = 0.15
"""Of commits and care. Making the rows, two thirds of a process's CPU, is left out here: of all, it is about 5 %."""

LAST = 20
CARE_EVERY = 60
"""Commits of a table between two rounds of care: five minutes, at one every 5 s."""


def examples() -> dict[str, pa.Table]:
    """Give some rows of every table that the city fills."""
    polls = [
        (offset, Poll(feed_id=feed_id, fetched_at=AT * 1_000_000), body(0, feed_id, AT))
        for offset, feed_id in enumerate(feed_id for feed_id in SERVED if feed_id != "bus_trip_updates")
    ]
    rows = Rows()
    transform(polls, Context("log", Settings(), BY_ID), lambda *_: Stream(), rows)
    return {name: pa.concat_tables(parts).slice(0, ROWS).combine_chunks() for name, parts in rows.tables.items()}


def moved(rows: pa.Table, offset: int, at: int) -> pa.Table:
    """Give the rows as of another capture."""
    count = len(rows)
    values = {"capture_offset": pa.array([offset] * count, pa.int64())}
    values["fetched_at"] = pa.array([at] * count, pa.timestamp("us", "UTC"))
    for name, column in values.items():
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, rows.schema.field(place), column)
    return rows


def resident_mb() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) // 1024


class Young:
    """Every other table at its hundredth commit, to take turns with the old ones: no machine is alike for long."""

    def __init__(self, folder: Path, rows: dict[str, pa.Table]) -> None:
        folder.mkdir()
        sink = IcebergSink(open_catalog(folder, create=True), FakeClock())
        self._rows = dict(list(rows.items())[::2])
        self._writers = {name: sink.open(BY_NAME[name], "log", "0") for name in self._rows}
        self._done = dict.fromkeys(self._rows, 0)
        self.spent_s: list[float] = []
        for _ in range(100 - LAST // 2):
            for name in self._rows:
                self.commit(name)
        self.spent_s.clear()

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def commit(self, name: str) -> None:
        """Commit some rows of one more capture to a table."""
        number = self._done[name]
        batch = moved(self._rows[name], number, (AT + number) * 1_000_000)
        spent = time.process_time()
        self._writers[name].commit(batch, Span(number, number + 1))
        self.spent_s.append(time.process_time() - spent)
        self._done[name] += 1


@pytest.mark.timeout(7_200)
def test_thousands_of_commits_over_all_tables_leave_everything_as_quick_and_small_as_at_first(tmp_path: Path) -> None:
    give_memory_back()
    clock = FakeClock()
    catalog = open_catalog(tmp_path, create=True)
    sink = IcebergSink(catalog, clock)
    rows = examples()
    assert len(rows) >= len(TABLES) - 3
    writers = {name: sink.open(BY_NAME[name], "log", "0") for name in rows}
    each = COMMITS // len(rows)
    young = Young(tmp_path / "young", rows)
    late_s: list[float] = []
    care_s = commits_s = 0.0
    memory = [resident_mb()]
    for number in range(each):
        at = (AT + number * DAYS * 86_400 // each) * 1_000_000
        for name, writer in writers.items():
            batch = moved(rows[name], number, at)
            spent = time.process_time()
            writer.commit(batch, Span(number, number + 1))
            took = time.process_time() - spent
            commits_s += took
            if number >= each - LAST and name in young:
                late_s.append(took)
                young.commit(name)
        if number % CARE_EVERY == CARE_EVERY - 1:
            spent = time.process_time()
            for name in writers:
                lets_go = number // CARE_EVERY % LETS_GO_EVERY == 0
                report = care(catalog, BY_NAME[name], Policy(0, HOUR_US), clock, lets_go=lets_go)
                assert report.trouble == ""
            care_s += time.process_time() - spent
        if number in (each // 2, each - 1):
            memory.append(resident_mb())
    early, late = median(young.spent_s), median(late_s)
    facts: dict[str, object] = {"commits": each * len(rows), "early_ms": early * 1e3, "late_ms": late * 1e3}
    facts["care"] = care_s / (care_s + commits_s)
    facts |= looked_at(catalog, rows, each) | {"memory_mb": memory}
    report_to = os.environ.get("THIRDRAIL_SOAK_REPORT")
    if report_to:
        Path(report_to).write_text(json.dumps(facts))

    assert late <= 1.2 * early, facts
    assert facts["metadata_kb"] < 100, facts
    assert facts["closed_files"] <= 12, facts
    assert facts["open_files"] <= 150, facts
    assert facts["plan_ms"] < 50, facts
    assert facts["care"] <= CARE_AT_MOST, facts
    assert memory[2] <= memory[1] * 1.15 + 20, facts


def looked_at(catalog: LocalCatalog, rows: dict[str, pa.Table], commits: int) -> dict[str, float]:
    """Give the most files of a day, the longest planning and the largest metadata; every row must be there."""
    most = {"plan_ms": 0.0, "open_files": 0, "closed_files": 0, "metadata_kb": 0.0}
    for name, batch in rows.items():
        took = []
        for _ in range(3):  # the best of three: Python's collector takes half a second when it comes by
            began = time.process_time()
            pinned = pin(catalog, BY_NAME[name])
            took.append((time.process_time() - began) * 1e3)
        most["plan_ms"] = max(most["plan_ms"], min(took))
        days = Counter(file.partition[0] for file in pinned.files)
        most["open_files"] = max(most["open_files"], days.pop(max(days)))
        most["closed_files"] = max([most["closed_files"], *days.values()])
        metadata = local_path(catalog.load_table(("mta", name)).metadata_location)
        most["metadata_kb"] = max(most["metadata_kb"], metadata.stat().st_size / 1e3)
        assert pinned.rows == commits * len(batch)
        assert pinned.positions == {("log", "0"): commits}
    return most
