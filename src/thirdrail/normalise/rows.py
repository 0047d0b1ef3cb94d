"""What goes into normalising and what comes out of it, whatever the format."""

from typing import NamedTuple

import polars as pl

from thirdrail.decode.decoded import Decoded


class Raw(NamedTuple):
    """The decoder's tables as frames (shapes: :class:`thirdrail.decode.decoded.Decoded`)."""

    headers: pl.DataFrame
    entities: pl.DataFrame
    tables: dict[str, pl.DataFrame]

    @classmethod
    def of(cls, decoded: Decoded) -> "Raw":
        """Give the frames of the decoder's Arrow tables without copying."""
        tables = {name: pl.from_arrow(table) for name, table in decoded.tables.items()}
        return cls(pl.from_arrow(decoded.headers), pl.from_arrow(decoded.entities), tables)  # type: ignore[arg-type]

    def numbered(self, numbers: list[int]) -> "Raw":
        """Give the same with ``message_index`` taken from a list: a message's number in a larger call."""
        new = pl.Series("message_index", numbers, dtype=pl.Int32)

        def renumbered(frame: pl.DataFrame) -> pl.DataFrame:
            return frame.with_columns(new.gather(frame["message_index"]))

        tables = {name: renumbered(frame) for name, frame in self.tables.items()}
        return Raw(renumbered(self.headers), renumbered(self.entities), tables)


class Canonical(NamedTuple):
    """``messages``: one row per capture; ``frames``: table name → rows aligned with the decoder's."""

    messages: pl.DataFrame
    frames: dict[str, pl.DataFrame]
