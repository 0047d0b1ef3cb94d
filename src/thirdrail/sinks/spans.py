"""What of a span a destination still lacks; one definition for every sink."""

import pyarrow as pa
import pyarrow.compute as pc

from thirdrail.errors import PositionGap
from thirdrail.model.records import Position, Span


def record_offsets(rows: pa.Table, given: pa.Array | None) -> pa.Array:
    """Give the log record that produced each row: as given, else the row's capture."""
    return rows.column("capture_offset").combine_chunks() if given is None else given


def refuse_gap(table: str, sent_to: Position | None, span: Span) -> None:
    """Refuse a span that does not begin where the last one ended, or below.

    Raises:
        PositionGap: rows between the two would be lost.
    """
    if sent_to is not None and span.start > sent_to:
        raise PositionGap(
            f"{table} was sent up to {sent_to}, but the span starts at {span.start}: "
            f"rows of offsets {sent_to} to {span.start - 1} would be lost",
            hint="this is a defect of Third Rail; the tables are unharmed",
        )


def still_wanted(rows: pa.Table, offsets: pa.Array, span: Span, position: Position | None, table: str) -> pa.Table:
    """Give the rows of the span at or above the position.

    Raises:
        PositionGap: the span starts above the position.
    """
    if position is None or position == span.start:
        return rows
    if span.start > position:
        raise PositionGap(
            f"{table} is at position {position}, but the span starts at {span.start}: "
            f"rows of offsets {position} to {span.start - 1} would be lost",
            hint="this is a defect of Third Rail; the tables are unharmed",
        )
    return rows.filter(pc.greater_equal(offsets, position))
