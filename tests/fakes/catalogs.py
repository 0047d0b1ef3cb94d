"""Catalogs and disks that fail in named ways, around the real ones."""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException

from tests.fakes.sinks import Crashed


class FaultyCatalog:
    """A catalog whose commits conflict, land but report otherwise, or end with the process.

    ``before_commit`` runs just before a commit is handed on, so that another writer can come in between.
    """

    def __init__(self, catalog: Catalog, random: Random, rate: float) -> None:
        self._catalog, self._random, self._rate = catalog, random, rate
        self.before_commit: Callable[[], None] | None = None

    def __getattr__(self, name: str) -> Any:
        """Everything else is the real catalog's."""
        return getattr(self._catalog, name)

    def commit_table(self, table: Any, requirements: Any, updates: Any) -> Any:
        """Commit, or fail in one of five ways."""
        if self.before_commit is not None:
            intruder, self.before_commit = self.before_commit, None
            intruder()
        if self._random.random() >= self._rate:
            return self._catalog.commit_table(table, requirements, updates)
        fault = self._random.choice(
            (self._conflict, self._crash_before, self._landed_but_unknown, self._landed_but_conflict, self._crash_after)
        )
        return fault(table, requirements, updates)

    def _conflict(self, *_: Any) -> None:
        raise CommitFailedException("somebody else was first")

    def _crash_before(self, *_: Any) -> None:
        raise Crashed

    def _landed_but_unknown(self, *commit: Any) -> None:
        self._catalog.commit_table(*commit)
        raise CommitStateUnknownException("the answer was lost")

    def _landed_but_conflict(self, *commit: Any) -> None:
        self._catalog.commit_table(*commit)
        raise CommitFailedException("a retry on the way met its own commit")

    def _crash_after(self, *commit: Any) -> None:
        self._catalog.commit_table(*commit)
        raise Crashed


class PowerCutDisk:
    """A disk that keeps only what was synced: ``cut`` empties every file that was not.

    ``fsync`` stands in for ``os.fsync`` where the sink writes files.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._durable: set[tuple[int, int]] = set()

    def fsync(self, descriptor: int) -> None:
        """Note that a file's bytes (and a directory's names) are durable."""
        status = os.fstat(descriptor)
        self._durable.add((status.st_ino, status.st_size))

    def cut(self) -> int:
        """Lose power; give how many files lost their bytes."""
        lost = 0
        for path in self._directory.rglob("*"):
            status = path.stat()
            if path.is_file() and (status.st_ino, status.st_size) not in self._durable:
                path.write_bytes(b"")
                lost += 1
        return lost
