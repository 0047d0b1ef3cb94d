"""Disks that are small, full, or read-only: real ones, on a tmpfs. Needs root."""

import errno
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Self
from uuid import uuid4

import pytest

_NOT_ALLOWED = ("permission denied", "must be superuser", "not permitted")


class SmallDisk:
    """A tmpfs of a few megabytes, by default at a new temporary path; whatever lies on it is gone afterwards.

    ``fill`` leaves nothing, ``free`` gives it back. ``inodes`` bounds the number of files (its root is one).
    Skips the test when this process may not mount.
    """

    def __init__(self, path: Path | None = None, megabytes: int = 8, inodes: int | None = None) -> None:
        if os.geteuid() != 0:
            _skip()
        self.path = path or Path(tempfile.gettempdir()) / f"small-disk-{uuid4().hex}"
        self._is_own_path = path is None
        self._options = f"size={megabytes}m" + (f",nr_inodes={inodes}" if inodes else "")
        self._ballast = self.path / "ballast"

    def __enter__(self) -> Self:
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            _run("mount", "-t", "tmpfs", "-o", self._options, "tmpfs", str(self.path))
        except subprocess.CalledProcessError as error:
            self._remove_path()
            if any(text in error.stderr.lower() for text in _NOT_ALLOWED):
                _skip()  # root in a container, without the right to mount
            raise
        return self

    def __exit__(self, *_: object) -> None:
        _run("umount", "-l", str(self.path))
        self._remove_path()

    def _remove_path(self) -> None:
        if self._is_own_path:
            self.path.rmdir()

    def fill(self) -> None:
        """Write until there is no space left (ENOSPC), for everybody; harmless when repeated."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (1 << 20, 4096):
                _until_no_space(lambda chunk=b"x" * size: file.write(chunk))  # type: ignore[misc]

    def free(self) -> None:
        """Delete what ``fill`` wrote."""
        self._ballast.unlink(missing_ok=True)

    def be_read_only(self, *, is_read_only: bool) -> None:
        """Remount; with files open for writing the kernel refuses (busy), which is raised."""
        _run("mount", "-o", "remount,ro" if is_read_only else "remount,rw", str(self.path))


class ReadOnlyDisk:
    """Makes a small disk read-only while the context lasts: writers get EROFS, readers notice nothing.

    The kernel refuses while any process holds a file there open for writing.
    """

    def __init__(self, disk: SmallDisk) -> None:
        self._disk = disk

    def __enter__(self) -> Self:
        self._disk.be_read_only(is_read_only=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._disk.be_read_only(is_read_only=False)


class FullOfInodes:
    """Takes every inode of a small disk made with ``inodes`` while the context lasts.

    New files get ENOSPC; the files that exist can grow, for there is space.
    """

    def __init__(self, disk: SmallDisk) -> None:
        self._disk, self._taken = disk, list[Path]()

    def __enter__(self) -> Self:
        _until_no_space(self._take)
        return self

    def _take(self) -> None:
        path = self._disk.path / f"inode-{len(self._taken)}"
        path.touch(exist_ok=False)
        self._taken.append(path)

    def __exit__(self, *_: object) -> None:
        while self._taken:
            self._taken.pop().unlink()


def _until_no_space(work: Callable[[], object]) -> None:
    try:
        while True:
            work()
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


def _skip() -> None:
    pytest.skip("root, to mount a small disk")


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    except subprocess.CalledProcessError as error:
        error.add_note(error.stderr.strip())
        raise
