"""Which UTC days a query asks for, as DuckDB itself understood it: from the filters that it pushes down to its scans.

Whatever is not plainly a range of ``fetched_at`` asks for every day.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import duckdb

from thirdrail.sinks.iceberg.reader import Days

_SCAN = "PYTHON_ARROW_SCAN"
_BOUND = r"\(\"fetched_at\" (>=|>|<=|<|=) TIMESTAMPTZ '([0-9: .+-]+)'\)"
_RANGE = re.compile(rf"{_BOUND}|\({_BOUND} AND {_BOUND}\)")
_DAY_S = 86_400
_EVER = (-(1 << 31), (1 << 31) - 1)


def days_asked(connection: duckdb.DuckDBPyConnection, query: str) -> Days | None:
    """Give the first and last day that any scan of a query asks for; None when one asks for every day.

    ``connection`` holds the query's tables, which may be empty. A query that is wrong is wrong when it runs.
    """
    try:
        (row,) = connection.execute(f"EXPLAIN (FORMAT json) {query}").fetchall()
        scans = [_days(scan) for plan in json.loads(row[1]) for scan in _scans(plan)]
    except (duckdb.Error, ValueError):
        return None
    known = [days for days in scans if days is not None]
    if not known or len(known) < len(scans):
        return None
    return min(first for first, _ in known), max(last for _, last in known)


def _scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if plan["name"].strip() == _SCAN:
        yield plan["extra_info"]
    for child in plan["children"]:
        yield from _scans(child)


def _days(scan: dict[str, Any]) -> Days | None:
    """Give the days of one scan; its filters all hold at once."""
    filters = scan.get("Filters", [])
    for text in [filters] if isinstance(filters, str) else filters:
        found = _RANGE.fullmatch(text)
        if found is not None:
            first, last = _EVER
            for sign, at in zip(found.groups()[::2], found.groups()[1::2], strict=True):
                if at is not None:
                    day = int(datetime.fromisoformat(at).timestamp() // _DAY_S)
                    first = day if sign in (">=", ">", "=") else first
                    last = day if sign in ("<=", "<", "=") else last
            return first, last
    return None
