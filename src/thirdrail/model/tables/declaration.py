"""What a table is made of: columns with types, meanings and roles.

A column's role decides how change keeping, ``as_of`` and ``audit`` treat it:

``identity``  differs in every poll: offsets, ordinals, entity ids, feed times
``content``   compared by change keeping
``moment``    follows from content and the header's time; never compared, computed anew by ``as_of``
``lineage``   who wrote it; never compared
"""

from dataclasses import dataclass, field
from enum import StrEnum

import pyarrow as pa

NAMESPACE = "mta"


class Role(StrEnum):
    """What a column means to change keeping."""

    IDENTITY = "identity"
    CONTENT = "content"
    MOMENT = "moment"
    LINEAGE = "lineage"


ARROW_TYPES: dict[str, pa.DataType] = {
    "string": pa.large_string(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "list<string>": pa.large_list(pa.large_string()),
}
"""Iceberg type names as used in declarations, and the Arrow type that carries each."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: Iceberg type, whether it may be null, what it means, where it comes from."""

    name: str
    type: str
    meaning: str
    role: Role = Role.CONTENT
    required: bool = False
    wire: str = ""

    @property
    def arrow(self) -> pa.Field:
        """The Arrow field; nullability as declared."""
        return pa.field(self.name, ARROW_TYPES[self.type], nullable=not self.required)


@dataclass(frozen=True, slots=True)
class Table:
    """One table. ``key`` names the columns that identify a thing within one picture; empty for event tables.

    Rows of a table with a ``parent`` are parts of one of its rows and are refused together with it; ``place`` names
    the column that counts the parts. ``day`` is the column by whose UTC day files lie apart, ``order`` a column of whole
    numbers that rises as rows come. A table that ``came_later`` than data folders is not counted in their older rows
    of ``feed_messages``.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    sort: tuple[str, ...]
    is_picture: bool = True
    parent: str = ""
    place: str = ""
    day: str = "fetched_at"
    order: str = "capture_offset"
    came_later: bool = False
    _index: dict[str, Column] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        """Index the columns by name."""
        object.__setattr__(self, "_index", {column.name: column for column in self.columns})

    def __getitem__(self, name: str) -> Column:
        """Give the column of that name."""
        return self._index[name]

    @property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema of a batch of this table."""
        return pa.schema([column.arrow for column in self.columns])

    def names(self, *roles: Role) -> list[str]:
        """Names of the columns, of these roles only if any are given."""
        return [column.name for column in self.columns if not roles or column.role in roles]


def identity(name: str, kind: str, meaning: str, *, required: bool = True, wire: str = "") -> Column:
    """Give a column that differs in every poll."""
    return Column(name, kind, meaning, Role.IDENTITY, required, wire)


def moment(name: str, kind: str, meaning: str, *, required: bool = False) -> Column:
    """Give a column that follows from content and the header's time."""
    return Column(name, kind, meaning, Role.MOMENT, required)


ENVELOPE: tuple[Column, ...] = (
    identity("feed_id", "string", "the feed this was published in"),
    identity("capture_log", "string", "the log that holds the capture"),
    identity("capture_offset", "long", "the capture's place in that log"),
    identity("origin", "string", "live, or the replay run that brought it"),
    identity("fetched_at", "timestamptz", "when our request began"),
    identity("feed_timestamp", "timestamptz", "time of the feed's header", required=False, wire="header.timestamp"),
    Column("pipeline_version", "int", "version of the code that made the row", Role.LINEAGE, required=True),
)

CHANGE: tuple[Column, ...] = (
    identity(
        "change_kind",
        "string",
        "added, changed, repeated (a full picture), removed, restored; observed or unaccepted when every poll is kept",
    ),
    identity("removed_reason", "string", "left or quarantined, of a removed row", required=False),
    identity("restored_by_offset", "long", "offset of the replay order that restored the row", required=False),
)

ENTITY: tuple[Column, ...] = (
    identity("entity_ordinal", "int", "place of the entity in its message, from 0"),
    identity("entity_id", "string", "not stable for the subway", required=False, wire="entity.id"),
)

FLAGS = Column("dq_flags", "list<string>", "ids of the rules that flag this row", required=True)
