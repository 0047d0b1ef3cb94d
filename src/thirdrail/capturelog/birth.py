"""A spool's identity, written once at its birth."""

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from thirdrail.capturelog.opening import sync_directory, translated
from thirdrail.capturelog.segment import Segment
from thirdrail.errors import LogDamaged

_NAME = "log_id"


def identity(directory: Path) -> str:
    """Give the spool's id.

    Raises:
        LogDamaged: there is no spool.
    """
    path = directory / _NAME
    known = path.read_text().strip() if path.exists() else ""
    if not known:
        raise LogDamaged(f"{directory} holds no capture log", hint="give a data folder that replay or run has filled")
    return known


def ensure_identity(directory: Path) -> str:
    """Give the spool's id; a lost one is taken from its day files, a new spool gets one, durably.

    For the holder of the append lock. The file gets its name when it is whole: a kill leaves none, never half.
    """
    path = directory / _NAME
    known = path.read_text().strip() if path.exists() else None
    if known:
        return known
    found = _remembered(directory) or uuid4().hex[:12]
    newborn = path.with_suffix(f".{os.getpid()}.tmp")
    with translated(path):
        newborn.write_text(found)
        with newborn.open("rb+") as file:
            os.fsync(file.fileno())
        if known == "":
            newborn.replace(path)
        else:
            _give_name(newborn, path)
        sync_directory(directory)
    return path.read_text().strip()


def _give_name(newborn: Path, path: Path) -> None:
    """Let the first of two processes win, should the lock not have kept one away."""
    with suppress(FileExistsError):
        path.hardlink_to(newborn)
    newborn.unlink()


def _remembered(directory: Path) -> str | None:
    for segment in reversed(Segment.listed(directory)):
        try:
            found = segment.value("SELECT value FROM meta WHERE name = 'log_id'")
        except LogDamaged:
            continue
        if isinstance(found, bytes):
            return found.decode()
    return None
