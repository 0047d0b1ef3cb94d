"""How the spool's SQLite files are opened, and how SQLite's exceptions become ours."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from thirdrail.errors import DiskFull, LogBusy, LogDamaged

BUSY_TIMEOUT_S = 30.0
_FULL_BELOW_BYTES = 1 << 20
_PRIMARY = 0xFF
_FULL = {errno.ENOSPC, errno.EDQUOT}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_CANNOT_OPEN = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
# A full disk also shows as a failed write of the shared-memory file, or as a WAL that cannot be made.
_PERHAPS_FULL = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}


def connect(path: Path, mode: str, timeout_s: float = BUSY_TIMEOUT_S) -> sqlite3.Connection:
    """Give a connection in autocommit mode; ``mode`` is the query of SQLite's file URI (``mode=ro``)."""
    address = f"file:{str(path.absolute()).replace('%', '%25').replace('?', '%3f').replace('#', '%23')}?{mode}"
    return sqlite3.connect(address, uri=True, timeout=timeout_s, isolation_level=None, check_same_thread=False)


def connect_for_reading(path: Path, probe: str) -> sqlite3.Connection:
    """Give a read-only connection that has answered ``probe``; on a read-only disk too.

    What a killed process left half done (a hot journal) is rolled back first, which a read-only connection may not do.
    A WAL file without its ``-shm`` cannot be opened where none can be made. With nothing in the WAL and no
    journal to roll back, the main file is the whole truth and is read as immutable; only then.

    Raises:
        FileNotFoundError: the file is gone (retention, between listing and reading).
    """
    try:
        return _probed(connect(path, "mode=ro"), probe)
    except sqlite3.OperationalError as error:
        if not path.exists():
            raise FileNotFoundError(path) from error
        if error.sqlite_errorcode & _PRIMARY == sqlite3.SQLITE_READONLY and os.access(path.parent, os.W_OK):
            _probed(connect(path, "mode=rw"), probe).close()
            return _probed(connect(path, "mode=ro"), probe)
        is_plain_and_fixed = not os.access(path.parent, os.W_OK) and not any(map(has_content, siblings(path)))
        if error.sqlite_errorcode & _PRIMARY not in _CANNOT_OPEN or not is_plain_and_fixed:
            raise
        return _probed(connect(path, "mode=ro&immutable=1"), probe)


def _probed(db: sqlite3.Connection, probe: str) -> sqlite3.Connection:
    try:
        db.execute(probe).fetchone()
    except sqlite3.Error:
        db.close()
        raise
    return db


def siblings(path: Path) -> list[Path]:
    """Give the two that may hold content beside a SQLite file: WAL and rollback journal."""
    return [path.with_name(path.name + suffix) for suffix in ("-wal", "-journal")]


def remove(path: Path) -> None:
    """Delete a SQLite file and everything beside it; repeating is harmless."""
    for each in (path, *siblings(path), path.with_name(path.name + "-shm")):
        each.unlink(missing_ok=True)


def has_content(path: Path) -> bool:
    """Tell whether a file is there and not empty."""
    return path.exists() and path.stat().st_size > 0


@contextmanager
def translated(path: Path, offsets: str = "") -> Iterator[None]:
    """Turn what SQLite and the codecs raise into ours; ``offsets`` says which lie in the file.

    A file that is gone stays a FileNotFoundError.

    Raises:
        DiskFull: no space.
        LogBusy: somebody else kept the file locked for longer than the busy time-out.
        LogDamaged: everything else that a file can do.
    """
    where = f"{path}{f' ({offsets})' if offsets else ''}"
    hint = "the other days stay readable"
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
        if code == sqlite3.SQLITE_FULL or (code in _PERHAPS_FULL and _disk_is_full(path)):
            raise DiskFull(f"no space left for {path}", hint="free some space; nothing is lost") from error
        if code in _BUSY:
            raise LogBusy(f"{where} stayed locked for {BUSY_TIMEOUT_S:.0f} s: {error}") from error
        raise LogDamaged(f"{where} is damaged or cannot be read: {error}", hint=hint) from error
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(f"no space left for {path}", hint="free some space; nothing is lost") from error
        raise LogDamaged(f"{where} cannot be read or written: {error}", hint=hint) from error
    except msgspec.MsgspecError as error:
        raise LogDamaged(f"{where} holds a damaged record: {error}", hint=hint) from error


def _disk_is_full(path: Path) -> bool:
    free = os.statvfs(path.parent)
    return free.f_bavail * free.f_frsize < _FULL_BELOW_BYTES


def sync_directory(directory: Path) -> None:
    """Make names that were added to a directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
