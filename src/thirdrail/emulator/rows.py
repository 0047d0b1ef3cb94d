"""Lines of JSON → typed rows, and those that the table would refuse, each with the reason.

As ``ON_ERROR = CONTINUE`` has it: a bad row harms only itself. A column that the table lacks is ignored, one that the
row lacks is null.
"""

import datetime as dt
import io
from collections.abc import Iterable, Mapping
from typing import Annotated, NamedTuple

import msgspec
import polars as pl
from msgspec import Meta

from thirdrail.model.tables import TABLES
from thirdrail.model.tables.doctor import DOCTOR

_INT = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
_LONG = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_TEXT = Annotated[str, Meta(max_length=16_777_216)]
_KINDS: dict[str, tuple[object, pl.DataType, pl.DataType]] = {
    "string": (_TEXT, pl.String(), pl.String()),
    "int": (_INT, pl.Int32(), pl.Int32()),
    "long": (_LONG, pl.Int64(), pl.Int64()),
    "float": (float, pl.Float64(), pl.Float32()),
    "double": (float, pl.Float64(), pl.Float64()),
    "boolean": (bool, pl.Boolean(), pl.Boolean()),
    "date": (dt.date, pl.String(), pl.Date()),
    "timestamptz": (dt.datetime, pl.String(), pl.Datetime("us", "UTC")),
    "list<string>": (list[str], pl.List(pl.String), pl.List(pl.String)),
}
"""Kind → what JSON must hold, how it is read, how it is kept."""


class Column(msgspec.Struct, frozen=True):
    """One column: its kind is one of string, int, long, float, double, boolean, date, timestamptz, list<string>."""

    kind: str
    required: bool = False


Columns = Mapping[str, Column]


def kept_as(column: Column) -> pl.DataType:
    """Give the type in which a column is kept."""
    return _KINDS[column.kind][2]


def our_tables() -> dict[str, dict[str, Column]]:
    """Give the tables of Third Rail, and the scratch table of its doctor."""
    return {
        table.name: {each.name: Column(each.type, each.required) for each in table.columns}
        for table in (*TABLES, DOCTOR)
    }


class Refused(NamedTuple):
    """A row that the table would not take: its line, and why."""

    payload: bytes
    reason: str


class Judge:
    """Judges the lines of one table."""

    def __init__(self, name: str, columns: Columns) -> None:
        fields: list[tuple[str, object] | tuple[str, object, object]] = []
        for column, told in columns.items():
            kind = _KINDS[told.kind][0]
            fields.append((column, kind) if told.required else (column, kind | None, None))  # type: ignore[operator]
        shape = msgspec.defstruct(name, fields, kw_only=True)  # type: ignore[arg-type]
        self._decoder = msgspec.json.Decoder(shape)
        self._read = {column: _KINDS[told.kind][1] for column, told in columns.items()}
        self._kept = {column: _KINDS[told.kind][2] for column, told in columns.items()}

    @property
    def empty(self) -> pl.DataFrame:
        """No rows."""
        return pl.DataFrame(schema=self._kept)

    def judged(self, body: bytes, spoilt: bytes | None = None) -> tuple[pl.DataFrame, list[Refused]]:
        """Give the rows that the table takes, in order, and the others. Empty lines are none.

        Lines that hold the ``spoilt`` text are refused, whatever else they hold.
        """
        refused: list[Refused] = []
        if spoilt and spoilt in body:
            lines = [line for line in body.split(b"\n") if line.strip()]
            refused = [Refused(line, "spoilt by the emulator's fault") for line in lines if spoilt in line]
            body = b"\n".join(line for line in lines if spoilt not in line)
        try:
            self._decoder.decode_lines(body)
        except msgspec.DecodeError:
            good, bad = self._one_by_one(line for line in body.split(b"\n") if line.strip())
            body, refused = b"\n".join(good), refused + bad
        if not body.strip():
            return self.empty, refused
        frame = pl.read_ndjson(io.BytesIO(body), schema=self._read)
        return frame.with_columns(self._typed(name) for name in self._kept), refused

    def _one_by_one(self, lines: Iterable[bytes]) -> tuple[list[bytes], list[Refused]]:
        good, refused = [], []
        for line in lines:
            try:
                self._decoder.decode(line)
                good.append(line)
            except msgspec.DecodeError as error:
                refused.append(Refused(line, str(error)))
        return good, refused

    def _typed(self, name: str) -> pl.Expr:
        kind, column = self._kept[name], pl.col(name)
        if isinstance(kind, pl.Datetime):
            # ISO 8601 with a zone, or naive and then UTC.
            zoned = column.str.to_datetime(time_unit="us", time_zone="UTC", format="%+", strict=False)
            naive = column.str.to_datetime(time_unit="us", format="%Y-%m-%dT%H:%M:%S%.f", strict=False)
            return pl.coalesce(zoned, naive.dt.replace_time_zone("UTC")).alias(name)
        return column.str.to_date().alias(name) if isinstance(kind, pl.Date) else column.cast(kind)
