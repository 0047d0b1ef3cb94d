"""Tables of a folder that was moved: every location in their metadata is written anew.

Iceberg names files by absolute locations, in four layers: the catalog's row, the metadata, the manifest list and the
manifests. Beside the old ones new files are written that say the same of the new place, for the current snapshot alone;
then one transaction lets the catalog name them. Until it commits nothing has changed, and a second call begins anew.
"""

from uuid import uuid4

from pyiceberg.catalog.sql import IcebergTables, SqlCatalog
from pyiceberg.io.pyarrow import PyArrowFile
from pyiceberg.manifest import DataFile, ManifestEntry, ManifestEntryStatus, ManifestFile
from pyiceberg.serializers import FromInputFile, ToOutputFile
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from thirdrail.errors import TableUnreadable
from thirdrail.sinks.iceberg.files import DurableFileIO
from thirdrail.sinks.iceberg.manifests import write_list, writer_of

_KEPT = (
    "content",
    "file_format",
    "partition",
    "record_count",
    "file_size_in_bytes",
    "column_sizes",
    "value_counts",
    "null_value_counts",
    "nan_value_counts",
    "lower_bounds",
    "upper_bounds",
    "key_metadata",
    "split_offsets",
    "equality_ids",
    "sort_order_id",
)


class _Place:
    """Where things were, and where they are."""

    def __init__(self, old: str, new: str) -> None:
        self._old, self._new = f"file://{old.rstrip('/')}/", f"file://{new.rstrip('/')}/"

    def is_old(self, location: str) -> bool:
        return location.startswith(self._old)

    def moved(self, location: str) -> str:
        return self._new + location.removeprefix(self._old) if self.is_old(location) else location


class _MovedFileIO(DurableFileIO):
    """Reads files by the names that they had before."""

    place: _Place

    def new_input(self, location: str) -> PyArrowFile:
        return super().new_input(self.place.moved(location))


def relocate(catalog: SqlCatalog, old: str, new: str) -> list[str]:
    """Let the tables of a catalog that were below one absolute path be below another; give their names. Blocks.

    Raises:
        TableUnreadable: another engine deleted rows by their place in files, which names files too.
    """
    place = _Place(old, new)
    with Session(catalog.engine) as session:
        rows = [row for row in session.scalars(select(IcebergTables)) if place.is_old(row.metadata_location or "")]
        names = [f"{row.table_namespace}.{row.table_name}" for row in rows]
        located = {name: str(row.metadata_location) for name, row in zip(names, rows, strict=True)}
    written = {name: _written(catalog, name, location, place) for name, location in located.items()}
    with Session(catalog.engine) as session:
        for name, location in written.items():
            namespace, _, table = name.rpartition(".")
            session.execute(
                update(IcebergTables)
                .where(
                    IcebergTables.catalog_name == catalog.name,
                    IcebergTables.table_namespace == namespace,
                    IcebergTables.table_name == table,
                    IcebergTables.metadata_location == located[name],
                )
                .values(metadata_location=location, previous_metadata_location=None)
            )
        session.commit()
    return sorted(written)


def _written(catalog: SqlCatalog, name: str, location: str, place: _Place) -> str:
    """Write a table's current snapshot with every location moved; give where its metadata lies."""
    reading = _MovedFileIO(catalog.properties)
    reading.place = place
    before = FromInputFile.table_metadata(reading.new_input(location))
    metadata: TableMetadata = before.model_copy(
        update={"location": place.moved(before.location), "metadata_log": [], "statistics": []}
    )
    table = IcebergTable(
        tuple(name.split(".")), metadata, place.moved(location), DurableFileIO(catalog.properties), catalog
    )
    current = before.current_snapshot()
    if current is not None:
        snapshot = _snapshot(table, name, current, reading, place)
        metadata = metadata.model_copy(
            update={
                "snapshots": [snapshot],
                "refs": {"main": metadata.refs["main"]},
                "snapshot_log": metadata.snapshot_log[-1:],
            }
        )
    version = int(location.rpartition("/")[2].split("-")[0])
    written = f"{metadata.location}/metadata/{version + 1:05d}-{uuid4()}.metadata.json"
    ToOutputFile.table_metadata(metadata, table.io.new_output(written))
    return written


def _snapshot(table: IcebergTable, name: str, current: Snapshot, reading: _MovedFileIO, place: _Place) -> Snapshot:
    manifests = [_manifest(table, name, current, each, reading, place) for each in current.manifests(reading)]
    number = current.sequence_number or 0
    location = write_list(table, current.snapshot_id, None, number, manifests)
    return current.model_copy(update={"manifest_list": location, "parent_snapshot_id": None})


def _manifest(
    table: IcebergTable, name: str, current: Snapshot, manifest: ManifestFile, reading: _MovedFileIO, place: _Place
) -> ManifestFile:
    """Write a manifest whose entries are the same files at the new place."""
    if manifest.content != 0:
        raise TableUnreadable(
            f"{name}: another engine has deleted rows, and says which by the names of files and places in them",
            hint="move the folder back, let that engine rewrite the table's data files, and move again",
        )
    with writer_of(table, current.snapshot_id, manifest.partition_spec_id) as writer:
        for entry in manifest.fetch_manifest_entry(reading, discard_deleted=True):
            file = entry.data_file
            moved = DataFile.from_args(
                file_path=place.moved(file.file_path), **{kept: getattr(file, kept) for kept in _KEPT}
            )
            moved.spec_id = manifest.partition_spec_id
            writer.existing(
                ManifestEntry.from_args(
                    status=ManifestEntryStatus.EXISTING,
                    snapshot_id=entry.snapshot_id,
                    sequence_number=entry.sequence_number,
                    file_sequence_number=entry.file_sequence_number,
                    data_file=moved,
                )
            )
    written: ManifestFile = writer.to_manifest_file()
    return written
