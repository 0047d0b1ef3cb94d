"""The commit: rows and positions become visible in one snapshot, or not at all.

One function for every change of a table. It reads the positions from the very snapshot it builds on and
requires, of the catalog, that ``main`` is still there; after any failure it asks the table what is true and
stages again on the new parent. PyIceberg's own transaction commit, its retries and its clean-up are never
used (decision 0002). Nothing here deletes a file.
"""

import random
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import NamedTuple

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException, RESTError
from pyiceberg.manifest import ManifestFile
from pyiceberg.schema import Schema
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.metadata import TableMetadata, TableMetadataV1
from pyiceberg.table.refs import SnapshotRefType
from pyiceberg.table.snapshots import Operation, Snapshot, Summary
from pyiceberg.table.update import (
    AddSchemaUpdate,
    AddSnapshotUpdate,
    AssertRefSnapshotId,
    AssertTableUUID,
    RemoveSnapshotsUpdate,
    SetCurrentSchemaUpdate,
    SetPropertiesUpdate,
    SetSnapshotRefUpdate,
    TableRequirement,
    TableUpdate,
)
from sqlalchemy.exc import SQLAlchemyError

from thirdrail.errors import CatalogUnavailable, CommitConflict, PositionRegressed
from thirdrail.model.ports import Clock
from thirdrail.sinks.iceberg.manifests import write_list
from thirdrail.sinks.iceberg.positions import Positions, as_properties, current_positions, positions_of

MAIN = "main"
KEPT_SNAPSHOTS = 50
"""Of a table whose properties say nothing else."""

SNAPSHOTS = "thirdrail.snapshots"
"""Of a table's property: how many snapshots are kept at most, for every commit of whatever process."""

ATTEMPTS = 12
COMMITS_BY_OUTCOME: Counter[str] = Counter({"ok": 0, "conflict": 0, "failed": 0})
"""Of this process, tries of all tables; read by whoever measures."""

FIRST_WAIT_S, LONGEST_WAIT_S = 0.02, 2.0


class Staged(NamedTuple):
    """What a snapshot will hold: every manifest, the positions, its counts of files and rows, and a new schema."""

    manifests: list[ManifestFile]
    positions: Positions
    operation: Operation
    added_files: int
    added_rows: int
    removed_files: int = 0
    removed_rows: int = 0
    schema: Schema | None = None
    properties: Mapping[str, str] = {}


Stage = Callable[[IcebergTable, Positions, int], Staged | None]
"""Given the table as it is, its positions and the new snapshot's id: what to commit, or None for nothing to do."""


def commit(catalog: Catalog, name: tuple[str, str], stage: Stage, clock: Clock) -> Positions:
    """Commit what ``stage`` stages on the table as it is; give the positions in force afterwards.

    Blocks, with pauses of ``clock``. ``stage`` is called anew for every try, so it must be repeatable.

    Raises:
        CommitConflict: others won every try.
        CatalogUnavailable: the catalog or its disk failed every try.
        PositionRegressed: a position would go back.
    """
    failure: Exception | None = None
    for attempt in range(ATTEMPTS):
        try:
            table = catalog.load_table(name)
            before = current_positions(table.metadata)
            snapshot_id = table.metadata.new_snapshot_id()
            staged = stage(table, before, snapshot_id)
            if staged is None:
                return before
            _refuse_regress(name, before, staged.positions)
            _hand_over(catalog, table, snapshot_id, staged)
        except (CommitFailedException, CommitStateUnknownException, RESTError, SQLAlchemyError, OSError) as error:
            failure = error
            COMMITS_BY_OUTCOME["conflict" if isinstance(error, CommitFailedException) else "failed"] += 1
            clock.sleep(_wait(attempt))
        else:
            COMMITS_BY_OUTCOME["ok"] += 1
            return staged.positions
    where = ".".join(name)
    if isinstance(failure, CommitFailedException):
        raise CommitConflict(f"{where}: others committed first in {ATTEMPTS} tries") from failure
    raise CatalogUnavailable(
        f"{where}: the catalog failed {ATTEMPTS} times: {failure}", hint="nothing is lost; it is tried again"
    ) from failure


def _wait(attempt: int) -> float:
    return float(min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt)) * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries


def _refuse_regress(name: tuple[str, str], before: Positions, after: Positions) -> None:
    for key, position in before.items():
        if after.get(key, -1) < position:
            raise PositionRegressed(f"{'.'.join(name)}: position of {key} would go from {position} to {after.get(key)}")


def _hand_over(catalog: Catalog, table: IcebergTable, snapshot_id: int, staged: Staged) -> None:
    """Write the manifest list and hand the updates to the catalog, on condition that ``main`` has not moved."""
    metadata = table.metadata
    assert not isinstance(metadata, TableMetadataV1)  # noqa: S101 - our tables are format v2
    parent = metadata.current_snapshot()
    sequence_number = metadata.last_sequence_number + 1
    snapshot = Snapshot(
        snapshot_id=snapshot_id,
        parent_snapshot_id=parent.snapshot_id if parent else None,
        sequence_number=sequence_number,
        manifest_list=write_list(table, snapshot_id, parent, sequence_number, staged.manifests),
        summary=_summary(parent, staged),
        schema_id=metadata.current_schema_id if staged.schema is None else staged.schema.schema_id,
    )
    updates: list[TableUpdate] = []
    if staged.schema is not None:
        updates += [AddSchemaUpdate(schema=staged.schema), SetCurrentSchemaUpdate(schema_id=-1)]
    if staged.properties:
        updates.append(SetPropertiesUpdate(updates=dict(staged.properties)))
    updates += [
        AddSnapshotUpdate(snapshot=snapshot),
        SetSnapshotRefUpdate(
            ref_name=MAIN,
            type=SnapshotRefType.BRANCH,
            snapshot_id=snapshot_id,
        ),
    ]
    expired = _surplus(metadata, kept_snapshots(metadata) - 1)
    if expired:
        updates.append(RemoveSnapshotsUpdate(snapshot_ids=sorted(expired)))
    catalog.commit_table(table, _unmoved(metadata), tuple(updates))


def _unmoved(metadata: TableMetadata) -> tuple[TableRequirement, ...]:
    """Give the condition that ``main`` is where it was."""
    main = metadata.refs.get(MAIN)
    return (
        AssertTableUUID(uuid=metadata.table_uuid),
        AssertRefSnapshotId(ref=MAIN, snapshot_id=main.snapshot_id if main else None),
    )


def _summary(parent: Snapshot | None, staged: Staged) -> Summary:
    """Give the counts that readers expect, and every partition's position."""
    before = parent.summary.additional_properties if parent and parent.summary else {}
    files = int(before.get("total-data-files", "0")) + staged.added_files - staged.removed_files
    rows = int(before.get("total-records", "0")) + staged.added_rows - staged.removed_rows
    removed = {"deleted-data-files": str(staged.removed_files), "deleted-records": str(staged.removed_rows)}
    return Summary(
        staged.operation,
        **{
            "added-data-files": str(staged.added_files),
            "added-records": str(staged.added_rows),
            **(removed if staged.removed_files else {}),
            "total-data-files": str(files),
            "total-records": str(rows),
            **as_properties(staged.positions),
        },
    )


def expire(
    catalog: Catalog, name: tuple[str, str], kept: int, age_us: int, noted: int = sys.maxsize, *, dry_run: bool = False
) -> int:
    """Let go of snapshots beyond ``kept``, and of those that gave way to a newer one ``age_us`` ago; give how many.

    Those above ``noted``, a sequence number, stay: ``commits`` has not been told of them. Ago is before the table's
    last commit: a table at rest loses none. ``kept`` is noted in the table, and every commit keeps to it from then on.
    One try: when another commit comes first, it is for the next time.

    Raises:
        CatalogUnavailable: the catalog or its disk failed.
    """
    try:
        table = catalog.load_table(name)
        metadata = table.metadata
        gone = (_surplus(metadata, kept) | _outlived(metadata, age_us // 1_000)) - numbered_above(metadata, noted)
        current = metadata.current_snapshot()
        if current is None or not positions_of(current):
            gone = set()  # another engine's: the positions lie in one before it, until we commit again
        updates: list[TableUpdate] = []
        if kept_snapshots(metadata) != kept:
            updates.append(SetPropertiesUpdate(updates={SNAPSHOTS: str(kept)}))
        if gone:
            updates.append(RemoveSnapshotsUpdate(snapshot_ids=sorted(gone)))
        if updates and not dry_run:
            catalog.commit_table(table, _unmoved(metadata), tuple(updates))
    except (CommitFailedException, CommitStateUnknownException):
        return 0
    except (RESTError, SQLAlchemyError, OSError) as error:
        raise CatalogUnavailable(
            f"{'.'.join(name)}: the catalog failed: {error}", hint="nothing is lost; it is tried again"
        ) from error
    return len(gone)


def kept_snapshots(metadata: TableMetadata) -> int:
    """Give how many snapshots every commit leaves at most."""
    return int(metadata.properties.get(SNAPSHOTS, KEPT_SNAPSHOTS))


def numbered_above(metadata: TableMetadata, number: int) -> set[int]:
    """Give the snapshots whose sequence number lies above one."""
    return {snapshot.snapshot_id for snapshot in metadata.snapshots if (snapshot.sequence_number or 0) > number}


def _oldest_first(metadata: TableMetadata) -> list[Snapshot]:
    return sorted(metadata.snapshots, key=lambda snapshot: snapshot.sequence_number or 0)


def _surplus(metadata: TableMetadata, kept: int) -> set[int]:
    """Give the oldest snapshots beyond a number; whatever a branch or tag names stays."""
    oldest_first = _oldest_first(metadata)
    beyond = oldest_first[: max(0, len(oldest_first) - kept)]
    return {snapshot.snapshot_id for snapshot in beyond} - _named(metadata)


def _outlived(metadata: TableMetadata, age_ms: int) -> set[int]:
    """Give the snapshots that gave way to the next one so long before the last commit; named ones stay.

    By when they gave way, not by when they were made: a reader may have pinned one in its last moment.
    """
    oldest_first = _oldest_first(metadata)
    oldest_kept = oldest_first[-1].timestamp_ms - age_ms if oldest_first else 0
    outlived = {before.snapshot_id for before, after in pairwise(oldest_first) if after.timestamp_ms <= oldest_kept}
    return outlived - _named(metadata)


def _named(metadata: TableMetadata) -> set[int]:
    return {reference.snapshot_id for reference in metadata.refs.values()}
