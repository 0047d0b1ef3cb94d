"""A data folder from Python: queries and pictures of any time, read-only, also while another process writes."""

from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from thirdrail.app.data_folder import DataFolder
from thirdrail.errors import MissingLibrary, UsageError
from thirdrail.model.tables import BY_NAME, PICTURE_TABLES
from thirdrail.query.warehouse import Warehouse, open_warehouse
from thirdrail.sinks.iceberg.catalog import open_catalog

if TYPE_CHECKING:
    from pandas import DataFrame  # type: ignore[import-untyped, import-not-found, unused-ignore]


class Answer:
    """The rows of a query, in the form that is wanted."""

    def __init__(self, rows: pa.Table) -> None:
        self._rows = rows

    def arrow(self) -> pa.Table:
        """Give an Arrow table."""
        return self._rows

    def pl(self) -> pl.DataFrame:
        """Give a Polars frame."""
        found = pl.from_arrow(self._rows)
        assert isinstance(found, pl.DataFrame)  # noqa: S101 - of a table it always is one
        return found

    def df(self) -> "DataFrame":
        """Give a pandas frame.

        Raises:
            MissingLibrary: pandas is not installed.
        """
        try:
            import_module("pandas")
        except ImportError as error:
            raise MissingLibrary("df() needs pandas, which is not installed", hint="pip install pandas") from error
        return self._rows.to_pandas()

    def __len__(self) -> int:
        """Give the number of rows."""
        return len(self._rows)


class TableReader:
    """One table: all its rows, or its picture at a time."""

    def __init__(self, warehouse: Warehouse, name: str) -> None:
        self._warehouse, self._name = warehouse, name

    def rows(self) -> Answer:
        """Give every row that was ever written."""
        return Answer(self._warehouse.sql(f"FROM {self._name}"))

    def as_of(self, at: datetime) -> Answer:
        """Give the picture at a time: each feed's last believed poll at or before it.

        Raises:
            UsageError: the time has no zone, or the table holds events and no pictures.
        """
        if at.tzinfo is None:
            raise UsageError(f"as_of wants a time with a zone, seen {at!r}", hint="datetime(…, tzinfo=ZoneInfo(…))")
        return self._picture(f"TIMESTAMPTZ '{at.isoformat()}'")

    def now(self) -> Answer:
        """Give each feed's newest picture."""
        return self._picture("'infinity'::TIMESTAMPTZ")

    def _picture(self, at: str) -> Answer:
        if BY_NAME[self._name] not in PICTURE_TABLES:
            raise UsageError(f"{self._name} holds events, not pictures", hint="rows() gives them all")
        return Answer(self._warehouse.sql(f"FROM {self._name}_as_of({at})"))


class Reading:
    """A data folder opened for reading. Every call looks at the newest state that is complete."""

    def __init__(self, folder: DataFolder) -> None:
        self._warehouse = open_warehouse(open_catalog(folder.path, create=False))

    def sql(self, query: str) -> Answer:
        """Run one query over tables and views (DuckDB's SQL).

        Raises:
            QueryError: the SQL is wrong, with its place, or would write.
        """
        return Answer(self._warehouse.sql(query))

    def table(self, name: str) -> TableReader:
        """Give a table by its name.

        Raises:
            UsageError: there is none of that name.
        """
        if name not in BY_NAME:
            raise UsageError(f"there is no table {name!r}", hint=f"tables: {', '.join(BY_NAME)}")
        return TableReader(self._warehouse, name)


def open_for_reading(path: str | Path) -> Reading:
    """Open a data folder for reading.

    Raises:
        NoDataYet: there is none at the path.
    """
    return Reading(DataFolder.existing(Path(path)))
