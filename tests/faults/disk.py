"""Disks that are small, full, or read-only: real ones, on a tmpfs. Needs root."""

import os
import subprocess
from pathlib import Path
from typing import Self

import pytest


class SmallDisk:
    """A tmpfs of a few megabytes at a path; ``fill`` leaves nothing, ``free`` gives it back."""

    def __init__(self, path: Path, megabytes: int) -> None:
        if os.geteuid() != 0:
            pytest.skip("root, to mount a small disk")
        self.path, self._megabytes = path, megabytes
        self._ballast = path / "ballast"

    def __enter__(self) -> Self:
        self.path.mkdir(parents=True, exist_ok=True)
        _run("mount", "-t", "tmpfs", "-o", f"size={self._megabytes}m", "tmpfs", str(self.path))
        return self

    def __exit__(self, *_: object) -> None:
        _run("umount", "-l", str(self.path))

    def fill(self) -> None:
        """Write until there is no space left."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (1 << 20, 4096):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    continue

    def free(self) -> None:
        """Delete what ``fill`` wrote."""
        self._ballast.unlink()

    def be_read_only(self, *, is_read_only: bool) -> None:
        """Remount; with files open for writing the kernel refuses, which is raised."""
        _run("mount", "-o", "remount,ro" if is_read_only else "remount,rw", str(self.path))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
