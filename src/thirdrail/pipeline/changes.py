"""Change keeping: what of a picture differs from the picture before it (design 3a).

All captures of a call are compared at once: every row looks up its key in the picture of its capture's
base, by one join. Nothing here knows positions, clocks or acknowledgements.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple
from zlib import crc32

import polars as pl

from thirdrail.model.tables import Role, Table
from thirdrail.normalise.constant import constant
from thirdrail.quality.keys import row_hashes

BASE_AT_MOST_US = 1_800_000_000
SLOT_US = 900_000_000
CONTENT_SEED = 2000
_MIX = 0x9E3779B97F4A7C15

ADDED, CHANGED, REPEATED, REMOVED, RESTORED, OBSERVED, UNACCEPTED = (
    "added",
    "changed",
    "repeated",
    "removed",
    "restored",
    "observed",
    "unaccepted",
)


def slot(feed_id: str, fetched_at: int) -> int:
    """Give the 15-minute slot of an instant (µs), shifted per feed by a hash that never changes."""
    return (fetched_at + crc32(feed_id.encode()) % 900 * 1_000_000) // SLOT_US


@dataclass(frozen=True, slots=True)
class Picture:
    """The rows of one accepted capture that passed the gate, by table, with their hashes; ``run``: see Recent."""

    offset: int
    fetched_at: int
    run: int
    frames: dict[str, pl.DataFrame]


class Step(NamedTuple):
    """One accepted capture of a call: its number, that of its base (None without), and whether all is written.

    Base numbers below 0 name pictures from before the call.
    """

    cap: int
    base: int | None
    is_full: bool


Unknown = Mapping[str, frozenset[str]]
"""Table → columns that the writer of a span did not know yet (they came later), and so did not compare."""


def content_columns(table: Table, unknown: Unknown = MappingProxyType({})) -> list[str]:
    """Give the columns whose change makes a row ``changed``; ``bits`` stands for ``dq_flags``."""
    left_out = {*table.key, "dq_flags", *unknown.get(table.name, ())}
    return [*(name for name in table.names(Role.CONTENT) if name not in left_out), "bits"]


def with_content_hash(table: Table, frame: pl.DataFrame, unknown: Unknown = MappingProxyType({})) -> pl.DataFrame:
    """Give the frame with ``content_hash`` added."""
    return frame.with_columns(content_hash=row_hashes(frame, content_columns(table, unknown), CONTENT_SEED))


def _place(keys: pl.Series, caps: pl.Series) -> pl.Series:
    return keys ^ (caps.cast(pl.Int64).reinterpret(signed=False) * _MIX)


def _looked_up(caps: pl.Series, values: Mapping[int, int | bool], dtype: type[pl.DataType]) -> pl.Series:
    """Give the value of each row's capture; null where there is none."""
    if not values:
        return constant(None, len(caps), dtype)
    old = pl.Series(list(values), dtype=caps.dtype)
    return caps.replace_strict(old, pl.Series(list(values.values()), dtype=dtype), default=None, return_dtype=dtype)


def changes(
    rows: pl.DataFrame,
    bases: pl.DataFrame | None,
    steps: list[Step],
    refused: pl.DataFrame,
) -> pl.DataFrame:
    """Give the rows to write for the accepted captures of a call.

    ``rows``: passed rows of those captures with ``key_hash`` and ``content_hash``; ``bases``: the same of
    earlier pictures, with ``cap`` below 0; ``refused``: ``cap`` and ``key_hash`` of what the gate refused.
    The result has ``change_kind`` and ``removed_reason`` added and is ordered by ``cap``.
    """
    base_of = {step.cap: step.base for step in steps if step.base is not None}
    full = {step.cap: step.is_full for step in steps}
    known = rows if bases is None else pl.concat([bases, rows])
    places = pl.DataFrame(
        {"place": _place(known["key_hash"], known["cap"]), "old_content": known["content_hash"]}
    ).with_row_index("old_row")
    wanted = _looked_up(rows["cap"], base_of, pl.Int32)
    sought = pl.DataFrame({"place": _place(rows["key_hash"], wanted)})
    found = sought.join(places, on="place", how="left", maintain_order="left")
    is_added = found["old_row"].is_null()
    is_changed = (found["old_content"] != rows["content_hash"]).fill_null(value=False)
    is_full = _looked_up(rows["cap"], full, pl.Boolean)
    kind = constant(REPEATED, len(rows), pl.String).set(is_changed, CHANGED).set(is_added, ADDED).alias("change_kind")
    nothing = constant(None, len(rows), pl.String).alias("removed_reason")
    written = rows.with_columns(kind, nothing).filter(is_added | is_changed | is_full)
    gone = _removed(known, found["old_row"].drop_nulls(), base_of, refused)
    return written if gone.is_empty() else pl.concat([written, gone]).sort("cap", maintain_order=True)


def _removed(known: pl.DataFrame, matched: pl.Series, base_of: dict[int, int], refused: pl.DataFrame) -> pl.DataFrame:
    """Give a marker for each row of a base that its successor lacks: the successor's capture, the base's place."""
    successor = {base: cap for cap, base in base_of.items()}
    gone = constant(True, len(known), pl.Boolean).scatter(matched, values=False)
    lost = known.filter(gone & known["cap"].is_in(list(successor)))
    if lost.is_empty():
        return lost.with_columns(change_kind=pl.lit(REMOVED), removed_reason=pl.lit(None, pl.String))
    lost = lost.with_columns(_looked_up(lost["cap"], successor, pl.Int32).alias("cap"))
    judged = _place(lost["key_hash"], lost["cap"]).is_in(_place(refused["key_hash"], refused["cap"]).implode())
    reason = constant("left", len(lost), pl.String).set(judged, "quarantined").alias("removed_reason")
    return lost.with_columns(constant(REMOVED, len(lost), pl.String).alias("change_kind"), reason)
