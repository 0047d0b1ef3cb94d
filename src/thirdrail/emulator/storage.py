"""What the emulator knows, on the disk before it answers: channels, what waits, what is committed.

One SQLite file holds the channels and what they have accepted; committed rows lie in Parquet files that the same
transaction names which moves the offset tokens. So a kill leaves each accepted request once, committed or waiting.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import msgspec
import polars as pl
import pyarrow as pa

from thirdrail.emulator.faults import Faults
from thirdrail.emulator.rows import Column, Columns, Judge

_SCHEMA = """
CREATE TABLE IF NOT EXISTS channels (
    pipe TEXT, channel TEXT, tbl TEXT NOT NULL, client_seq INTEGER NOT NULL, row_seq INTEGER NOT NULL,
    created_ms INTEGER NOT NULL, token TEXT, inserted INTEGER NOT NULL DEFAULT 0, parsed INTEGER NOT NULL DEFAULT 0,
    errors INTEGER NOT NULL DEFAULT 0, error_message TEXT, error_token TEXT, error_ms INTEGER,
    code TEXT NOT NULL DEFAULT 'SUCCESS', PRIMARY KEY (pipe, channel));
CREATE TABLE IF NOT EXISTS waiting (
    id INTEGER PRIMARY KEY AUTOINCREMENT, pipe TEXT NOT NULL, channel TEXT NOT NULL, end_token TEXT,
    body BLOB NOT NULL, rows INTEGER NOT NULL, accepted_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY AUTOINCREMENT, tbl TEXT NOT NULL, name TEXT NOT NULL, rows INTEGER NOT NULL,
    committed_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS refused (
    id INTEGER PRIMARY KEY AUTOINCREMENT, tbl TEXT NOT NULL, pipe TEXT, channel TEXT, end_token TEXT,
    reason TEXT NOT NULL, payload BLOB NOT NULL);
"""
TABLES = "tables.json"
CHANNEL = "_channel"
"""A column that every committed row has besides its table's: the channel that brought it."""


class StaleToken(Exception):
    """The continuation token is of an earlier opening of the channel."""


class RowGap(Exception):
    """The continuation token is ahead of what the channel has accepted."""


class OpenedMeanwhile(Exception):
    """A channel whose rows were just being committed was opened anew: nothing of that commit holds."""


class NoChannel(Exception):
    """There is no such channel."""


class UncommittedRows(Exception):
    """The channel has accepted rows that are not committed yet."""


class ChannelRow(NamedTuple):
    """A channel, as the file has it."""

    pipe: str
    channel: str
    tbl: str
    client_seq: int
    row_seq: int
    created_ms: int
    token: str | None
    inserted: int
    parsed: int
    errors: int
    error_message: str | None
    error_token: str | None
    error_ms: int | None
    code: str

    @property
    def continuation(self) -> str:
        """The token that the next request must bring."""
        return f"{self.client_seq}_{self.row_seq}"


class Storage:
    """One folder. Any thread may call; calls are short and take turns."""

    def __init__(
        self,
        folder: Path,
        tables: Mapping[str, Columns],
        faults: Faults,
        *,
        commit_delay_s: float,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.folder, self.tables, self.faults, self.commit_delay_s = folder, tables, faults, commit_delay_s
        self._judges = {name: Judge(name, columns) for name, columns in tables.items()}
        self.now_ms = now_ms
        (folder / "tables").mkdir(parents=True, exist_ok=True)
        (folder / TABLES).write_bytes(msgspec.json.encode(tables))
        self._lock = threading.RLock()
        self._db = sqlite3.connect(folder / "emulator.sqlite", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the file alone; all that is changed meanwhile holds, or nothing."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def channel(self, pipe: str, channel: str) -> ChannelRow | None:
        """Give a channel."""
        with self._lock:
            row = self._db.execute("SELECT * FROM channels WHERE pipe = ? AND channel = ?", (pipe, channel)).fetchone()
        return None if row is None else ChannelRow(*row)

    def channels(self) -> list[ChannelRow]:
        """Give all channels."""
        with self._lock:
            return [ChannelRow(*row) for row in self._db.execute("SELECT * FROM channels ORDER BY pipe, channel")]

    def open(self, pipe: str, channel: str, table: str, first: str | None, *, discard: bool) -> ChannelRow:
        """Open a channel, made when missing: earlier continuation tokens are stale from here on.

        Raises:
            UncommittedRows: some of its rows wait, and they are not to be discarded.
        """
        with self.transaction() as db:
            waits = db.execute("SELECT 1 FROM waiting WHERE pipe = ? AND channel = ?", (pipe, channel)).fetchone()
            if waits and not discard:
                raise UncommittedRows
            db.execute("DELETE FROM waiting WHERE pipe = ? AND channel = ?", (pipe, channel))
            db.execute(
                "INSERT INTO channels (pipe, channel, tbl, client_seq, row_seq, created_ms, token) "
                "VALUES (?, ?, ?, 0, 0, ?, NULL) ON CONFLICT DO NOTHING",
                (pipe, channel, table, self.now_ms()),
            )
            db.execute(
                "UPDATE channels SET client_seq = client_seq + 1, row_seq = 0, token = ifnull(?, token), "
                "code = 'SUCCESS' WHERE pipe = ? AND channel = ?",
                (first, pipe, channel),
            )
        found = self.channel(pipe, channel)
        assert found is not None  # noqa: S101 - just made
        return found

    def drop(self, pipe: str, channel: str) -> ChannelRow:
        """Forget a channel; what it committed stays in its table.

        Raises:
            NoChannel: there is none.
        """
        found = self.channel(pipe, channel)
        if found is None:
            raise NoChannel
        with self.transaction() as db:
            for table in ("waiting", "channels"):
                db.execute(f"DELETE FROM {table} WHERE pipe = ? AND channel = ?", (pipe, channel))  # noqa: S608 - named here
        return found

    def accept(self, pipe: str, channel: str, continuation: str, end_token: str | None, body: bytes, rows: int) -> str:
        """Take a request, durably; give the next continuation token. A request that was taken is taken for done.

        ``body`` is zstd-compressed NDJSON, as it came.

        Raises:
            NoChannel, StaleToken, RowGap: the request must not be taken.
        """
        with self.transaction() as db:
            found = self.channel(pipe, channel)
            if found is None:
                raise NoChannel
            client, _, row = continuation.partition("_")
            if client != str(found.client_seq):
                raise StaleToken
            if not row.isdigit() or int(row) > found.row_seq:
                raise RowGap
            is_repeated = int(row) < found.row_seq
            if is_repeated and not self.faults.doubles:
                return found.continuation
            if not self.faults.loses:
                db.execute(
                    "INSERT INTO waiting (pipe, channel, end_token, body, rows, accepted_ms) VALUES (?, ?, ?, ?, ?, ?)",
                    (pipe, channel, end_token, body, rows, self.now_ms()),
                )
            if not is_repeated:
                db.execute("UPDATE channels SET row_seq = row_seq + 1 WHERE pipe = ? AND channel = ?", (pipe, channel))
            return f"{found.client_seq}_{found.row_seq + (0 if is_repeated else 1)}"

    def commit_due(self, decompress: Callable[[bytes], bytes]) -> int:
        """Commit what has waited long enough; give how many requests were. Called by one thread."""
        if self.faults.is_frozen:
            return 0
        due = self.now_ms() - int(self.commit_delay_s * 1000)
        with self._lock:
            waiting = self._db.execute(
                "SELECT w.id, w.pipe, w.channel, w.end_token, w.body, w.rows, c.tbl, c.client_seq FROM waiting w "
                "JOIN channels c USING (pipe, channel) WHERE w.accepted_ms <= ? ORDER BY w.id LIMIT 256",
                (due,),
            ).fetchall()
        by_table: dict[str, list[tuple[int, str, str, str | None, bytes, int, str, int]]] = {}
        for request in waiting:
            by_table.setdefault(request[6], []).append(request)
        committed = 0
        for table, requests in by_table.items():
            try:
                self._commit(table, requests, decompress)
                committed += len(requests)
            except OpenedMeanwhile:
                continue  # what still waits is looked at again; the file that nobody names harms nothing
        return committed

    def _commit(
        self,
        table: str,
        requests: list[tuple[int, str, str, str | None, bytes, int, str, int]],
        decompress: Callable[[bytes], bytes],
    ) -> None:
        """Write one file of what a table's channels bring, and move their tokens with it."""
        judge, frames = self._judges[table], []
        refused: list[list[tuple[str, str, str, str | None, str, bytes]]] = []
        for _, pipe, channel, end_token, body, _, _, _ in requests:
            frame, bad = judge.judged(decompress(body), self.faults.spoil.get(table))
            frames.append(frame.with_columns(pl.lit(channel).alias(CHANNEL)))
            refused.append([(table, pipe, channel, end_token, each.reason, each.payload) for each in bad])
        whole = pl.concat(frames)
        name = self.write_file(table, whole) if len(whole) else ""
        with self.transaction() as db:
            for (number, pipe, channel, end_token, _, rows, _, seq), frame, errors in zip(
                requests, frames, refused, strict=True
            ):
                live = db.execute("SELECT 1 FROM waiting WHERE id = ?", (number,)).fetchone()
                if live is None:
                    raise OpenedMeanwhile(f"channel {channel}, sequencer {seq}")
                db.execute("DELETE FROM waiting WHERE id = ?", (number,))
                last = errors[-1] if errors else None
                db.execute(
                    "UPDATE channels SET token = ifnull(?, token), inserted = inserted + ?, parsed = parsed + ?, "
                    "errors = errors + ?, error_message = ifnull(?, error_message), "
                    "error_token = ifnull(?, error_token), error_ms = ifnull(?, error_ms) "
                    "WHERE pipe = ? AND channel = ?",
                    (
                        end_token,
                        len(frame),
                        rows,
                        len(errors),
                        last[4] if last else None,
                        last[3] if last else None,
                        self.now_ms() if last else None,
                        pipe,
                        channel,
                    ),
                )
                db.executemany(
                    "INSERT INTO refused (tbl, pipe, channel, end_token, reason, payload) VALUES (?, ?, ?, ?, ?, ?)",
                    errors,
                )
            if name:
                self.add_file(db, table, name, len(whole))

    def write_file(self, table: str, rows: pl.DataFrame) -> str:
        """Write rows to a file that nobody names yet; give its name."""
        name = f"tables/{table}-{uuid4().hex}.parquet"
        rows.write_parquet(self.folder / name, compression="zstd", compression_level=1)
        return name

    def add_file(self, db: sqlite3.Connection, table: str, name: str, rows: int) -> None:
        """Make a file's rows the table's."""
        db.execute(
            "INSERT INTO files (tbl, name, rows, committed_ms) VALUES (?, ?, ?, ?)", (table, name, rows, self.now_ms())
        )

    def set_code(self, pipe: str, channel: str, code: str) -> None:
        """Let a channel be in another state."""
        with self.transaction() as db:
            db.execute("UPDATE channels SET code = ? WHERE pipe = ? AND channel = ?", (code, pipe, channel))

    def steal(self, pipe: str, channel: str) -> None:
        """Open a channel as another client would, and throw away what waits."""
        found = self.channel(pipe, channel)
        if found is not None:
            self.open(pipe, channel, found.tbl, None, discard=True)

    def rows(self, table: str) -> pa.Table:
        """Give all committed rows of a table, in the order of their commits, with their channel."""
        with self._lock:
            names = [name for (name,) in self._db.execute("SELECT name FROM files WHERE tbl = ? ORDER BY id", (table,))]
        if not names:
            return self._judges[table].empty.with_columns(pl.lit("").alias(CHANNEL)).to_arrow()
        return pl.scan_parquet([self.folder / name for name in names], glob=False).collect().to_arrow()

    def refused(self, table: str) -> list[tuple[str, str]]:
        """Give the reason and the line of every row that a table did not take: its error table."""
        with self._lock:
            found = self._db.execute("SELECT reason, payload FROM refused WHERE tbl = ? ORDER BY id", (table,))
            return [(reason, payload.decode(errors="replace")) for reason, payload in found]

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._db.close()


def declared(raw: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, Column]]:
    """Give tables as a file declares them: table → column → kind, with ``!`` after it for NOT NULL."""
    return {
        table: {name: Column(kind.rstrip("!"), kind.endswith("!")) for name, kind in columns.items()}
        for table, columns in raw.items()
    }
