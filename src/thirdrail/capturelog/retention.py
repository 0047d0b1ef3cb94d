"""Which day files may be deleted: too old or too many bytes, and needed by nobody."""

from datetime import UTC, datetime
from itertools import pairwise

from thirdrail.capturelog.segment import Segment
from thirdrail.errors import LogDamaged
from thirdrail.model.records import Position

KEEP_BELOW_ACKNOWLEDGED_US = 3_600_000_000
"""The log keeps an hour below every acknowledgement: a pipeline reads 40 minutes back when it opens."""

_DAY_US = 86_400_000_000


def expired(segments: list[Segment], lowest: Position, now: int, *, days: float, size: int) -> list[Segment]:
    """Give the oldest files that may go; ``lowest`` is the lowest acknowledged position, ``size`` in bytes.

    Never the newest file, never one that reaches into the hour below ``lowest``, never one whose body a kept
    duplicate names. A damaged file is judged by the day in its name.
    """
    acknowledged_at = _acknowledged_at(segments, lowest)
    sizes = [segment.space() for segment in segments]
    total = sum(sizes)
    found: list[Segment] = []
    for place, (segment, after) in enumerate(pairwise(segments)):
        last = _last_append(segment)
        is_due = last < now - days * _DAY_US or total > size
        is_behind = after.first <= lowest and last <= acknowledged_at - KEEP_BELOW_ACKNOWLEDGED_US
        if not (is_due and is_behind) or _is_named(segment, after.first, segments[place + 1 :]):
            break
        total -= sizes[place]
        found.append(segment)
    return found


def _acknowledged_at(segments: list[Segment], position: Position) -> int:
    """Give when the first record wanted was appended, or the last below it while there is none; 0 if unknown."""
    wanted = [segment for segment in segments if segment.above is None or segment.above > position]
    for segment in wanted:
        found = _appended(segment, "offset >= ? ORDER BY offset", position, damaged=_starts_at(segment))
        if found is not None:
            return found
    for segment in reversed(segments):
        found = _appended(segment, "offset < ? ORDER BY offset DESC", position, damaged=_starts_at(segment))
        if found is not None:
            return found
    return 0


def _appended(segment: Segment, where: str, position: Position, *, damaged: int) -> int | None:
    try:
        return segment.number(f"SELECT appended_at FROM records WHERE {where} LIMIT 1", position)
    except LogDamaged:
        return damaged


def _last_append(segment: Segment) -> int:
    """Give when its last record was appended; of an empty file, when its day began; of a damaged one, ended."""
    day = _starts_at(segment)
    found = _appended(segment, "offset >= ? ORDER BY offset DESC", segment.first, damaged=day + _DAY_US)
    return day if found is None else found


def _starts_at(segment: Segment) -> int:
    return int(datetime.fromisoformat(segment.day).replace(tzinfo=UTC).timestamp()) * 1_000_000


def _is_named(segment: Segment, above: Position, kept: list[Segment]) -> bool:
    return any(_names(other, segment.first, above) for other in kept)


def _names(other: Segment, first: Position, above: Position) -> bool:
    query = "SELECT 1 FROM records WHERE duplicate_of >= ? AND duplicate_of < ? LIMIT 1"
    try:
        return other.number(query, first, above) is not None
    except LogDamaged:
        # A duplicate that cannot be read needs no body; else one damaged day would keep all before it for ever.
        return False
