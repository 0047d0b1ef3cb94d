"""What a writer asks of a stage and of a pipe: protocols, so that a seed can play Snowflake."""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

LOADED, FAILED, PARTLY, IN_PROGRESS = "LOADED", "LOAD_FAILED", "PARTIALLY_LOADED", "LOAD_IN_PROGRESS"


class Staged(NamedTuple):
    """A file on the stage: its path as the pipe knows it, its size in bytes, and when it was put there (UTC)."""

    path: str
    size: int
    modified: dt.datetime


class Outcome(NamedTuple):
    """What became of a file that was submitted."""

    status: str
    rows: int
    errors: int
    error: str

    @property
    def is_loaded(self) -> bool:
        """Whether every row is in the table."""
        return self.status == LOADED and not self.errors

    @property
    def is_refused(self) -> bool:
        """Whether rows of it are missing for good."""
        return self.status in (FAILED, PARTLY) or (self.status == LOADED and self.errors > 0)


class Stage(Protocol):
    """Files of one table's pipe. Every call blocks for an answer, and repeating one is harmless."""

    def put(self, file: Path, path: str) -> None:
        """Put a local file there, in the place of one of that name."""
        ...

    def files(self) -> Sequence[Staged]:
        """Give all."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        ...


class Loading(Protocol):
    """One table's pipe. A path that was submitted once is not loaded again."""

    def submit(self, files: Sequence[tuple[str, int]]) -> None:
        """Have files of a path and a size loaded."""
        ...

    def recent(self) -> Mapping[str, Outcome]:
        """Give what has become of files within the last minutes; an outcome may be told once or oftener."""
        ...

    def history(self, since: dt.datetime) -> Mapping[str, Outcome]:
        """Give what has become of files since an instant: a dear call, and Snowflake forgets after 14 days."""
        ...
