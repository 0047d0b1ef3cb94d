"""Offset tokens: a place in the order in which rows are sent, and its text, by which a channel says how far it is.

``<log>/<offset>`` says that all records below are in; ``<log>/<offset>+<ordinal>.<place>.<kind>`` that of the record
at ``offset`` all rows up to that one are in, and ``…@<capture>`` names the capture of a row that a later record (a
replay order) brought. Rows are sent in this order and resumed strictly after a token, so how they were cut into
requests need not be repeatable: not after a crash, not by another version.
"""

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

import polars as pl
import pyarrow as pa

from thirdrail.errors import PositionUnknown
from thirdrail.model.records import Position
from thirdrail.model.tables import QUARANTINE, Table

_TEXT = re.compile(r"([^/+@]+)/(\d+)(?:\+(-?\d+)\.(-?\d+)\.([a-z_]*)(?:@(\d+))?)?")
_COMPLETE = -1
ORDER = ("_offset", "_capture", "_ordinal", "_place", "_kind")
"""Columns of :func:`in_order` beside a table's own, in the order of a token's parts."""


class Token(NamedTuple):
    """A place in the order of rows. ``capture`` is -1 for "all below ``offset``", and nothing else counts then."""

    offset: Position
    capture: int = _COMPLETE
    ordinal: int = _COMPLETE
    place: int = _COMPLETE
    kind: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether it lies between two records."""
        return self.capture == _COMPLETE

    @property
    def next(self) -> "Token":
        """The place right after it: ``_`` is the first letter that a kind may go on with."""
        return self if self.is_complete else self._replace(kind=f"{self.kind}_")

    def text(self, log_id: str) -> str:
        """Give it as a channel keeps it."""
        if self.is_complete:
            return f"{log_id}/{self.offset}"
        other = "" if self.capture == self.offset else f"@{self.capture}"
        return f"{log_id}/{self.offset}+{self.ordinal}.{self.place}.{self.kind}{other}"


def parsed(text: str, log_id: str, table: str) -> Token:
    """Give the token that a channel keeps.

    Raises:
        PositionUnknown: it is none of ours, or of another log.
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        raise PositionUnknown(
            f"{table}: the channel's offset token is {text!r}, not one of ours",
            hint="another program writes this channel; give this installation another snowflake.deployment",
        )
    if found[1] != log_id:
        raise PositionUnknown(
            f"{table} was filled from capture log {found[1]}, but this is log {log_id}",
            hint="put the old log back, or give this one a snowflake.deployment of its own",
        )
    if found[3] is None:
        return Token(int(found[2]))
    capture = int(found[6]) if found[6] is not None else int(found[2])
    return Token(int(found[2]), capture, int(found[3]), int(found[4]), found[5])


def in_order(table: Table, rows: pa.Table, offsets: pa.Array | None) -> pl.DataFrame:
    """Give rows in the order in which they are sent, with the columns of :data:`ORDER`."""
    frame = pl.DataFrame(rows)
    names = frame.columns
    missing = pl.lit(_COMPLETE, pl.Int64)
    ordinal = pl.col("entity_ordinal").cast(pl.Int64).fill_null(_COMPLETE) if "entity_ordinal" in names else missing
    place_name = table.place or ("place" if "place" in names else "")
    place = pl.col(place_name).cast(pl.Int64).fill_null(_COMPLETE) if place_name else missing
    kind = pl.lit("w")
    if table is QUARANTINE:
        kind = pl.col("target_table").fill_null("")
    elif "change_kind" in names:
        kind = pl.when(pl.col("change_kind") == "removed").then(pl.lit("r")).otherwise(pl.lit("w"))
    record = pl.col("capture_offset") if offsets is None else pl.Series("_offset", offsets)
    keyed = frame.with_columns(
        _offset=record, _capture=pl.col("capture_offset"), _ordinal=ordinal, _place=place, _kind=kind
    )
    return keyed.sort(ORDER, maintain_order=True)


def after(frame: pl.DataFrame, token: Token) -> pl.DataFrame:
    """Give the rows of :func:`in_order` that come strictly after a token."""
    if frame.is_empty() or frame["_offset"][0] > token.offset:
        return frame
    return frame.filter(_beyond(token))


def within(frame: pl.DataFrame, spans: Sequence[tuple[Token, Token]], but: Collection[Token] = ()) -> pl.DataFrame:
    """Give the rows of :func:`in_order` that lie in one of the spans, both ends included, each once.

    Rows of ``but`` are given only where they are a span of their own.
    """
    kinds = {name: frame.schema[name] for name in ORDER}
    alone = pl.DataFrame([first for first, last in spans if first == last], schema=kinds, orient="row")
    chosen = [frame.join(alone, on=ORDER, how="semi")]
    rest = frame.join(pl.DataFrame(list(but), schema=kinds, orient="row"), on=ORDER, how="anti")
    for first, last in spans:
        if first != last:
            chosen.append(rest.filter(_beyond(first, or_at=True) & ~_beyond(last)))
    return pl.concat(chosen).unique(ORDER).sort(ORDER)


def _beyond(token: Token, *, or_at: bool = False) -> pl.Expr:
    later = pl.lit(value=False)
    equal = pl.lit(value=True)
    for name, part in zip(ORDER, token, strict=True):
        later = later | (equal & (pl.col(name) > pl.lit(part)))
        equal = equal & (pl.col(name) == pl.lit(part))
    return later | equal if or_at else later


def token_of(frame: pl.DataFrame, row: int) -> Token:
    """Give the token of a row of :func:`in_order`."""
    offset, capture, ordinal, place, kind = frame.select(ORDER).row(row)
    return Token(offset, capture, ordinal, place, kind)
