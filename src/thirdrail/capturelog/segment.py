"""One day of the spool: a SQLite file of records in order of offset.

Written in WAL mode with ``synchronous=FULL``; a closed day is checkpointed and back in DELETE mode, so that it
is one file that may be copied. Bodies are compressed with zstd 3.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from thirdrail.errors import DiskFull, LogDamaged
from thirdrail.model.records import Entry, Offset, Poll, Record, Settings, pack, unpack

_ZSTD = pa.Codec("zstd", compression_level=3)
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
CREATE TABLE records (
    offset INTEGER PRIMARY KEY, kind TEXT NOT NULL, feed_id TEXT, origin TEXT, fetched_at INTEGER,
    appended_at INTEGER NOT NULL, record BLOB NOT NULL, duplicate_of INTEGER, sha256 TEXT,
    body_bytes INTEGER, body BLOB
);
CREATE INDEX stream ON records (feed_id, origin, offset);
CREATE INDEX digest ON records (sha256) WHERE body IS NOT NULL;
"""
_COLUMNS = "offset, record, body_bytes, body"
_BUSY_TIMEOUT_S = 30.0


class Row(NamedTuple):
    """A record as it lies in the file, its body still compressed."""

    offset: Offset
    record: Record
    body_bytes: int | None
    body: bytes | None

    def entry(self) -> Entry:
        """Give the entry with its own body."""
        if self.body is None or self.body_bytes is None:
            return Entry(self.offset, self.record, None)
        return Entry(self.offset, self.record, _ZSTD.decompress(self.body, self.body_bytes, asbytes=True))


def compressed(body: bytes) -> bytes:
    """Give a body as it is stored."""
    return bytes(_ZSTD.compress(body, asbytes=True))


@contextmanager
def translated(path: Path, offsets: str = "") -> Iterator[None]:
    """Turn SQLite's exceptions into ours: full disk, damage, everything else that a file can do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "full" in str(error):
            raise DiskFull(f"no space left for {path}", hint="free some space; nothing is lost") from error
        raise LogDamaged(f"{path} cannot be read{offsets}: {error}", hint="the other days stay readable") from error
    except sqlite3.DatabaseError as error:
        raise LogDamaged(f"{path} is damaged{offsets}: {error}", hint="the other days stay readable") from error


class Segment:
    """One file, first offset known from its name; opened for reading anew in every call, for writing once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.day, first = path.stem.split("_")
        self.first = int(first)

    @classmethod
    def create(cls, directory: Path, day: str, first: Offset, settings: Settings | None, log_id: str) -> "Segment":
        """Make a new day's file; its tables, first offset and the settings in force come in one transaction."""
        path = directory / f"{day}_{first:012d}.sqlite"
        with translated(path), closing(_connect(path)) as db:
            db.execute("PRAGMA page_size=16384")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            values = [("log_id", log_id.encode()), ("first", str(first).encode())]
            if settings is not None:
                values.append(("settings_before", pack(settings)))
            db.executescript(f"BEGIN;{_SCHEMA}")
            db.executemany("INSERT INTO meta VALUES (?, ?)", values)
            db.execute("COMMIT")
        return cls(path)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a read-only connection for one short transaction; works on a read-only disk too."""
        with translated(self.path, f" (offsets from {self.first})"), closing(self._open_for_reading()) as db:
            yield db

    def _open_for_reading(self) -> sqlite3.Connection:
        db = _connect(self.path, "mode=ro")
        try:
            db.execute("SELECT 1 FROM meta LIMIT 1")
        except sqlite3.OperationalError:
            db.close()
            wal = self.path.with_name(self.path.name + "-wal")
            if wal.exists() and wal.stat().st_size:
                raise
            return _connect(self.path, "mode=ro&immutable=1")
        return db

    def rows(self, where: str, parameters: tuple[object, ...], limit: int, *, bodies: bool = True) -> list[Row]:
        """Give records that satisfy a condition, in the order that it names."""
        columns = _COLUMNS if bodies else "offset, record, body_bytes, NULL"
        with self.reading() as db:
            found = db.execute(f"SELECT {columns} FROM records WHERE {where} LIMIT ?", (*parameters, limit)).fetchall()
        return [Row(offset, unpack(record), size, body) for offset, record, size, body in found]

    def value(self, query: str, *parameters: object) -> object:
        """Give the first column of the first row of a query; None without a row."""
        with self.reading() as db:
            found = db.execute(query, parameters).fetchone()
        return None if found is None else found[0]

    def last(self) -> Offset | None:
        """Give the highest offset; None for an empty file."""
        found = self.value("SELECT max(offset) FROM records")
        return None if found is None else int(str(found))

    def settings_before(self, position: int) -> Settings | None:
        """Give the last settings below a position that this file knows of."""
        found = self.value(
            "SELECT record FROM records WHERE kind = 'settings' AND offset < ? ORDER BY offset DESC LIMIT 1", position
        )
        if found is None:
            found = self.value("SELECT value FROM meta WHERE name = 'settings_before'")
        settings = unpack(found) if isinstance(found, bytes) else None
        return settings if isinstance(settings, Settings) else None

    def writer(self) -> sqlite3.Connection:
        """Give the connection that appends."""
        with translated(self.path):
            db = _connect(self.path)
            db.execute("PRAGMA synchronous=FULL")
            return db

    def close_day(self, db: sqlite3.Connection) -> None:
        """Leave one plain file: checkpoint, back to DELETE mode."""
        with translated(self.path):
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            db.execute("PRAGMA journal_mode=DELETE")
        db.close()


def _connect(path: Path, mode: str = "mode=rwc") -> sqlite3.Connection:
    address = f"file:{str(path.absolute()).replace('%', '%25').replace('?', '%3f').replace('#', '%23')}?{mode}"
    return sqlite3.connect(address, uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)


def insertion(offset: Offset, record: Record, body: bytes | None, appended_at: int) -> tuple[object, ...]:
    """Give the values of one row."""
    poll = record if isinstance(record, Poll) else None
    return (
        offset,
        record.__struct_config__.tag,
        poll.feed_id if poll else None,
        poll.origin if poll else None,
        poll.fetched_at if poll else None,
        appended_at,
        pack(record),
        poll.duplicate_of if poll else None,
        poll.body_sha256 if poll else None,
        None if body is None else len(body),
        None if body is None else compressed(body),
    )
