"""Rows of a span of the log give way to others, in one snapshot: a reader sees the old ones or the new ones.

Files that hold rows of the span are taken out; what else they hold is written anew. Positions stay, and so do rows of
other logs. When another commit comes first, the same is staged again on the new head.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog import Catalog
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.snapshots import Operation

from thirdrail.errors import TableUnreadable
from thirdrail.model.ports import Clock
from thirdrail.model.records import Span
from thirdrail.model.tables import NAMESPACE, Table
from thirdrail.sinks.iceberg.commit import Staged, commit
from thirdrail.sinks.iceberg.data_file import write_data_files
from thirdrail.sinks.iceberg.manifests import new_manifest, parent_manifests, without
from thirdrail.sinks.iceberg.positions import Positions, begun_properties, since_properties
from thirdrail.sinks.iceberg.reader import PinnedTable, pin_loaded


@dataclass(slots=True)
class Exchanged:
    """What became of an exchange: rows of the span before, and the locations of the files that went."""

    rows_before: int = 0
    gone: set[str] = field(default_factory=set)


def exchange(
    catalog: Catalog, table: Table, source: tuple[str, str], span: Span, files: Sequence[DataFile], clock: Clock
) -> Exchanged:
    """Put files in place of a table's rows of a span of one log and partition. Blocks; holds a file's rows at a time.

    Raises:
        TableUnreadable: another engine has deleted rows here, and which is told by place in the files.
        CommitConflict, CatalogUnavailable: as of every commit.
    """
    name = (NAMESPACE, table.name)
    done = Exchanged()
    rest_of: dict[str, tuple[list[DataFile], int]] = {}

    def stage(found: IcebergTable, positions: Positions, snapshot_id: int) -> Staged | None:
        pinned = pin_loaded(found, table)
        if pinned.deletes:
            raise TableUnreadable(
                f"{table.name}: another engine has deleted rows, and says which by their place in files",
                hint="let it rewrite the table's data files first",
            )
        there = {file.file_path for file in pinned.files}
        if files and all(file.file_path in there for file in files):
            return None  # it landed, and the answer was lost
        affected = [file for file in pinned.files if _may_hold(pinned, file, span)]
        for file in affected:
            if file.file_path not in rest_of:
                rest_of[file.file_path] = _rest(found, pinned, file, source[0], span)
        touched = [file for file in affected if rest_of[file.file_path][1]]
        new = [*files, *(rest for file in touched for rest in rest_of[file.file_path][0])]
        gone = {file.file_path for file in touched}
        done.gone, done.rows_before = gone, sum(rest_of[path][1] for path in gone)
        removed = sum(file.record_count for file in touched)
        left = without(found, snapshot_id, parent_manifests(found), gone)
        manifests = [new_manifest(found, snapshot_id, new), *left] if new else left
        added = sum(file.record_count for file in new)
        moved = _since(pinned, source, span)
        return Staged(manifests, positions, Operation.OVERWRITE, len(new), added, len(gone), removed, properties=moved)

    commit(catalog, name, stage, clock)
    return done


def _may_hold(pinned: PinnedTable, file: DataFile, span: Span) -> bool:
    """Whether a file can hold rows of the span, by its bounds where it has values; without bounds it can."""
    nulls = file.null_value_counts or {}
    for name in ("capture_offset", "restored_by_offset"):
        if name in pinned.field_ids and nulls.get(pinned.field_ids[name]) != file.record_count:
            low, high = pinned.bounds(file, name)
            if low is None or high is None or (low < span.end and high >= span.start):
                return True
    return False


def _rest(
    target: IcebergTable, pinned: PinnedTable, file: DataFile, log_id: str, span: Span
) -> tuple[list[DataFile], int]:
    """Write what a file holds beside the span's rows; give those files, and how many rows of the span it held."""
    rows = pinned.read([file], pinned.table.names())
    record = rows.column("capture_offset")
    if "restored_by_offset" in rows.column_names:
        record = pc.coalesce(rows.column("restored_by_offset"), record)
    is_ours = pc.equal(rows.column("capture_log"), log_id)
    inside = pc.and_(pc.greater_equal(record, span.start), pc.less(record, span.end))
    rest: pa.Table = rows.filter(pc.invert(pc.and_(is_ours, inside)))
    held = len(rows) - len(rest)
    return (write_data_files(target, pinned.table, rest) if held and len(rest) else []), held


def _since(pinned: PinnedTable, source: tuple[str, str], span: Span) -> dict[str, str]:
    """Give, for columns that came within the span, that they came at its start: its rows have them now.

    The same for the table itself, where it began within the span.
    """
    moved: dict[str, str] = {}
    for column, at in pinned.since.items():
        if span.start < at.get(source, 0) <= span.end:
            moved |= since_properties(column, {source: span.start})
    if span.start < pinned.begun.get(source, 0) <= span.end:
        moved |= begun_properties(source, span.start)
    return moved
