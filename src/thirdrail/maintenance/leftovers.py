"""Data files that no snapshot names: which may be deleted, and when. Never one that a snapshot names.

A file that a rewrite replaced was in the table, so nobody will name it again; readers of an old snapshot may still
want it, for a grace period after the last snapshot that names it is gone. Any other file may be one that a writer is
about to commit: it goes only when it was seen unnamed a day ago, and the table's positions have moved since, so that
whoever wrote it would find its span taken. Times are those of the table's own commits: a clock that jumps while
nobody commits deletes nothing.

What was seen stands in a small file beside the table's data; without it, the waiting begins anew.
"""

from pathlib import Path
from typing import NamedTuple

import msgspec

from thirdrail.sinks.iceberg.files import put_file

NOTES = "leftovers.json"


class Seen(msgspec.Struct, frozen=True):
    """When a file was first seen unnamed (µs, by the table's commits), and at which sum of the table's positions."""

    at: int
    positions: int


class Notes(msgspec.Struct, frozen=True):
    """What was seen so far: files that no snapshot named, and those that a rewrite of ours took out of the table.

    ``looked_at``: the time (µs) of the table's last commit when somebody looked for leftovers last.
    """

    unnamed: dict[str, Seen] = {}
    replaced: frozenset[str] = frozenset()
    looked_at: int = 0


class Verdict(NamedTuple):
    """What is to be deleted, and what is to be noted for the next time."""

    delete: list[str]
    notes: Notes


class Patience(NamedTuple):
    """How long (µs) a replaced file and any other stay once no snapshot names them."""

    replaced: int
    orphan: int


def judged(unnamed: set[str], before: Notes, at: int, positions: int, patience: Patience) -> Verdict:
    """Give what of the unnamed files may be deleted. Pure. ``at`` is the time of the table's last commit."""
    delete: list[str] = []
    waiting: dict[str, Seen] = {}
    for path in sorted(unnamed):
        seen = before.unnamed.get(path, Seen(at, positions))
        if path in before.replaced:
            is_due = at - seen.at >= patience.replaced
        else:
            is_due = at - seen.at >= patience.orphan and positions > seen.positions
        if is_due and path in before.unnamed:
            delete.append(path)
        else:
            waiting[path] = seen
    return Verdict(delete, Notes(waiting, before.replaced.difference(delete), at))


def noted(folder: Path) -> Notes:
    """Give the notes of a table; none when they are missing or damaged."""
    try:
        return msgspec.json.decode((folder / NOTES).read_bytes(), type=Notes)
    except (OSError, msgspec.DecodeError):
        return Notes()


def note(folder: Path, notes: Notes) -> None:
    """Write the notes durably, in one piece."""
    put_file(folder / NOTES, msgspec.json.encode(notes))
