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
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.files import local_path
from thirdrail.sinks.iceberg.reader import pin
from thirdrail.sinks.iceberg.sink import IcebergSink

COMMITS = int(os.environ.get("THIRDRAIL_SOAK", "2000"))
ROWS = 150
AT = 1_790_000_000
DAYS = 3
CARE_AT_MOST = 0.15
"""Of commits and care. Making the rows, two thirds of a process's CPU, is left out here: of all, it is about 5 %."""

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
    commit_s: list[float] = []
    care_s, began = 0.0, time.process_time()
    memory = [resident_mb()]
    for number in range(each):
        at = (AT + number * DAYS * 86_400 // each) * 1_000_000
        for name, writer in writers.items():
            spent = time.process_time()
            writer.commit(moved(rows[name], number, at), Span(number, number + 1))
            commit_s.append(time.process_time() - spent)
        if number % CARE_EVERY == CARE_EVERY - 1:
            spent = time.process_time()
            for name in writers:
                report = care(
                    catalog,
                    BY_NAME[name],
                    Policy(0, HOUR_US),
                    clock,
                    lets_go=number // CARE_EVERY % LETS_GO_EVERY == 0,
                )
                assert report.trouble == ""
            care_s += time.process_time() - spent
        if number in (each // 2, each - 1):
            memory.append(resident_mb())
    total_s = time.process_time() - began

    # Each table's commits about its hundredth, and its last twenty.
    tables, hundredth = len(rows), min(100, each // 2)
    early = median(commit_s[(hundredth - 10) * tables : (hundredth + 10) * tables])
    late = median(commit_s[-20 * tables :])
    facts = {"commits": len(commit_s), "early_ms": early * 1e3, "late_ms": late * 1e3, "care": care_s / total_s}
    plans, most_open, most_closed, metadata = [], 0, 0, 0
    for name in writers:
        began = time.process_time()
        pinned = pin(catalog, BY_NAME[name])
        plans.append(time.process_time() - began)
        days = Counter(file.partition[0] for file in pinned.files)
        newest = max(days)
        most_open = max(most_open, days.pop(newest))
        most_closed = max([most_closed, *days.values()])
        metadata = max(metadata, local_path(catalog.load_table(("mta", name)).metadata_location).stat().st_size)
        assert pinned.rows == each * len(rows[name])
        assert pinned.positions == {("log", "0"): each}
    facts |= {"plan_ms": max(plans) * 1e3, "open_files": most_open, "closed_files": most_closed}
    facts |= {"metadata_kb": metadata / 1e3, "memory_mb": memory}
    report_to = os.environ.get("THIRDRAIL_SOAK_REPORT")
    if report_to:
        Path(report_to).write_text(json.dumps(facts))

    assert late <= 1.2 * early, facts
    assert metadata < 100_000, facts
    assert most_closed <= 12, facts
    assert most_open <= 150, facts
    assert max(plans) < 0.05, facts
    assert care_s <= CARE_AT_MOST * total_s, facts
    assert memory[2] <= memory[1] * 1.15 + 20, facts
