"""The catalog of a data folder: SQLite beside the files, or one elsewhere that the folder remembers."""

import os
import sqlite3
import weakref
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import msgspec
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.catalog.sql import IcebergTables, SqlCatalog
from pyiceberg.exceptions import RESTError
from pyiceberg.table import CommitTableResponse
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.update import TableRequirement, TableUpdate
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from thirdrail.errors import CatalogUnavailable, MissingLibrary, NoDataYet, UsageError
from thirdrail.sinks.iceberg.files import is_local, put_file

FILE_NAME, ADDRESS, WAREHOUSE = "catalog.sqlite", "catalog.json", "warehouse"
DURABLE = "thirdrail.sinks.iceberg.files.DurableFileIO"
_S3 = {
    "s3.endpoint": "AWS_ENDPOINT_URL",
    "s3.region": "AWS_REGION",
    "s3.access-key-id": "AWS_ACCESS_KEY_ID",
    "s3.secret-access-key": "AWS_SECRET_ACCESS_KEY",
    "s3.session-token": "AWS_SESSION_TOKEN",
}
"""Properties of files on S3, and the environment variables that every tool of that world reads."""

REST_TOKEN = "THIRDRAIL_REST_TOKEN"  # noqa: S105 - the variable's name
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


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where the tables of a data folder are, when that is not SQLite beside it. No secrets: those come by environment.

    ``warehouse``: the location below which tables lie; the folder's own ``warehouse`` when empty.
    """

    type: Literal["postgresql", "rest"]
    uri: str
    warehouse: str = ""


def address_of(folder: Path) -> Address | None:
    """Give what a data folder remembers; None for SQLite beside it.

    Raises:
        CatalogUnavailable: what it remembers is damaged.
    """
    path = folder / ADDRESS
    try:
        return msgspec.json.decode(path.read_bytes(), type=Address)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise CatalogUnavailable(
            f"{path} is damaged: {error}", hint="it holds type, uri and warehouse, as JSON"
        ) from error


def settle(folder: Path, wanted: Address | None) -> None:
    """Let a data folder remember where its tables are; once it has tables, nowhere else.

    Raises:
        UsageError: its tables are elsewhere.
    """
    known = address_of(folder)
    if wanted is None or wanted == known:
        return
    if known is not None or (folder / FILE_NAME).exists():
        where = f"{known.type} {known.uri}" if known else "SQLite beside it"
        raise UsageError(
            f"the tables of {folder} are in {where}, and the configuration says {wanted.type} {wanted.uri}",
            hint="take the section [catalog] out, or another data folder",
        )
    put_file(folder / ADDRESS, msgspec.json.format(msgspec.json.encode(wanted)) + b"\n")


def open_catalog(folder: Path, *, create: bool) -> Catalog:
    """Give the catalog of a data folder. SQLite: WAL, ``synchronous=FULL``, 30 s of patience.

    Raises:
        NoDataYet: there is none and ``create`` is false.
        CatalogUnavailable: it cannot be opened.
    """
    address = address_of(folder)
    return _beside(folder, create=create) if address is None else _elsewhere(folder, address)


def _elsewhere(folder: Path, address: Address) -> Catalog:
    """Open a catalog on a server; tables lie in the folder, or where the address says."""
    warehouse = address.warehouse or f"file://{(folder / WAREHOUSE).absolute()}"
    properties = {"uri": address.uri, "warehouse": warehouse}
    if is_local(warehouse):
        properties["py-io-impl"] = DURABLE
    else:
        properties |= {name: os.environ[given] for name, given in _S3.items() if given in os.environ}
    try:
        if address.type == "rest":
            token = os.environ.get(REST_TOKEN, "")
            return RestCatalog("thirdrail", **properties, **({"token": token} if token else {}))
        catalog = LocalCatalog("thirdrail", **properties)
        # The pool's connections are closed with whoever used them, not whenever Python comes by.
        weakref.finalize(catalog, catalog.engine.dispose)
    except ImportError as error:
        raise MissingLibrary(
            f"{address.uri} needs a library that is not installed: {error}", hint="pip install 'thirdrail[postgresql]'"
        ) from error
    except (SQLAlchemyError, OSError, RESTError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise CatalogUnavailable(
            f"the catalog at {address.uri} cannot be opened: {reason}",
            hint=f"nothing is lost; credentials: PGPASSWORD for PostgreSQL, {REST_TOKEN} for REST",
        ) from error
    return catalog


def _beside(folder: Path, *, create: bool) -> LocalCatalog:
    """Open SQLite in the folder."""
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
        **{"py-io-impl": DURABLE},
    )


def _be_patient_and_durable(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()
