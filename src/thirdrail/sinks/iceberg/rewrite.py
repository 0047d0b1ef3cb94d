"""Several data files of a table become one, and no row is lost, doubled or altered.

The new file is written first, then one snapshot takes it in and the old ones out, by the one commit function: on
condition that ``main`` has not moved. When it has, the snapshot is staged again on the new head, if all the old files
are still live there; else the rewrite is given up and its file is an orphan.
"""

from collections.abc import Sequence
from datetime import date
from enum import StrEnum

from pyiceberg.catalog import Catalog
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.snapshots import Operation

from thirdrail.errors import RowsDiffer
from thirdrail.model.ports import Clock
from thirdrail.sinks.iceberg.commit import Staged, commit
from thirdrail.sinks.iceberg.data_file import write_data_files
from thirdrail.sinks.iceberg.manifests import live_files, new_manifest, parent_manifests, without
from thirdrail.sinks.iceberg.positions import KEPT_FROM, Positions
from thirdrail.sinks.iceberg.reader import PinnedTable

ROW_GROUP_ROWS = 131_072
"""Rows that a reader of one trip opens at the least; a quarter more bytes than in one group, half the time."""


class Outcome(StrEnum):
    """What became of a rewrite."""

    REWRITTEN = "rewritten"
    GIVEN_UP = "given up"


def rewrite(
    catalog: Catalog, name: tuple[str, str], pinned: PinnedTable, inputs: Sequence[DataFile], clock: Clock
) -> Outcome:
    """Merge data files of one day into one, sorted. Blocks; memory holds all their rows.

    Raises:
        RowsDiffer: the new file has not the rows of the old ones; nothing was committed.
        CommitConflict, CatalogUnavailable: as of every commit.
    """
    work = _Rewrite(catalog.load_table(name), pinned, inputs)
    commit(catalog, name, work.stage, clock)
    return work.outcome


def drop(catalog: Catalog, name: tuple[str, str], gone: set[str], kept_from: date, clock: Clock) -> int:
    """Take data files, by location, out of a table, and note the first UTC day that is kept; give the rows dropped.

    Raises:
        CommitConflict, CatalogUnavailable: as of every commit.
    """
    dropped = 0

    def stage(table: IcebergTable, positions: Positions, snapshot_id: int) -> Staged | None:
        nonlocal dropped
        manifests = parent_manifests(table)
        live = live_files(table, [manifest for manifest in manifests if manifest.content == 0])
        found = gone & live.keys()
        if not found:
            return None  # it landed, and the answer was lost; or somebody else was first
        dropped = sum(live[path].record_count for path in found)
        left = without(table, snapshot_id, manifests, found)
        noted = {KEPT_FROM: kept_from.isoformat()}
        return Staged(left, positions, Operation.DELETE, 0, 0, len(found), dropped, properties=noted)

    commit(catalog, name, stage, clock)
    return dropped


class _Rewrite:
    """One rewrite: its files are written once, its snapshot is staged as often as it takes."""

    def __init__(self, target: IcebergTable, pinned: PinnedTable, inputs: Sequence[DataFile]) -> None:
        self.outcome = Outcome.GIVEN_UP
        self._gone = {file.file_path for file in inputs}
        self._rows = sum(file.record_count for file in inputs)
        names = pinned.table.names()
        rows = pinned.read(inputs, names)
        self._written = write_data_files(target, pinned.table, rows, ROW_GROUP_ROWS)
        written = sum(file.record_count for file in self._written)
        if written != self._rows or len(rows) != self._rows:
            raise RowsDiffer(
                f"{pinned.table.name}: {len(inputs)} files hold {self._rows:,} rows by their manifests, "
                f"{len(rows):,} were read and {written:,} written",
                hint="nothing was changed; `thirdrail audit` tells which rows are amiss",
            )

    def stage(self, table: IcebergTable, positions: Positions, snapshot_id: int) -> Staged | None:
        """Give the snapshot on the table as it is; None when it is there already, or cannot be any more."""
        manifests = parent_manifests(table)
        live = live_files(table, [manifest for manifest in manifests if manifest.content == 0])
        if all(file.file_path in live for file in self._written):
            self.outcome = Outcome.REWRITTEN  # it landed, and the answer was lost
            return None
        has_deletes = any(manifest.content != 0 for manifest in manifests)
        if has_deletes or not self._gone <= live.keys():
            # Deletes are another engine's, and hold for the files as they were.
            self.outcome = Outcome.GIVEN_UP
            return None
        left = without(table, snapshot_id, manifests, self._gone)
        staged = [new_manifest(table, snapshot_id, self._written), *left]
        self.outcome = Outcome.REWRITTEN
        return Staged(staged, positions, Operation.REPLACE, len(self._written), self._rows, len(self._gone), self._rows)
