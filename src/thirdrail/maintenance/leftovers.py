"""Data files that no snapshot names: which may be deleted, and when. Never one that a snapshot names.

A file that a rewrite replaced was in the table, so nobody will name it again; readers of an old snapshot may still
want it, for a grace period after the last snapshot that names it is gone. Any other file may be one that a writer is
about to commit: it goes only when it was seen unnamed a day ago, and the table's positions have moved since, so that
whoever wrote it would find its span taken. Times are those of the table's own commits: a clock that jumps while
nobody commits deletes nothing. And whoever stores the files must have had it as long, by its own clock: in an object
store that is another machine's.

What was seen stands in a small file beside the table's data; without it, the waiting begins anew.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from thirdrail.sinks.iceberg.folder import Folder

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


def judged(unnamed: Mapping[str, int], before: Notes, at: int, positions: int, patience: Patience) -> Verdict:
    """Give what of the unnamed files may be deleted. Pure.

    ``unnamed``: path → its age (µs) at the table's last change, by the clock of whoever stores it. ``at``: the time of
    the table's last commit.
    """
    delete: list[str] = []
    waiting: dict[str, Seen] = {}
    for path in sorted(unnamed):
        seen = before.unnamed.get(path, Seen(at, positions))
        if path in before.replaced:
            is_due = at - seen.at >= patience.replaced
        else:
            age = min(at - seen.at, unnamed[path])
            is_due = age >= patience.orphan and positions > seen.positions
        if is_due and path in before.unnamed:
            delete.append(path)
        else:
            waiting[path] = seen
    return Verdict(delete, Notes(waiting, before.replaced.difference(delete), at))


def noted(folder: Folder) -> Notes:
    """Give the notes of a table; none when they are missing or damaged.

    Raises:
        OSError: they cannot be read.
    """
    found = folder.read(NOTES)
    try:
        return Notes() if found is None else msgspec.json.decode(found, type=Notes)
    except msgspec.DecodeError:
        return Notes()


def note(folder: Folder, notes: Notes) -> None:
    """Write the notes durably, in one piece."""
    folder.put(NOTES, msgspec.json.encode(notes))
