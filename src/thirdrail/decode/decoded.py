"""What a decoder gives, whatever the format: raw fields as Arrow tables, and what did not parse."""

from dataclasses import dataclass, field

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class BadEntity:
    """An entity that does not parse; the rest of its message is fine."""

    message_index: int
    entity_ordinal: int
    data: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """Raw fields of several messages; rows in order of message, entity and place in it.

    ``message_index`` is the place in the call's bodies; ``headers`` has one row per message that decodes,
    ``entities`` one per entity; ``tables`` are named as the canonical tables that they become, and ``parent`` in
    one is the row number in its parent's. ``failed`` maps a message that has no rows anywhere to the reason.
    """

    headers: pa.Table
    entities: pa.Table
    tables: dict[str, pa.Table]
    bad_entities: list[BadEntity] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
