"""How far a table is: the positions that its snapshots carry, of every log and partition."""

from collections.abc import Mapping

from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot

PREFIX = "thirdrail.position."
SINCE = "thirdrail.since."
"""Of a table's property: ``thirdrail.since.COLUMN.LOG.PARTITION`` is where the log stood when the column came."""

KEPT_FROM = "thirdrail.kept-from"
"""Of a table's property: the first UTC day (ISO) whose rows are kept; those of earlier days were dropped."""

BEGUN = "thirdrail.begun."
"""Of a table's property: ``thirdrail.begun.LOG.PARTITION`` is where the table began in the log; no row lies below."""

Positions = dict[tuple[str, str], int]


def positions_of(snapshot: Snapshot) -> Positions:
    """Give (log, partition) → position as one snapshot carries them."""
    found: Positions = {}
    properties = snapshot.summary.additional_properties if snapshot.summary else {}
    for name, value in properties.items():
        if name.startswith(PREFIX):
            log_id, _, partition = name.removeprefix(PREFIX).partition(".")
            found[log_id, partition] = int(value)
    return found


def current_positions(metadata: TableMetadata) -> Positions:
    """Give the positions in force: of the current snapshot, or of the nearest ancestor that carries any.

    Snapshots of other engines carry none and are walked past.
    """
    by_id = {snapshot.snapshot_id: snapshot for snapshot in metadata.snapshots}
    snapshot = by_id.get(metadata.current_snapshot_id) if metadata.current_snapshot_id else None
    while snapshot is not None:
        found = positions_of(snapshot)
        if found:
            return found
        snapshot = by_id.get(snapshot.parent_snapshot_id) if snapshot.parent_snapshot_id else None
    return {}


def as_properties(positions: Positions) -> dict[str, str]:
    """Give the positions as a snapshot's summary carries them."""
    return {f"{PREFIX}{log_id}.{partition}": str(position) for (log_id, partition), position in positions.items()}


def columns_since(properties: Mapping[str, str]) -> dict[str, Positions]:
    """Give column → the positions that the table had when it came; rows below them have no value for it."""
    found: dict[str, Positions] = {}
    for name, value in properties.items():
        if name.startswith(SINCE):
            column, log_id, partition = name.removeprefix(SINCE).split(".", 2)
            found.setdefault(column, {})[log_id, partition] = int(value)
    return found


def since_properties(column: str, positions: Positions) -> dict[str, str]:
    """Give the positions at which a column came as a table's properties carry them."""
    return {f"{SINCE}{column}.{log_id}.{partition}": str(at) for (log_id, partition), at in positions.items()}


def begun_positions(properties: Mapping[str, str]) -> Positions:
    """Give where a table began in each log; one that is not named was there from the log's first record on."""
    found: Positions = {}
    for name, value in properties.items():
        if name.startswith(BEGUN):
            log_id, _, partition = name.removeprefix(BEGUN).partition(".")
            found[log_id, partition] = int(value)
    return found


def begun_properties(source: tuple[str, str], position: int) -> dict[str, str]:
    """Give where a table began in a log and partition as its properties carry it."""
    return {f"{BEGUN}{source[0]}.{source[1]}": str(position)}
