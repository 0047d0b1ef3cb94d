"""The right to append to a directory: one process at a time, kept by a file lock."""

import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path

from thirdrail.errors import LogBusy


def take(path: Path, now: int) -> int:
    """Take the lock and write into its file who holds it; give the descriptor, whose closing releases it.

    The kernel releases it when the process ends, however it ends. Does not block.

    Raises:
        LogBusy: naming the process that holds it and since when.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(descriptor, 200).decode(errors="replace").strip() or "another process"
        os.close(descriptor)
        raise LogBusy(f"already running: {holder}", hint="readers (sql, tables, audit) work beside it") from error
    since = datetime.fromtimestamp(now / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"process {os.getpid()} since {since}".encode())
    return descriptor
