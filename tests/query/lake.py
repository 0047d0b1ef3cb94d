"""Small tables as another program would write them: plain PyIceberg, rows given as dicts."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog

from thirdrail.model.tables import BY_NAME, NAMESPACE, TABLES, Table
from thirdrail.query.warehouse import Warehouse, open_warehouse
from thirdrail.sinks.iceberg.schema import iceberg_schema

FEED, LOG = "subway_1234567s", "log"
START = datetime(2026, 5, 28, 20, 0, tzinfo=UTC)
Row = dict[str, Any]

_EMPTY: dict[str, Any] = {
    "string": "",
    "int": 0,
    "long": 0,
    "float": 0.0,
    "double": 0.0,
    "boolean": False,
    "date": date(2026, 5, 28),
    "timestamptz": START,
    "list<string>": [],
}


def at(seconds: float) -> datetime:
    """So many seconds after the start."""
    return START + timedelta(seconds=seconds)


def arrow(table: Table, rows: Iterable[Row]) -> pa.Table:
    """What a row does not give is empty where the column is required, else null."""
    blank = {column.name: _EMPTY[column.type] for column in table.columns if column.required}
    blank |= {"feed_id": FEED, "capture_log": LOG, "origin": "live"}
    return pa.Table.from_pylist([{**blank, **row} for row in rows], schema=table.arrow_schema)


class Lake:
    """A catalog with every table, empty at first."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.sqlite", warehouse=f"file://{folder}")
        self.catalog.create_namespace(NAMESPACE)
        for table in TABLES:
            self.catalog.create_table((NAMESPACE, table.name), iceberg_schema(table))

    def append(self, name: str, *rows: Row, **positions: int) -> None:
        """Append rows in one snapshot that carries these positions (log → next offset); none is a foreign snapshot."""
        properties = {f"thirdrail.position.{log}.0": str(position) for log, position in positions.items()}
        table = self.catalog.load_table((NAMESPACE, name))
        table.append(arrow(BY_NAME[name], rows), snapshot_properties=properties)

    def data_files(self, name: str) -> list[Path]:
        """Where the rows of a table lie."""
        planned = self.catalog.load_table((NAMESPACE, name)).scan().plan_files()
        return [Path(task.file.file_path.removeprefix("file://")) for task in planned]

    @property
    def warehouse(self) -> Warehouse:
        """Our reading side of it."""
        return open_warehouse(self.catalog)


def message(offset: int, **values: Any) -> Row:
    """One accepted poll a quarter of a minute after the one before; a full picture unless said otherwise."""
    seconds = 15 * offset
    usual = {"fetched_at": at(seconds), "feed_timestamp": at(seconds - 4), "outcome": "ok", "accepted": True}
    return {"capture_offset": offset, **usual, "is_full_picture": True, **values}
