"""What can be asked of a data folder while another process writes it."""

from collections.abc import Callable
from contextlib import suppress

from pyiceberg.exceptions import NoSuchTableError

from thirdrail.app.data_folder import DataFolder
from thirdrail.capturelog.day_files import PARTITION
from thirdrail.capturelog.spool import Spool
from thirdrail.errors import NoDataYet
from thirdrail.maintenance.audit import Audit, AuditReport
from thirdrail.model.tables import COMMITS, TABLES, Table
from thirdrail.observe.clock import SystemClock
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.reader import PinnedTable, pin

Progress = Callable[[int, int], None]


def pinned(folder: DataFolder, table: Table) -> PinnedTable:
    """Give one snapshot of a table.

    Raises:
        NoDataYet: the table does not exist.
    """
    try:
        return pin(open_catalog(folder.path, create=False), table)
    except NoSuchTableError as error:
        raise NoDataYet(
            f"{folder.path} holds no table {table.name} yet", hint="thirdrail replay PATH --feed ID"
        ) from error


def pinned_all(folder: DataFolder) -> list[PinnedTable]:
    """Give one snapshot of every table; of ``commits`` when it is there: older versions made none.

    Raises:
        NoDataYet: a table does not exist.
    """
    found = [pinned(folder, table) for table in TABLES]
    with suppress(NoDataYet):
        found.append(pinned(folder, COMMITS))
    return found


def audit(folder: DataFolder, since: int | None, progress: Progress | None = None) -> AuditReport:
    """Recompute from the log what each table must hold and compare; works beside a writer."""
    log = Spool.open(folder.spool, SystemClock(), writable=False)
    try:
        readers = {table.name: pinned(folder, table) for table in reversed(TABLES)}
        return Audit(log, PARTITION, readers, progress=progress).run(since)
    finally:
        log.close()
