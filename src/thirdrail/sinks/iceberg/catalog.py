"""The local catalog: SQLite beside a directory of files."""

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from pyiceberg.catalog.sql import IcebergTables, SqlCatalog
from pyiceberg.table import CommitTableResponse
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.update import TableRequirement, TableUpdate
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from thirdrail.errors import CatalogUnavailable, NoDataYet

FILE_NAME, WAREHOUSE = "catalog.sqlite", "warehouse"
BUSY_TIMEOUT_MS = 30_000


class LocalCatalog(SqlCatalog):
    """PyIceberg's catalog that reads no metadata file twice: a file of that name never changes.

    What the catalog's row names is asked for at every load, so another process's commit is seen at once; the file it
    names takes 5 ms to parse, of a commit's 13, and is mostly the one we have written last (decision 10).
    """

    def __init__(self, name: str, **properties: str) -> None:
        self._known: dict[str, tuple[str | None, TableMetadata]] = {}
        super().__init__(name, **properties)

    def _convert_orm_to_iceberg(self, orm_table: IcebergTables) -> IcebergTable:
        name, location = orm_table.table_name, orm_table.metadata_location or ""
        known, metadata = self._known.get(name, ("", None))
        if metadata is None or known != location:
            found = super()._convert_orm_to_iceberg(orm_table)
            self._known[name] = (location, found.metadata)
            return found
        return IcebergTable(
            identifier=(*self.identifier_to_tuple(orm_table.table_namespace), name),
            metadata=metadata,
            metadata_location=location,
            io=self._load_file_io(metadata.properties, location),
            catalog=self,
        )

    def commit_table(
        self, table: IcebergTable, requirements: tuple[TableRequirement, ...], updates: tuple[TableUpdate, ...]
    ) -> CommitTableResponse:
        """Commit, and remember the metadata that was written."""
        answer = super().commit_table(table, requirements, updates)
        self._known[table.name()[-1]] = (answer.metadata_location, answer.metadata)
        return answer


def open_catalog(folder: Path, *, create: bool) -> LocalCatalog:
    """Give the catalog of a data folder: WAL, ``synchronous=FULL``, 30 s of patience.

    Raises:
        NoDataYet: there is none and ``create`` is false.
        CatalogUnavailable: it cannot be opened.
    """
    path = (folder / FILE_NAME).absolute()
    if not path.exists():
        if not create:
            raise NoDataYet(f"{folder} holds no tables yet", hint="fill it first: thirdrail replay PATH --feed ID")
        (folder / WAREHOUSE).mkdir(parents=True, exist_ok=True)
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA journal_mode=WAL")
    address = f"sqlite:///{path}"
    if not create and _is_plain_and_fixed(path):
        # Nothing can be made beside it, and all that was committed lies in it.
        address = f"sqlite:///file:{quote(str(path))}?mode=ro&immutable=1&uri=true"
    try:
        catalog = _catalog(folder, address)
    except OperationalError:
        # Two processes found no tables of the catalog and both made them; the second finds them now.
        try:
            catalog = _catalog(folder, address)
        except SQLAlchemyError as error:
            reason = str(error).partition("\n")[0]
            raise CatalogUnavailable(f"{path} cannot be opened: {reason}", hint="nothing is lost") from error
    event.listen(catalog.engine, "connect", _be_patient_and_durable)
    catalog.engine.dispose()
    return catalog


def _is_plain_and_fixed(path: Path) -> bool:
    """Whether a catalog lies where nothing can be written, with nothing in its write-ahead log."""
    log = path.with_name(f"{path.name}-wal")
    is_empty = not log.exists() or log.stat().st_size == 0
    is_fixed = not os.access(path.parent, os.W_OK) or bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
    return is_empty and is_fixed


def _catalog(folder: Path, address: str) -> LocalCatalog:
    return LocalCatalog(
        "thirdrail",
        uri=address,
        # As it stands: Iceberg's readers take a location's path without undoing percent signs.
        warehouse=f"file://{(folder / WAREHOUSE).absolute()}",
        **{"py-io-impl": "thirdrail.sinks.iceberg.files.DurableFileIO"},
    )


def _be_patient_and_durable(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()
