"""Snowpipe's part of the emulator: a stage, files that were submitted, and loading them later, whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import polars as pl

from thirdrail.emulator.rows import Columns, kept_as
from thirdrail.emulator.storage import CHANNEL, Storage

_SCHEMA = """
CREATE TABLE IF NOT EXISTS submitted (
    pipe TEXT, path TEXT, tbl TEXT NOT NULL, size INTEGER NOT NULL, received_ms INTEGER NOT NULL,
    status TEXT NOT NULL DEFAULT 'LOAD_IN_PROGRESS', loaded_ms INTEGER, rows INTEGER NOT NULL DEFAULT 0,
    parsed INTEGER NOT NULL DEFAULT 0, errors INTEGER NOT NULL DEFAULT 0, error TEXT,
    PRIMARY KEY (pipe, path));
"""
PENDING, LOADED, FAILED = "LOAD_IN_PROGRESS", "LOADED", "LOAD_FAILED"


class SubmittedFile(NamedTuple):
    """A file that a pipe was told of. Instants are ms since 1970."""

    pipe: str
    path: str
    tbl: str
    size: int
    received_ms: int
    status: str
    loaded_ms: int | None
    rows: int
    parsed: int
    errors: int
    error: str | None


class Stages:
    """The files of all stages, in a folder: ``<stage>/<path>``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def location(self, stage: str, prefix: str) -> Path:
        """Give the folder of a place on a stage, made when missing.

        Raises:
            ValueError: it leads out of the stage.
        """
        root = (self._folder / stage.upper()).resolve()
        path = (root / prefix).resolve()
        if not path.is_relative_to(root):
            raise ValueError(f"{prefix} leads out of the stage")
        return path

    def files(self, stage: str, prefix: str) -> list[tuple[str, Path]]:
        """Give the files whose path begins with a prefix, sorted."""
        root = (self._folder / stage.upper()).resolve()
        found = ((str(path.relative_to(root)), path) for path in root.rglob("*") if path.is_file() and _is_whole(path))
        return sorted((name, path) for name, path in found if name.startswith(prefix))

    def remove(self, stage: str, prefix: str) -> list[str]:
        """Remove the files whose path begins with a prefix; give their paths."""
        names = self.files(stage, prefix)
        for _, path in names:
            path.unlink(missing_ok=True)
        return [name for name, _ in names]


def _is_whole(path: Path) -> bool:
    """Whether the connector has written all of a file: it makes it at its size, full of zeros, and then fills it."""
    try:
        with path.open("rb") as file:
            file.seek(-min(4, path.stat().st_size), 2)
            return any(file.read(4))
    except OSError:
        return False


class Snowpipe:
    """What pipes of staged files were told, and what has become of it; shares the emulator's storage."""

    def __init__(self, storage: Storage, stages: Stages, tables: Mapping[str, Columns]) -> None:
        self._storage, self.stages, self._tables = storage, stages, tables
        with storage.transaction() as db:
            db.execute(_SCHEMA)

    def submit(self, pipe: str, table: str, files: list[tuple[str, int]]) -> None:
        """Take files to load. One whose name was taken before is taken for done, whatever it holds now."""
        now = self._storage.now_ms()
        with self._storage.transaction() as db:
            for path, size in files:
                if self._storage.faults.loses:
                    status, loaded = LOADED, now
                else:
                    status, loaded = PENDING, None
                if self._storage.faults.doubles:
                    db.execute("DELETE FROM submitted WHERE pipe = ? AND path = ?", (pipe, path))
                db.execute(
                    "INSERT OR IGNORE INTO submitted (pipe, path, tbl, size, received_ms, status, loaded_ms) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (pipe, path, table, size, now, status, loaded),
                )

    def told(self, pipe: str, *, since_ms: int, until_ms: int | None = None) -> list[SubmittedFile]:
        """Give the files of a pipe whose loading ended within a time, oldest first."""
        with self._storage.transaction() as db:
            found = db.execute(
                "SELECT pipe, path, tbl, size, received_ms, status, loaded_ms, rows, parsed, errors, error "
                "FROM submitted WHERE pipe = ? AND loaded_ms >= ? AND loaded_ms < ? ORDER BY loaded_ms, path",
                (pipe, since_ms, until_ms if until_ms is not None else 1 << 62),
            ).fetchall()
        return [SubmittedFile(*each) for each in found]

    def load_due(self) -> int:
        """Load what has waited long enough, one file a transaction; give how many. Called by one thread."""
        storage = self._storage
        if storage.faults.is_frozen:
            return 0
        due = storage.now_ms() - int(storage.commit_delay_s * 1000)
        with storage.transaction() as db:
            waiting = db.execute(
                "SELECT pipe, path, tbl FROM submitted WHERE status = ? AND received_ms <= ? "
                "ORDER BY received_ms, path",
                (PENDING, due),
            ).fetchall()
        for pipe, path, table in waiting:
            self._load(pipe, path, table)
        return len(waiting)

    def _load(self, pipe: str, path: str, table: str) -> None:
        frame, parsed, error = self._read(table, path)
        name = None if frame is None or frame.is_empty() else self._storage.write_file(table, frame)
        with self._storage.transaction() as db:
            if frame is not None and name is not None:
                self._storage.add_file(db, table, name, len(frame))
            db.execute(
                "UPDATE submitted SET status = ?, loaded_ms = ?, rows = ?, parsed = ?, errors = ?, error = ? "
                "WHERE pipe = ? AND path = ?",
                (
                    LOADED if frame is not None else FAILED,
                    self._storage.now_ms(),
                    0 if frame is None else len(frame),
                    parsed,
                    0 if frame is not None else 1,
                    error or None,
                    pipe,
                    path,
                ),
            )

    def _read(self, table: str, path: str) -> tuple[pl.DataFrame | None, int, str]:
        """Read a staged file as its table has it; None, and why, for one that does not fit whole."""
        found = [file for name, file in self.stages.files("", "") if name.endswith(f"/{table}/{path}")]  # of any stage
        if not found:
            return None, 0, f"Remote file '{path}' was not found"
        text = self._storage.faults.spoil.get(table)
        try:
            if text is not None and text in found[0].read_bytes():
                return None, 1, "spoilt by the emulator's fault"
            frame = pl.read_parquet(found[0], glob=False)
        except (OSError, pl.exceptions.PolarsError) as error:
            return None, 0, f"file '{path}' is not Parquet: {error}"
        columns = self._tables[table]
        names = {name.lower(): name for name in frame.columns}
        try:
            frame = frame.select(
                (pl.col(names[column]) if column in names else pl.lit(None)).cast(kept_as(kind)).alias(column)
                for column, kind in columns.items()
            )
        except pl.exceptions.PolarsError as error:
            return None, len(frame), str(error)
        for column, kind in columns.items():
            if kind.required and frame[column].has_nulls():
                return None, len(frame), f"NULL result in a non-nullable column '{column.upper()}'"
        return frame.with_columns(pl.lit(path).alias(CHANNEL)), len(frame), ""
