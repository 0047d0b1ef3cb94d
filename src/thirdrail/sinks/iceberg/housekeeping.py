"""Files that dropped out of a table's metadata are deleted later, so that nothing grows without bound.

Only metadata: manifest lists and manifests that no kept snapshot names, and old ``metadata.json`` files. Data
files are never touched. A file must be half an hour old: a writer that froze while it staged will find
``main`` moved by then (a table moves at least every 10 minutes while one writes), so its files are never needed.
"""

from pathlib import Path

from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.table import Table as IcebergTable

from thirdrail.sinks.iceberg.files import is_local, local_path

GRACE_US = 1_800_000_000


def sweep(table: IcebergTable, now: int, grace_us: int = GRACE_US) -> list[Path]:
    """Delete what is unreachable and older than the grace period; give the paths. Local warehouses alone."""
    if not is_local(table.location()) or isinstance(table.catalog, RestCatalog):
        return []  # a REST catalog's server writes its metadata, and looks after it
    directory = local_path(table.location()) / "metadata"
    candidates = [path for path in directory.iterdir() if _age_us(path, now) > grace_us]
    if not candidates:
        return []
    reachable = _reachable(table)
    deleted = []
    for path in candidates:
        if path.name not in reachable and path.suffix in (".avro", ".json"):
            path.unlink(missing_ok=True)
            deleted.append(path)
    return deleted


def _age_us(path: Path, now: int) -> int:
    try:
        return now - path.stat().st_mtime_ns // 1000
    except FileNotFoundError:
        return 0


def _reachable(table: IcebergTable) -> set[str]:
    """Give the names of all metadata files that the table as loaded can still ask for."""
    metadata = table.metadata
    names = {Path(table.metadata_location).name}
    names |= {Path(entry.metadata_file).name for entry in metadata.metadata_log}
    for snapshot in metadata.snapshots:
        names.add(Path(snapshot.manifest_list).name)
        names |= {Path(manifest.manifest_path).name for manifest in snapshot.manifests(table.io)}
    return names
