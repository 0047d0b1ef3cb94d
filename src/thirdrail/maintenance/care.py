"""One round of care for a table: merge small files, let go of what nothing needs. Repeating is harmless.

Every change is one commit of the one commit function, or the deletion of a file that no snapshot names; a round that
is killed anywhere leaves the table whole and the next one goes on.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table as IcebergTable

from thirdrail.errors import CatalogUnavailable, CommitConflict
from thirdrail.maintenance.compaction import groups
from thirdrail.maintenance.leftovers import Notes, Patience, judged, note, noted
from thirdrail.model.ports import Clock
from thirdrail.model.tables import NAMESPACE, Table
from thirdrail.sinks.iceberg.commit import KEPT_SNAPSHOTS, expire
from thirdrail.sinks.iceberg.data_file import EPOCH
from thirdrail.sinks.iceberg.files import is_local, local_path
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
    expires: bool = True,
    is_stopped: Callable[[], bool] = never,
) -> Report:
    """Care for one table; give what was done. Blocks; ends early between two merges when asked to stop.

    Without ``lets_go`` nothing is deleted: looking for leftovers reads all that every snapshot names. Without
    ``expires`` snapshots stay but for those that merges push out: ``commits`` has not been told of them.
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
            outcome = Outcome.REWRITTEN if dry_run else rewrite(catalog, name, pinned, group, clock)
            if outcome is Outcome.GIVEN_UP:
                report.given_up += 1
                continue
            report.merged, report.into = report.merged + len(group), report.into + 1
            report.rows += sum(file.record_count for file in group)
            report.replaced |= {file.file_path for file in group}
        if expires:
            report.expired = expire(catalog, name, policy.snapshots, policy.snapshots_us, dry_run=dry_run)
        found = catalog.load_table(name)
        if lets_go:
            _let_go(found, report, policy, dry_run=dry_run)
        elif report.replaced and not dry_run:
            remember(found, report.replaced)
    except NoSuchTableError:
        report.trouble = "there is no such table yet"
    except (CommitConflict, CatalogUnavailable) as error:
        report.trouble = str(error)
    return report


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
        report.dropped_rows = drop(catalog, name, paths, EPOCH + timedelta(days=kept_from), clock)
        report.replaced |= paths
    return replace(pinned, files=tuple(file for file in pinned.files if int(file.partition[0]) >= kept_from))


def remember(table: IcebergTable, locations: set[str]) -> None:
    """Note files that were taken out of a table: what is not noted is an orphan, and waits a day."""
    if is_local(table.location()):
        folder = local_path(table.location())
        before = noted(folder)
        replaced = before.replaced | {_inside(folder, path) for path in locations}
        note(folder, Notes(before.unnamed, replaced, before.looked_at))


def _let_go(table: IcebergTable, report: Report, policy: Policy, *, dry_run: bool) -> None:
    """Delete data files that nothing names and nobody waits for. Local warehouses alone."""
    if not is_local(table.location()):
        return
    folder = local_path(table.location())
    # Listed first: a file that is committed in between is named by then, and is not taken for a leftover.
    there = {str(path.relative_to(folder)): path for path in (folder / "data").rglob("*.parquet")}
    table = table.refresh()
    named = {_inside(folder, path) for path in named_files(table)}
    replaced = {_inside(folder, path) for path in report.replaced}
    last = table.metadata.current_snapshot()  # the metadata's own time moves with a change of properties, too
    at = (table.metadata.last_updated_ms if last is None else last.timestamp_ms) * 1_000
    positions = sum(current_positions(table.metadata).values())
    before = noted(folder)
    known = Notes(before.unnamed, (before.replaced | replaced) & there.keys(), before.looked_at)
    verdict = judged(there.keys() - named, known, at, positions, Patience(policy.replaced_us, policy.orphans_us))
    report.waiting = len(verdict.notes.unnamed)
    for path in verdict.delete:
        report.deleted += 1
        report.deleted_bytes += there[path].stat().st_size if there[path].exists() else 0
        if not dry_run:
            there[path].unlink(missing_ok=True)
    if not dry_run and verdict.notes != before:
        note(folder, verdict.notes)


def _inside(folder: Path, location: str) -> str:
    """Give a file's path from the table's folder on; another engine may have written through a link, or elsewhere."""
    path = local_path(location)
    if not path.is_relative_to(folder):
        path, folder = path.resolve(), folder.resolve()
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def named_files(table: IcebergTable) -> set[str]:
    """Give the locations of all data files that any kept snapshot names."""
    manifests = {
        manifest.manifest_path: manifest
        for snapshot in table.metadata.snapshots
        for manifest in snapshot.manifests(table.io)
    }
    return {entry.data_file.file_path for manifest in manifests.values() for entry in remembered(table, manifest)}
