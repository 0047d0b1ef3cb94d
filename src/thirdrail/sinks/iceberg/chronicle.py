"""The chronicle: a row of ``commits`` for every snapshot of every table, written before the snapshot is let go.

Exactly once as everything else: a table's sequence number is the position of ``commits`` for it, in the snapshot that
brings the rows.
"""

import sys
from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.snapshots import Operation, Snapshot

from thirdrail.model.ports import Clock
from thirdrail.model.tables import COMMITS, TABLES
from thirdrail.sinks.iceberg.commit import Staged, commit, kept_snapshots, numbered_above
from thirdrail.sinks.iceberg.data_file import write_data_files
from thirdrail.sinks.iceberg.manifests import merged, new_manifest, parent_manifests
from thirdrail.sinks.iceberg.positions import Positions, current_positions, positions_of

EVERY_COMMITS = 16
"""Of a table, between two looks: fifty snapshots are kept, and maintenance makes some of them."""


class Chronicle:
    """Writes down now and then what was committed; for one who commits last of all tables."""

    def __init__(self, catalog: Catalog, namespace: str, clock: Clock) -> None:
        self._catalog, self._namespace, self._clock = catalog, namespace, clock
        self._commits = 0

    def made(self) -> None:
        """Count a commit; write all down before snapshots are let go."""
        self._commits += 1
        if self._commits >= EVERY_COMMITS:
            self.note()

    def note(self) -> None:
        """Write all down.

        Raises:
            CommitConflict, CatalogUnavailable: as of every commit.
        """
        self._commits = 0
        note_commits(self._catalog, self._namespace, self._clock)


def note_commits(catalog: Catalog, namespace: str, clock: Clock) -> int:
    """Write down every snapshot that is not yet; give how many. ``commits`` exists. Repeating is harmless.

    Raises:
        CommitConflict, CatalogUnavailable: as of every commit.
    """
    found = [row for table in _tables(catalog, namespace) for row in snapshots_of(table)]
    written = 0

    def stage(table: IcebergTable, positions: Positions, snapshot_id: int) -> Staged | None:
        nonlocal written
        new = [row for row in found if int(str(row["sequence_number"])) > positions.get(_key(row), 0)]
        written = len(new)
        if not new:
            return None
        files = write_data_files(table, COMMITS, pa.Table.from_pylist(new, schema=COMMITS.arrow_schema))
        manifests = [new_manifest(table, snapshot_id, files), *merged(table, snapshot_id, parent_manifests(table))]
        after = positions | {_key(row): int(str(row["sequence_number"])) for row in new}
        return Staged(manifests, after, Operation.APPEND, len(files), len(new))

    commit(catalog, (namespace, COMMITS.name), stage, clock)
    return written


def noted_up_to(catalog: Catalog, table: IcebergTable) -> int:
    """Give the sequence number up to which ``commits`` has a table's snapshots; endless where it keeps none of them."""
    namespace, name = table.name()
    if name not in {each.name for each in TABLES}:
        return sys.maxsize
    try:
        positions = current_positions(catalog.load_table((namespace, COMMITS.name)).metadata)
    except NoSuchTableError:
        return sys.maxsize
    return positions.get((str(table.metadata.table_uuid), name), 0)


def note_in_time(catalog: Catalog, name: tuple[str, str], clock: Clock) -> None:
    """Write all down when the next commits of a table could push out a snapshot that is not; call it before each.

    Raises:
        CommitConflict, CatalogUnavailable: as of every commit; better none is made now.
    """
    table = catalog.load_table(name)
    waiting = len(numbered_above(table.metadata, noted_up_to(catalog, table)))
    if waiting and waiting + EVERY_COMMITS > kept_snapshots(table.metadata):
        note_commits(catalog, name[0], clock)


def _key(row: dict[str, object]) -> tuple[str, str]:
    return str(row["table_uuid"]), str(row["table_name"])


def _tables(catalog: Catalog, namespace: str) -> Iterator[IcebergTable]:
    for table in TABLES:
        try:
            yield catalog.load_table((namespace, table.name))
        except NoSuchTableError:
            continue


def snapshots_of(table: IcebergTable) -> Iterable[dict[str, object]]:
    """Give the snapshots that a table keeps as rows of ``commits``, oldest first."""
    metadata = table.metadata
    before: Positions | None = None
    for snapshot in sorted(metadata.snapshots, key=lambda each: each.sequence_number or 0):
        after = positions_of(snapshot)
        if snapshot.parent_snapshot_id is None:
            before = {}
        yield {
            "table_name": table.name()[-1],
            "table_uuid": str(metadata.table_uuid),
            "snapshot_id": snapshot.snapshot_id,
            "sequence_number": snapshot.sequence_number or 0,
            "committed_at": snapshot.timestamp_ms * 1_000,
            **_span(before, after),
            **_counts(snapshot),
        }
        before = after or before


def _span(before: Positions | None, after: Positions) -> dict[str, object]:
    """Give the log and span whose rows a snapshot brought; of the oldest that is kept, where it begins is unknown."""
    moved = [key for key, position in after.items() if before is None or before.get(key) != position]
    if len(moved) != 1:
        return dict.fromkeys(("capture_log", "log_partition", "start_offset", "end_offset"))
    (key,) = moved
    start = None if before is None else before.get(key)
    return {"capture_log": key[0], "log_partition": key[1], "start_offset": start, "end_offset": after[key]}


def _counts(snapshot: Snapshot) -> dict[str, object]:
    summary = snapshot.summary
    told = {} if summary is None else summary.additional_properties
    return {
        "operation": "append" if summary is None else summary.operation.value,
        "added_rows": int(told.get("added-records", "0")),
        "removed_rows": int(told.get("deleted-records", "0")),
        "added_files": int(told.get("added-data-files", "0")),
        "total_rows": int(told.get("total-records", "0")),
        "total_files": int(told.get("total-data-files", "0")),
    }
