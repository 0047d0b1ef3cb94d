"""One day of the spool: a SQLite file of records in order of offset.

Written in WAL mode with ``synchronous=FULL``; a closed day is checkpointed and back in DELETE mode, so that it
is one file that may be copied. Bodies are compressed with zstd 3 and checked against their digest when read:
SQLite notices a damaged page, not a flipped bit in a body.
"""

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from thirdrail.capturelog.opening import (
    connect,
    connect_for_reading,
    has_content,
    remove,
    siblings,
    sync_directory,
    translated,
)
from thirdrail.errors import LogBusy, LogDamaged
from thirdrail.model.records import Offset, Poll, Position, Record, Settings, pack, unpack

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
CREATE INDEX named ON records (duplicate_of) WHERE duplicate_of IS NOT NULL;
"""
_INSERT = f"INSERT INTO records VALUES ({','.join('?' * 11)})"
NEWBORN = "newborn-{}.tmp"
_FORMAT_PLACE = 18  # of SQLite's header: 1 rollback journal, 2 WAL
_WAL = 2
_ROW_BYTES_AT_LEAST = 20
_READ_AGAIN_S = (0.02, 0.05, 0.1)
_PRIMARY = 0xFF
_PERHAPS_PASSING = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL}


class Finished(Exception):
    """Nothing is appended to this file any more; ``above`` is the next file's first offset."""

    def __init__(self, above: Position) -> None:
        super().__init__(above)
        self.above = above


class Row(NamedTuple):
    """A record as it lies in the file, its body still compressed."""

    offset: Offset
    record: Record
    body_bytes: int | None
    body: bytes | None


class Segment:
    """One file, day and first offset known from its name; ``above`` is the next file's first offset, if any.

    Opened for reading anew in every call, so any thread may ask; read calls raise FileNotFoundError when
    retention has deleted the file meanwhile.
    """

    def __init__(self, path: Path, above: Position | None = None) -> None:
        self.path, self.above = path, above
        self.day, first = path.stem.split("_")
        self.first = int(first)

    @classmethod
    def listed(cls, directory: Path) -> list["Segment"]:
        """Give the day files of a directory in order of their first offset."""
        found = sorted((int(path.stem.split("_")[1]), path) for path in directory.glob("????-??-??_[0-9]*.sqlite"))
        paths, firsts = [path for _, path in found], [first for first, _ in found]
        return [cls(path, above) for path, above in zip_longest(paths, firsts[1:])]

    @classmethod
    def create(cls, directory: Path, day: str, first: Offset, settings: Settings | None, log_id: str) -> "Segment":
        """Make a new day's file, durably: tables, first offset and the settings in force in one transaction.

        It gets its name when it is whole, so neither a kill nor a reader ever meets one without tables.

        Raises:
            FileExistsError: another process has made it.
        """
        path, newborn = directory / f"{day}_{first:012d}.sqlite", directory / NEWBORN.format(os.getpid())
        remove(newborn)
        values = [("log_id", log_id.encode()), ("first", str(first).encode())]
        if settings is not None:
            values.append(("settings_before", pack(settings)))
        with translated(path), closing(connect(newborn, "mode=rwc")) as db:
            db.execute("PRAGMA page_size=16384")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.executescript(f"BEGIN;{_SCHEMA}")
            db.executemany("INSERT INTO meta VALUES (?, ?)", values)
            db.execute("COMMIT")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        try:
            path.hardlink_to(newborn)  # a rename would replace what another process has made
        except FileExistsError:
            raise
        except OSError as error:
            with translated(path):
                raise error from None
        finally:
            remove(newborn)
        with translated(path):
            sync_directory(directory)
        return cls(path)

    @property
    def _offsets(self) -> str:
        return f"offsets from {self.first}" + ("" if self.above is None else f" to {self.above - 1}")

    def _asked(self, query: str, parameters: tuple[object, ...]) -> list[Any]:
        """Give a query's rows, in one short transaction; works on a read-only disk too.

        While another process opens or closes the file, SQLite may fail to read what is perfectly well: only what
        fails again and again is damage.
        """
        with translated(self.path, self._offsets):
            for wait_s in _READ_AGAIN_S:
                try:
                    return self._asked_once(query, parameters)
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode & _PRIMARY not in _PERHAPS_PASSING:
                        raise
                    time.sleep(wait_s)
            return self._asked_once(query, parameters)

    def _asked_once(self, query: str, parameters: tuple[object, ...]) -> list[Any]:
        with closing(connect_for_reading(self.path, "SELECT 1 FROM meta LIMIT 1")) as db:
            return db.execute(query, parameters).fetchall()

    def rows(self, where: str, parameters: tuple[object, ...], limit: int, *, bodies: bool = True) -> list[Row]:
        """Give records that satisfy a condition, in the order that it names."""
        columns = "offset, record, body_bytes, " + ("body" if bodies else "NULL")
        found = self._asked(f"SELECT {columns} FROM records WHERE {where} LIMIT ?", (*parameters, limit))
        with translated(self.path, self._offsets):
            return [Row(offset, unpack(record), size, body) for offset, record, size, body in found]

    def body(self, row: Row) -> bytes | None:
        """Give a row's own body, byte for byte as it was appended.

        Raises:
            LogDamaged: the bytes are not those of the digest.
        """
        if row.body is None or row.body_bytes is None:
            return None
        body = b""
        with suppress(OSError, pa.ArrowException):
            body = _ZSTD.decompress(row.body, row.body_bytes, asbytes=True)
        digest = row.record.body_sha256 if isinstance(row.record, Poll) else None
        if len(body) != row.body_bytes or (digest is not None and hashlib.sha256(body).hexdigest() != digest):
            raise LogDamaged(
                f"{self.path}: the body of offset {row.offset} is not the one that was appended (SHA-256 {digest})",
                hint="all other captures stay readable",
            )
        return body

    def value(self, query: str, *parameters: object) -> object:
        """Give the first column of the first row of a query; None without a row."""
        found = self._asked(query, parameters)
        return found[0][0] if found else None

    def number(self, query: str, *parameters: object) -> int | None:
        """Give a query's one number; None without a row."""
        found = self.value(query, *parameters)
        return found if isinstance(found, int) else None

    def last(self) -> Offset | None:
        """Give the highest offset; None for an empty file."""
        return self.number("SELECT max(offset) FROM records")

    def settings_before(self, position: Position) -> Settings | None:
        """Give the last settings below a position that this file knows of."""
        found = self.value(
            "SELECT record FROM records WHERE kind = 'settings' AND offset < ? ORDER BY offset DESC LIMIT 1", position
        )
        if found is None:
            found = self.value("SELECT value FROM meta WHERE name = 'settings_before'")
        with translated(self.path, self._offsets):
            settings = unpack(found) if isinstance(found, bytes) else None
        return settings if isinstance(settings, Settings) else None

    def space(self) -> int:
        """Give the space it takes, with what is still in its WAL; 0 when it is gone."""
        present = (path for path in (self.path, *siblings(self.path)) if path.exists())
        return sum(path.stat().st_size for path in present)

    def end_at_most(self) -> Position:
        """Give a position that lies above all its offsets, however damaged it is."""
        return self.first + self.space() // _ROW_BYTES_AT_LEAST

    def writer(self) -> sqlite3.Connection:
        """Give the connection that appends; the caller closes it."""
        with translated(self.path, self._offsets):
            db = connect(self.path, "mode=rw")
            try:
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=FULL")
            except sqlite3.Error:
                db.close()
                raise
            return db

    def append(self, db: sqlite3.Connection, rows: list[tuple[object, ...]]) -> Offset:
        """Append rows of :func:`columns` in one transaction; give the first one's offset.

        Blocks until the disk has them; else none is there. The offset is asked of the file itself, so two
        processes that append, although a lock should prevent it, never give one twice.

        Raises:
            Finished: the spool has gone on in another file.
        """
        with self._writing(db):
            first = self._next(db)
            db.executemany(_INSERT, [(first + place, *row) for place, row in enumerate(rows)])
            return first

    def finish(self, db: sqlite3.Connection, above: Position | None = None) -> Position:
        """Let nothing be appended here any more; give the next file's first offset (``above``, by default dense).

        Raises:
            Finished: it was before.
        """
        with self._writing(db):
            first = max(self._next(db), above or 0)
            db.execute("INSERT INTO meta VALUES ('above', ?)", (str(first).encode(),))
            return first

    @contextmanager
    def _writing(self, db: sqlite3.Connection) -> Iterator[None]:
        with translated(self.path, self._offsets):
            try:
                db.execute("BEGIN IMMEDIATE")
                yield
                db.execute("COMMIT")
            except (sqlite3.Error, Finished):
                if db.in_transaction:
                    with suppress(sqlite3.Error):
                        db.execute("ROLLBACK")
                raise

    def _next(self, db: sqlite3.Connection) -> Offset:
        for (above,) in db.execute("SELECT value FROM meta WHERE name = 'above'"):
            raise Finished(int(above))
        (last,) = db.execute("SELECT max(offset) FROM records").fetchone()
        return self.first if last is None else int(last) + 1

    def is_plain(self) -> bool:
        """Tell whether it is one file, complete without WAL or journal."""
        with self.path.open("rb") as file:
            header = file.read(_FORMAT_PLACE + 1)
        return header[_FORMAT_PLACE:] != bytes([_WAL]) and not any(map(has_content, siblings(self.path)))

    def make_plain(self) -> bool:
        """Leave one plain file: checkpoint, back to DELETE mode; False while somebody reads it. Does not wait.

        Raises:
            LogDamaged: it cannot be.
        """
        try:
            with translated(self.path, self._offsets), closing(connect(self.path, "mode=rw", timeout_s=0)) as db:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                return bool(db.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",))
        except LogBusy:
            return False


def columns(record: Record, body: bytes | None, appended_at: int) -> tuple[object, ...]:
    """Give the values of one row, without its offset."""
    poll = record if isinstance(record, Poll) else None
    return (
        record.__struct_config__.tag,
        poll.feed_id if poll else None,
        poll.origin if poll else None,
        poll.fetched_at if poll else None,
        appended_at,
        pack(record),
        poll.duplicate_of if poll else None,
        poll.body_sha256 if poll else None,
        None if body is None else len(body),
        None if body is None else bytes(_ZSTD.compress(body, asbytes=True)),
    )
