"""Manifests of a new snapshot: those of its parent, merged now and then, and one for the new files.

Merging is by size class, eight at a time: every file is rewritten about log₈(n) times in all and the number of
manifests stays near 8·log₈(n), so neither commits nor planning grow with the number of commits.
"""

from collections import defaultdict
from uuid import uuid4

from pyiceberg.manifest import (
    DataFile,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    write_manifest,
    write_manifest_list,
)
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.snapshots import Snapshot

_REMEMBERED_ENTRIES = 4_096
MERGE_AT = 8
LARGEST_CLASS = 4
"""Manifests of 8⁴ files and more are left alone."""


def new_manifest(table: IcebergTable, snapshot_id: int, files: list[DataFile]) -> ManifestFile:
    """Write the manifest of the files that a snapshot adds."""
    with writer_of(table, snapshot_id) as writer:
        for file in files:
            writer.add(
                ManifestEntry.from_args(
                    status=ManifestEntryStatus.ADDED,
                    snapshot_id=snapshot_id,
                    sequence_number=None,
                    file_sequence_number=None,
                    data_file=file,
                )
            )
    manifest: ManifestFile = writer.to_manifest_file()
    return manifest


class _Remembered:
    """The entries of manifests read last: a manifest never changes, and reading one costs 3 ms."""

    def __init__(self, most: int) -> None:
        self._most, self._known = most, dict[str, list[ManifestEntry]]()

    def __call__(self, table: IcebergTable, manifest: ManifestFile) -> list[ManifestEntry]:
        path = manifest.manifest_path
        found = self._known.pop(path, None)
        if found is None:
            found = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
        self._known[path] = found
        while sum(map(len, self._known.values())) > self._most and len(self._known) > 1:
            del self._known[next(iter(self._known))]
        return found


remembered = _Remembered(_REMEMBERED_ENTRIES)
"""Entries of a manifest's live files. For one thread: care's."""


def without(table: IcebergTable, snapshot_id: int, manifests: list[ManifestFile], gone: set[str]) -> list[ManifestFile]:
    """Give manifests without some data files (by location): those that name none of them stay, the rest become one.

    Files that are gone leave no entry of status "deleted": each costs 2 ms to write and as much at every later reading,
    and nobody here looks for it (leftovers are found by what is named, decision 10).
    """
    kept: list[ManifestFile] = []
    survivors: dict[int, list[ManifestEntry]] = defaultdict(list)
    for manifest in manifests:
        entries = remembered(table, manifest)
        staying = [entry for entry in entries if entry.data_file.file_path not in gone]
        if len(staying) == len(entries):
            kept.append(manifest)
        else:
            survivors[manifest.partition_spec_id] += staying
    for spec_id, entries in survivors.items():
        if entries:
            with writer_of(table, snapshot_id, spec_id) as writer:
                for entry in entries:
                    writer.existing(entry)
            kept.append(writer.to_manifest_file())
    return kept


def live_files(table: IcebergTable, manifests: list[ManifestFile]) -> dict[str, DataFile]:
    """Give the data files of manifests by location."""
    found = {}
    for manifest in manifests:
        for entry in remembered(table, manifest):
            found[entry.data_file.file_path] = entry.data_file
    return found


def parent_manifests(table: IcebergTable) -> list[ManifestFile]:
    """Give the manifests of the current snapshot that name anything."""
    parent = table.metadata.current_snapshot()
    if parent is None:
        return []
    return [m for m in parent.manifests(table.io) if m.has_added_files() or m.has_existing_files()]


def merged(table: IcebergTable, snapshot_id: int, manifests: list[ManifestFile]) -> list[ManifestFile]:
    """Give the same files in fewer manifests when eight of a size class have come together."""
    classes: dict[int, list[ManifestFile]] = defaultdict(list)
    for manifest in manifests:
        classes[_size_class(manifest)].append(manifest)
    kept: list[ManifestFile] = []
    for size_class, members in classes.items():
        if len(members) < MERGE_AT or size_class >= LARGEST_CLASS or not _all_alike(table, members):
            kept += members
        else:
            kept.append(_merge(table, snapshot_id, members))
    return kept


def _size_class(manifest: ManifestFile) -> int:
    files = (manifest.added_files_count or 0) + (manifest.existing_files_count or 0)
    size_class = 0
    while files >= MERGE_AT:
        files //= MERGE_AT
        size_class += 1
    return size_class


def _all_alike(table: IcebergTable, manifests: list[ManifestFile]) -> bool:
    """Only manifests of data files under today's partition spec may be merged."""
    return all(m.partition_spec_id == table.spec().spec_id and m.content == 0 for m in manifests)


def _merge(table: IcebergTable, snapshot_id: int, manifests: list[ManifestFile]) -> ManifestFile:
    with writer_of(table, snapshot_id) as writer:
        for manifest in manifests:
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                writer.existing(entry)
    written: ManifestFile = writer.to_manifest_file()
    return written


def writer_of(table: IcebergTable, snapshot_id: int, spec_id: int | None = None):  # type: ignore[no-untyped-def]  # noqa: ANN201 - PyIceberg's own
    """Open a new manifest of a table, under its partition spec of today or another."""
    location = f"{table.location()}/metadata/{uuid4()}-m0.avro"
    return write_manifest(
        format_version=table.metadata.format_version,
        spec=table.spec() if spec_id is None else table.specs()[spec_id],
        schema=table.schema(),
        output_file=table.io.new_output(location),
        snapshot_id=snapshot_id,
        avro_compression="deflate",
    )


def write_list(
    table: IcebergTable, snapshot_id: int, parent: Snapshot | None, sequence_number: int, manifests: list[ManifestFile]
) -> str:
    """Write the manifest list of a snapshot; give its location."""
    location = f"{table.location()}/metadata/snap-{snapshot_id}-0-{uuid4()}.avro"
    with write_manifest_list(
        format_version=table.metadata.format_version,
        output_file=table.io.new_output(location),
        snapshot_id=snapshot_id,
        parent_snapshot_id=parent.snapshot_id if parent else None,
        sequence_number=sequence_number,
        avro_compression="deflate",
    ) as writer:
        writer.add_manifests(manifests)
    return location
