"""What of a run is measured, and which of its stages have stopped moving. Asked by the health port's threads."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from thirdrail import __version__
from thirdrail.app.carrying import Carrier
from thirdrail.app.data_folder import disk
from thirdrail.app.running import POLLER, Run, part_of
from thirdrail.errors import ThirdRailError
from thirdrail.observe.metrics import Sample
from thirdrail.observe.progress import Stage, standing
from thirdrail.sinks.iceberg.commit import COMMITS_BY_OUTCOME

SINK_BOUND_S = 60.0
"""Without a batch carried or nothing left to carry; a commit takes fractions of a second, Snowflake's seconds."""

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def samples(run: Run) -> Iterator[Sample]:
    """Give every value of the moment."""
    yield Sample("thirdrail_build_info", 1, (__version__,))
    yield Sample("thirdrail_up_seconds", (run.clock.now() - run.started_at) / 1e6)
    yield from _feeds(run)
    for carrier in run.carriers:
        yield from _sink(run, carrier)
    yield Sample("thirdrail_maintenance_rounds_total", run.caretaker.rounds)
    yield Sample("thirdrail_maintenance_merged_files_total", run.caretaker.merged)
    for table, shape in list(run.caretaker.shapes.items()):
        yield Sample("thirdrail_table_files", shape.files, (table,))
        yield Sample("thirdrail_table_bytes", shape.bytes, (table,))
        yield Sample("thirdrail_table_rows", shape.rows, (table,))
        yield Sample("thirdrail_table_snapshots", shape.snapshots, (table,))
    for outcome, count in COMMITS_BY_OUTCOME.copy().items():
        yield Sample("thirdrail_commits_total", count, (outcome,))
    space = disk(run.work.folder, run.config)
    yield Sample("thirdrail_disk_free_bytes", space.free)
    yield Sample("thirdrail_disk_reserve_bytes", space.reserve)
    yield Sample("thirdrail_resident_memory_bytes", int(_proc("statm").split()[1]) * _PAGE_BYTES)
    yield Sample("thirdrail_open_files", sum(1 for _ in Path("/proc/self/fd").iterdir()))


def _proc(name: str) -> str:
    return Path(f"/proc/self/{name}").read_text()


def _feeds(run: Run) -> Iterator[Sample]:
    for name, state in run.poller.states.items():
        for outcome, polls in list(state.outcomes.items()):
            yield Sample("thirdrail_polls_total", polls, (name, outcome))
        if state.polled_at is not None:
            yield Sample("thirdrail_last_poll_timestamp_seconds", state.polled_at / 1e6, (name,))
        if state.header_at_s is not None:
            yield Sample("thirdrail_feed_header_timestamp_seconds", state.header_at_s, (name,))
    if run.poller.clock_offset_s is not None:
        yield Sample("thirdrail_clock_offset_seconds", run.poller.clock_offset_s)
    yield Sample("thirdrail_poller_restarts_total", run.watchdog.restarts(POLLER))
    yield Sample("thirdrail_polling_paused", float(run.poller.pause is not None))


def _sink(run: Run, carrier: Carrier) -> Iterator[Sample]:
    name, state, totals = carrier.name, carrier.state, carrier.state.totals
    yield Sample("thirdrail_captures_carried_total", totals.captures, (name,))
    yield Sample("thirdrail_rows_decoded_total", totals.decoded_rows, (name,))
    for rule, count in sorted(totals.findings.copy().items()):
        yield Sample("thirdrail_findings_total", count, (name, rule))
    yield Sample("thirdrail_quarantined_total", totals.refused, (name,))
    yield Sample("thirdrail_rejected_rows_total", carrier.pipeline.rejected, (name,))
    yield Sample("thirdrail_row_age_seconds", state.ages, (name,))
    for table, rows in list(totals.written.items()):
        yield Sample("thirdrail_rows_written_total", rows, (name, table))
    yield Sample("thirdrail_position", carrier.pipeline.settled, (name,))
    with suppress(ThirdRailError):  # a damaged or busy log says so elsewhere; the sample is missing, not 0
        yield Sample("thirdrail_lag_captures", run.lag(carrier), (name,))
    if state.newest_fetched_at is not None:
        yield Sample("thirdrail_newest_committed_timestamp_seconds", state.newest_fetched_at / 1e6, (name,))
    if state.committed_at is not None:
        yield Sample("thirdrail_commit_seconds", state.commit_seconds, (name,))
    yield Sample("thirdrail_sink_failures_in_a_row", carrier.failures, (name,))
    yield Sample("thirdrail_sink_restarts_total", run.watchdog.restarts(part_of(carrier)), (name,))


def not_live(run: Run) -> dict[str, str]:
    """Give the threads that have ended, or hang and could not be restarted: only a new process helps."""
    found = {} if run.poller.failure is None else {"poller": f"it has failed: {run.poller.failure}"}
    found |= run.watchdog.hopeless()
    return found | {f"sink {each.name}": "its thread has ended" for each in run.carriers if each.has_ended}


def not_ready(run: Run) -> dict[str, str]:
    """Give the stages that do not move, and why.

    A feed that is frozen at its source is asked and answers: it is stale, which alerts tell, and nothing here stands.
    """
    return not_live(run) | standing(_stages(run), run.clock.monotonic())


def _stages(run: Run) -> Iterator[Stage]:
    now = run.clock.monotonic()
    if run.poller.pause is not None:
        yield Stage("polling", now, 0, run.poller.pause)
    for name, state in run.poller.states.items():
        yield Stage(f"feed {name}", state.due_at, 2 * run.patience.poller_s)
    for carrier in run.carriers:
        bound = SINK_BOUND_S + 2 * carrier.interval_seconds
        yield Stage(f"sink {carrier.name}", carrier.moved_at, bound, carrier.state.trouble)
