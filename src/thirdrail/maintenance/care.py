"""One round of care for a table: merge small files, let go of what nothing needs. Repeating is harmless.

Every change is one commit of the one commit function, or the deletion of a file that no snapshot names; a round that
is killed anywhere leaves the table whole and the next one goes on.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import NamedTuple

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable

from thirdrail.errors import CatalogUnavailable, CommitConflict
from thirdrail.maintenance.compaction import groups
from thirdrail.maintenance.leftovers import Notes, Patience, judged, note, noted
from thirdrail.model.ports import Clock
from thirdrail.model.tables import NAMESPACE, Table
from thirdrail.sinks.iceberg.chronicle import note_in_time, noted_up_to
from thirdrail.sinks.iceberg.commit import KEPT_SNAPSHOTS, expire
from thirdrail.sinks.iceberg.data_file import EPOCH
from thirdrail.sinks.iceberg.files import is_local
from thirdrail.sinks.iceberg.folder import Folder
from thirdrail.sinks.iceberg.housekeeping import sweep
from thirdrail.sinks.iceberg.manifests import remembered
from thirdrail.sinks.iceberg.positions import current_positions
from thirdrail.sinks.iceberg.reader import PinnedTable, pin
from thirdrail.sinks.iceberg.rewrite import Outcome, drop, rewrite

HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Policy:
    """How long what nothing names stays, how many days with rows are kept (None for all), and which snapshots."""

    replaced_us: int = HOUR_US
    orphans_us: int = 24 * HOUR_US
    keep_days: int | None = None
    snapshots: int = KEPT_SNAPSHOTS
    snapshots_us: int = 24 * HOUR_US


class Shape(NamedTuple):
    """How a table lay when a round began."""

    files: int
    bytes: int
    rows: int
    snapshots: int


@dataclass(slots=True)
class Report:
    """What a round did, or with ``dry_run`` would do, to a table."""

    table: str
    files: int = 0
    held: Shape | None = None
    merged: int = 0
    into: int = 0
    rows: int = 0
    given_up: int = 0
    deleted: int = 0
    deleted_bytes: int = 0
    waiting: int = 0
    dropped_days: int = 0
    dropped_rows: int = 0
    expired: int = 0
    trouble: str = ""
    replaced: set[str] = field(default_factory=set)


def never() -> bool:
    """Nobody asks to stop."""
    return False


def care(
    catalog: Catalog,
    table: Table,
    policy: Policy,
    clock: Clock,
    *,
    dry_run: bool = False,
    lets_go: bool = True,
    is_stopped: Callable[[], bool] = never,
) -> Report:
    """Care for one table; give what was done. Blocks; ends early between two merges when asked to stop.

    Without ``lets_go`` nothing is deleted: looking for leftovers reads all that every snapshot names. A snapshot that
    ``commits`` has not been told of stays; when it cannot be told, the round ends before a merge pushes one out.
    """
    report = Report(table.name)
    name = (NAMESPACE, table.name)
    try:
        pinned = pin(catalog, table, entries_of=remembered)
        report.files = len(pinned.files)
        report.held = Shape(len(pinned.files), pinned.bytes, pinned.rows, pinned.snapshots)
        if policy.keep_days is not None:
            pinned = _drop_days(catalog, name, pinned, policy.keep_days, clock, report, dry_run=dry_run)
        for group in groups(pinned.files, pinned.field_ids[table.order]):
            if is_stopped():
                break
            outcome = Outcome.REWRITTEN if dry_run else _merge(catalog, name, pinned, group, clock)
            if outcome is Outcome.GIVEN_UP:
                report.given_up += 1
                continue
            report.merged, report.into = report.merged + len(group), report.into + 1
            report.rows += sum(file.record_count for file in group)
            report.replaced |= {file.file_path for file in group}
        noted = sys.maxsize if dry_run else noted_up_to(catalog, pinned.source)
        report.expired = expire(catalog, name, policy.snapshots, policy.snapshots_us, noted, dry_run=dry_run)
        _look_after_leftovers(catalog.load_table(name), report, policy, clock, dry_run=dry_run, lets_go=lets_go)
    except NoSuchTableError:
        report.trouble = "there is no such table yet"
    except (CommitConflict, CatalogUnavailable) as error:
        report.trouble = str(error)
    return report


def _merge(
    catalog: Catalog, name: tuple[str, str], pinned: PinnedTable, group: list[DataFile], clock: Clock
) -> Outcome:
    note_in_time(catalog, name, clock)
    return rewrite(catalog, name, pinned, group, clock)


def _drop_days(
    catalog: Catalog,
    name: tuple[str, str],
    pinned: PinnedTable,
    keep: int,
    clock: Clock,
    report: Report,
    *,
    dry_run: bool,
) -> PinnedTable:
    """Drop all but the newest days that hold rows; give the table without them.

    Days are counted by what the table holds: a clock that is years ahead adds one day, and drops one.
    """
    days = sorted({int(file.partition[0]) for file in pinned.files})
    if len(days) <= keep:
        return pinned
    kept_from = days[-keep]
    gone = [file for file in pinned.files if int(file.partition[0]) < kept_from]
    report.dropped_days = len(days) - keep
    report.dropped_rows = sum(file.record_count for file in gone)
    if not dry_run:
        paths = {file.file_path for file in gone}
        note_in_time(catalog, name, clock)
        report.dropped_rows = drop(catalog, name, paths, EPOCH + timedelta(days=kept_from), clock)
        report.replaced |= paths
    return replace(pinned, files=tuple(file for file in pinned.files if int(file.partition[0]) >= kept_from))


def remember(table: IcebergTable, locations: set[str]) -> None:
    """Note files that were taken out of a table: what is not noted is an orphan, and waits a day.

    Raises:
        OSError: the note cannot be read or written.
    """
    folder = Folder(table)
    before = noted(folder)
    replaced = before.replaced | {folder.inside(path) for path in locations}
    note(folder, Notes(before.unnamed, replaced, before.looked_at))


def _look_after_leftovers(
    table: IcebergTable, report: Report, policy: Policy, clock: Clock, *, dry_run: bool, lets_go: bool
) -> None:
    """Delete what may go, or note what was replaced; what a disk or store refuses is told, and left for now."""
    try:
        if lets_go:
            _let_go(table, report, policy, clock, dry_run=dry_run)
        elif report.replaced and not dry_run:
            remember(table, report.replaced)
    except OSError as error:
        report.trouble = f"{report.table}: leftovers stay for now, in {table.location()}: {error}"


def _let_go(table: IcebergTable, report: Report, policy: Policy, clock: Clock, *, dry_run: bool) -> None:
    """Delete data files that nothing names and nobody waits for."""
    folder = Folder(table)
    # Listed first: a file that is committed in between is named by then, and is not taken for a leftover.
    there = folder.files("data", (".parquet",))
    table = table.refresh()
    named = {folder.inside(path) for path in named_files(table)}
    replaced = {folder.inside(path) for path in report.replaced}
    last = table.metadata.current_snapshot()  # the metadata's own time moves with a change of properties, too
    at = (table.metadata.last_updated_ms if last is None else last.timestamp_ms) * 1_000
    positions = sum(current_positions(table.metadata).values())
    before = noted(folder)
    known = Notes(before.unnamed, (before.replaced | replaced) & there.keys(), before.looked_at)
    changed_at = folder.written_at(table.metadata_location)
    unnamed = {path: changed_at - there[path].written_at for path in there.keys() - named}
    verdict = judged(unnamed, known, at, positions, Patience(policy.replaced_us, policy.orphans_us))
    report.waiting = len(verdict.notes.unnamed)
    if not dry_run:
        folder.delete(verdict.delete)
        if verdict.notes != before:
            note(folder, verdict.notes)
        if not is_local(table.location()):
            sweep(table, clock.now())  # on a disk whoever commits does so
    report.deleted = len(verdict.delete)
    report.deleted_bytes = sum(there[path].bytes for path in verdict.delete)


def named_files(table: IcebergTable) -> set[str]:
    """Give the locations of all data files that any kept snapshot names."""
    manifests = {
        manifest.manifest_path: manifest
        for snapshot in table.metadata.snapshots
        for manifest in snapshot.manifests(table.io)
    }
    return {entry.data_file.file_path for manifest in manifests.values() for entry in remembered(table, manifest)}
