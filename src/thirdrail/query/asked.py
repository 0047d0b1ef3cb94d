"""Which spans of its tables a query asks for, as DuckDB itself understood it: by the filters that it pushes into scans.

Whatever is not plainly a range of a table's time or of its offsets asks for all of it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from thirdrail.model.tables import Table

_SCAN = "PYTHON_ARROW_SCAN"
_MARK = "|"
"""Between table and column in the names that a plan shows: a scan tells no table, but its columns do."""

_SIGNED = r"(>=|>|<=|<|=)"
_TIME = rf"\(\"{{time}}\" {_SIGNED} TIMESTAMPTZ '([0-9: .+-]+)'\)"
_OFFSET = rf"\(\"{{order}}\" {_SIGNED} (-?[0-9]+)\)"
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
_DAY_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Asked(NamedTuple):
    """What one scan of a table asks for: its time (µs UTC) and its offsets, both ends included."""

    times: tuple[int, int] = (_LEAST, _MOST)
    offsets: tuple[int, int] = (_LEAST, _MOST)

    def days(self) -> tuple[int, int]:
        """Give the first and the last UTC day, as Iceberg counts them."""
        return self.times[0] // _DAY_US, self.times[1] // _DAY_US


def stand_in(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Show a connection an empty table whose scans :func:`asked` knows again."""
    fields = [field.with_name(f"{table.name}{_MARK}{field.name}") for field in table.arrow_schema]
    connection.register(f"_{table.name}", ds.dataset(pa.schema(fields).empty_table()))
    columns = ", ".join(f'"{table.name}{_MARK}{name}" AS {name}' for name in table.names())
    connection.execute(f"CREATE VIEW {table.name} AS SELECT {columns} FROM _{table.name}")


def asked(connection: duckdb.DuckDBPyConnection, query: str, tables: Mapping[str, Table]) -> dict[str, list[Asked]]:
    """Give what each scan of each table asks for; a table that is not in the answer may be wanted whole.

    ``connection`` holds stand-ins of the tables and whatever else the query names. A query that is wrong is wrong when
    it runs.
    """
    found: dict[str, list[Asked]] = {}
    try:
        (row,) = connection.execute(f"EXPLAIN (FORMAT json) {query}").fetchall()
        for plan in json.loads(row[1]):
            for scan in _scans(plan):
                name, mark, _ = _listed(scan["Projections"])[0].partition(_MARK)
                if mark:  # else stations and the like
                    found.setdefault(name, []).append(_asked(_listed(scan.get("Filters", [])), tables[name]))
    except (duckdb.Error, ValueError, KeyError, IndexError):
        return {}
    return found


def _scans(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if plan["name"].strip() == _SCAN:
        yield plan["extra_info"]
    for child in plan["children"]:
        yield from _scans(child)


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _asked(filters: list[str], table: Table) -> Asked:
    """Give what a scan asks for; its filters all hold at once."""
    time = _TIME.format(time=re.escape(f"{table.name}{_MARK}{table.day}"))
    order = _OFFSET.format(order=re.escape(f"{table.name}{_MARK}{table.order}"))
    spans = {time: (_LEAST, _MOST), order: (_LEAST, _MOST)}
    for text in filters:
        for bound, whole in spans.items():
            found = re.fullmatch(rf"{bound}|\({bound} AND {bound}\)", text)
            if found is not None:
                for sign, value in zip(found.groups()[::2], found.groups()[1::2], strict=True):
                    if value is not None:
                        whole = _within(whole, sign, _micros(value) if bound is time else int(value))  # noqa: PLW2901
                spans[bound] = whole
    return Asked(spans[time], spans[order])


def _micros(at: str) -> int:
    return (datetime.fromisoformat(at) - _EPOCH) // timedelta(microseconds=1)


def _within(span: tuple[int, int], sign: str, value: int) -> tuple[int, int]:
    """Give the part of a span of whole numbers that a comparison leaves."""
    first, last = span
    if sign in (">", ">=", "="):
        first = max(first, value + (sign == ">"))
    if sign in ("<", "<=", "="):
        last = min(last, value - (sign == "<"))
    return first, last
