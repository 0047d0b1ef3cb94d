"""Which files of a table are worth merging. A function of the files; nothing is read or written.

In tiers, so that the work follows new rows and not the table: eight files of one size become one of the next, and a
file that has reached its size is left alone. A row is rewritten about log₈(rows of a file) times in all. A day that is
over is gathered once more, whatever the tiers.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from pyiceberg.conversions import from_bytes
from pyiceberg.manifest import DataFile
from pyiceberg.types import LongType

MERGE_AT = 8
FULL_ROWS, FULL_BYTES = 1_000_000, 32 << 20
"""A file of so many rows or bytes has its size: merging holds the rows in memory, about 400 MB of them."""

SMALL_ROWS = 4_096
"""Of about one commit of a busy table."""

_SMALLEST_TIER_ROWS = 64


def groups(files: Sequence[DataFile], order_field: int) -> list[list[DataFile]]:
    """Give the groups of files to merge, each of one day; the days that are over first, then the open one's small ones.

    ``order_field``: the field id by whose lower bounds files of a day are put in order (``capture_offset``).
    """
    days: dict[object, list[DataFile]] = defaultdict(list)
    for file in files:
        if not is_full(file):
            days[file.partition[0]].append(file)
    if not days:
        return []
    newest = max(file.partition[0] for file in files)
    found: list[list[DataFile]] = []
    for day in sorted(days):  # type: ignore[type-var]
        inside = sorted(days[day], key=lambda file: _lower(file, order_field))
        found += _tiers(inside) if day == newest else [group for group in _packed(inside) if len(group) > 1]
    return found


def _tiers(files: Iterable[DataFile]) -> Iterator[list[DataFile]]:
    """Give the groups of eight of a size."""
    tiers: dict[int, list[DataFile]] = defaultdict(list)
    for file in files:
        tiers[_tier(file)].append(file)
    for _, members in sorted(tiers.items()):
        whole = len(members) // MERGE_AT * MERGE_AT
        if whole:
            yield from (group for group in _packed(members[:whole]) if len(group) > 1)


def _packed(files: Iterable[DataFile]) -> Iterator[list[DataFile]]:
    """Give runs of files that together are about a full one."""
    group: list[DataFile] = []
    rows = size = 0
    for file in files:
        if group and (rows + file.record_count > FULL_ROWS or size + file.file_size_in_bytes > FULL_BYTES):
            yield group
            group, rows, size = [], 0, 0
        group.append(file)
        rows, size = rows + file.record_count, size + file.file_size_in_bytes
    if group:
        yield group


def size_class(file: DataFile) -> str:
    """Give ``full`` for a file that is left alone, ``small`` for one of a commit's rows or fewer, else ``medium``."""
    if is_full(file):
        return "full"
    return "small" if file.record_count < SMALL_ROWS else "medium"


def is_full(file: DataFile) -> bool:
    """Whether no other would fit in: within a quarter of its size, or it would be merged again for a few rows."""
    return file.record_count * 4 >= FULL_ROWS * 3 or file.file_size_in_bytes * 4 >= FULL_BYTES * 3


def _tier(file: DataFile) -> int:
    tier, rows = 0, file.record_count // _SMALLEST_TIER_ROWS
    while rows >= MERGE_AT:
        tier, rows = tier + 1, rows // MERGE_AT
    return tier


def _lower(file: DataFile, field_id: int) -> int:
    value = (file.lower_bounds or {}).get(field_id)
    return -1 if value is None else int(from_bytes(LongType(), value))
