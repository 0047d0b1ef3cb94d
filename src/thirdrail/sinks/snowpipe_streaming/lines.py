"""Rows as the lines of JSON that the client sends, made by columns and cut by bytes."""

from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

import msgspec
import polars as pl

from thirdrail.model.tokens import ORDER

CHUNK_BYTES = 1 << 20
CHUNK_ROWS = 10_000
_SLICE_ROWS = 50_000


class Chunk(NamedTuple):
    """Whole rows for one call. ``last`` is the place of the last one in the frame."""

    lines: list[msgspec.Raw]
    last: int
    bytes: int


def chunks(frame: pl.DataFrame, *, chunk_bytes: int = CHUNK_BYTES, chunk_rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
    """Give rows of :func:`tokens.in_order` in calls of at most so many bytes (a longer row goes alone).

    Names as declared, times as ISO 8601 with a zone, nothing for null: what the public call would send for dicts of
    the same values (decision 0016), in a sixth of the time.
    """
    for start in range(0, len(frame), _SLICE_ROWS):
        part = frame[start : start + _SLICE_ROWS].drop(ORDER)
        lines = part.write_ndjson().encode().split(b"\n")[: len(part)]
        yield from _cut(lines, start, chunk_bytes, chunk_rows)


def _cut(lines: list[bytes], start: int, chunk_bytes: int, chunk_rows: int) -> Iterator[Chunk]:
    ends = list(accumulate(map(len, lines)))
    first, sent = 0, 0
    while first < len(lines):
        count = 1
        while first + count < len(lines) and count < chunk_rows and ends[first + count] - sent <= chunk_bytes:
            count += 1
        end = first + count
        yield Chunk([msgspec.Raw(line) for line in lines[first:end]], start + end - 1, ends[end - 1] - sent)
        first, sent = end, ends[end - 1]
