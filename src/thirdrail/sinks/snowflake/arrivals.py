"""When rows became durable in Snowflake, written down as it is learned: no channel or stage remembers it.

A line says: at this time every table but ``feed_messages`` durably had all rows of captures below this offset. Appended
beside the data folder's tables, a file a day, and not synced: what a power cut takes, the next line says, later. So a
row is never told to have come sooner than it did. The very first line says that from now on it is written down.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from thirdrail.model.ports import Clock
from thirdrail.model.records import Position

KEPT_DAYS = 32
"""A line a second are 3 MB a day; a month is reported at a time."""

FOLDER = "snowflake-commits"
_FILES = "*.jsonl"


class Arrival(msgspec.Struct, array_like=True, frozen=True):
    """One line. ``committed_at`` is µs UTC; ``method`` as configured."""

    committed_at: int
    method: str
    capture_log: str
    end_offset: Position


class Arrivals(NamedTuple):
    """The files of a data folder, for the one thread that carries."""

    folder: Path
    method: str
    log_id: str
    clock: Clock

    def begin(self) -> None:
        """Say that all is written down from now on, if nothing was before; a Snowflake that then stands still shows."""
        if not any(self.folder.glob(_FILES)):
            self.note(0)

    def note(self, position: Position) -> None:
        """Write down that all below is there now. What cannot be written, the next line says."""
        line = Arrival(self.clock.now(), self.method, self.log_id, position)
        with suppress(OSError):  # a full disk, which the log waits for
            self.folder.mkdir(exist_ok=True)
            with _file(self.folder, line.committed_at).open("ab", buffering=0) as file:
                is_new = file.tell() == 0
                file.write(msgspec.json.encode(line) + b"\n")
            if is_new:
                self._forget(line.committed_at)

    def _forget(self, now: int) -> None:
        oldest = _file(self.folder, now - timedelta(days=KEPT_DAYS) // timedelta(microseconds=1))
        for path in self.folder.glob(_FILES):
            if path.name < oldest.name:
                path.unlink(missing_ok=True)


def arrivals(folder: Path, since: int) -> Iterator[Arrival]:
    """Give what was written since the day of an instant (µs UTC), and the day before that says where it began.

    A line that a power cut harmed is left out.
    """
    first = _file(folder, since)
    paths = sorted(folder.glob(_FILES))
    before = [path for path in paths if path.name < first.name][-1:]
    for path in (*before, *(path for path in paths if path.name >= first.name)):
        for line in path.read_bytes().splitlines():
            with suppress(msgspec.DecodeError):
                yield msgspec.json.decode(line, type=Arrival)


def recorded_from(folder: Path) -> int | None:
    """Give the instant (µs UTC) before which nothing is known: of the oldest line; None without one."""
    return next((each.committed_at for each in arrivals(folder, 0)), None)


def _file(folder: Path, at: int) -> Path:
    return folder / f"{datetime.fromtimestamp(at / 1e6, UTC):%Y-%m-%d}.jsonl"
