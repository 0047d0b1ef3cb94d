"""The local catalog: SQLite beside a directory of files."""

import sqlite3
from pathlib import Path

from pyiceberg.catalog.sql import SqlCatalog
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from thirdrail.errors import NoDataYet

FILE_NAME, WAREHOUSE = "catalog.sqlite", "warehouse"
BUSY_TIMEOUT_MS = 30_000


def open_catalog(folder: Path, *, create: bool) -> SqlCatalog:
    """Give the catalog of a data folder: WAL, ``synchronous=FULL``, 30 s of patience.

    Raises:
        NoDataYet: there is none and ``create`` is false.
    """
    path = (folder / FILE_NAME).absolute()
    if not path.exists():
        if not create:
            raise NoDataYet(f"{folder} holds no tables yet", hint="fill it first: thirdrail replay PATH --feed ID")
        (folder / WAREHOUSE).mkdir(parents=True, exist_ok=True)
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA journal_mode=WAL")
    try:
        catalog = _catalog(folder, path)
    except OperationalError:
        # Two processes found no tables of the catalog and both made them; the second finds them now.
        catalog = _catalog(folder, path)
    event.listen(catalog.engine, "connect", _be_patient_and_durable)
    catalog.engine.dispose()
    return catalog


def _catalog(folder: Path, path: Path) -> SqlCatalog:
    return SqlCatalog(
        "thirdrail",
        uri=f"sqlite:///{path}",
        warehouse=(folder / WAREHOUSE).absolute().as_uri(),
        **{"py-io-impl": "thirdrail.sinks.iceberg.files.DurableFileIO"},
    )


def _be_patient_and_durable(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()
