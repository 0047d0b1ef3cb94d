"""Files that dropped out of a table's metadata are deleted later, so that nothing grows without bound.

Only metadata: manifest lists and manifests that no kept snapshot names, and old ``metadata.json`` files. Data
files are never touched. A file must be half an hour old: a writer that froze while it staged will find
``main`` moved by then (a table moves at least every 10 minutes while one writes), so its files are never needed.
Old by two clocks: ours, and that of whoever stores the files, which may be another machine.
"""

from pathlib import Path

from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.table import Table as IcebergTable

from thirdrail.sinks.iceberg.folder import Folder

GRACE_US = 1_800_000_000


def sweep(table: IcebergTable, now: int, grace_us: int = GRACE_US) -> list[str]:
    """Delete what is unreachable and older than the grace period; give the paths in the table's folder.

    Raises:
        OSError: files cannot be listed, read or deleted.
    """
    if isinstance(table.catalog, RestCatalog):
        return []  # a REST catalog's server writes its metadata, and looks after it
    folder = Folder(table)
    there = folder.files("metadata", (".avro", ".json"))
    newest = max((file.written_at for file in there.values()), default=now)
    old = [path for path, file in there.items() if min(now, newest) - file.written_at > grace_us]
    if not old:
        return []
    reachable = _reachable(table)
    unreachable = [path for path in old if Path(path).name not in reachable]
    folder.delete(unreachable)
    return unreachable


def _reachable(table: IcebergTable) -> set[str]:
    """Give the names of all metadata files that the table as loaded can still ask for."""
    metadata = table.metadata
    names = {Path(table.metadata_location).name}
    names |= {Path(entry.metadata_file).name for entry in metadata.metadata_log}
    for snapshot in metadata.snapshots:
        names.add(Path(snapshot.manifest_list).name)
        names |= {Path(manifest.manifest_path).name for manifest in snapshot.manifests(table.io)}
    return names
