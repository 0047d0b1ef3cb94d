"""What lies in a table's folder, on a disk of this machine or in an object store; for whoever looks for leftovers."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pyarrow.fs import FileSelector, FileSystem, FileType, LocalFileSystem
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import Table as IcebergTable

from thirdrail.sinks.iceberg.files import is_local, local_path, put_file

AT_ONCE = 8
"""Deletions that are under way in an object store: each is three requests, one after the other."""


class Found(NamedTuple):
    """A file's size in bytes, and when it was written (µs) by the clock of whoever stores it."""

    bytes: int
    written_at: int


def filesystem(table: IcebergTable) -> tuple[FileSystem, Callable[[str], str]]:
    """Give Arrow's file system of a table, and how it names a file of a location."""
    if is_local(table.location()):
        return LocalFileSystem(), lambda location: str(local_path(location))
    io = table.io
    assert isinstance(io, PyArrowFileIO)  # noqa: S101 - as it was opened
    scheme, netloc, _ = PyArrowFileIO.parse_location(table.location())
    # Not by PyIceberg, which cuts a name at "#" and "?": the rest would be another file's.
    return io.fs_by_scheme(scheme, netloc), lambda location: location.partition("://")[2]


class Folder:
    """A table's folder. Files are named by their paths from it on. All methods block.

    Raises, everywhere: OSError, when the disk or the store does not do what it is asked.
    """

    def __init__(self, table: IcebergTable) -> None:
        self._is_local = is_local(table.location())
        self._system, self._path_of = filesystem(table)
        self._root = self._path_of(table.location()).rstrip("/")

    def inside(self, location: str) -> str:
        """Give a file's path from the folder on; another engine may have written through a link, or elsewhere."""
        path, root = Path(self._path_of(location)), Path(self._root)
        if self._is_local and not path.is_relative_to(root):
            path, root = path.resolve(), root.resolve()
        return str(path.relative_to(root) if path.is_relative_to(root) else path)

    def files(self, below: str, suffixes: tuple[str, ...]) -> dict[str, Found]:
        """Give all files below a folder in it whose names end so; none when there is no such folder.

        It is all of them or an error: what a listing lacks would seem to be gone.
        """
        wanted = FileSelector(f"{self._root}/{below}", allow_not_found=True, recursive=True)
        return {
            each.path.removeprefix(f"{self._root}/"): Found(each.size, each.mtime_ns // 1_000)
            for each in self._system.get_file_info(wanted)
            if each.type is FileType.File and each.path.endswith(suffixes)
        }

    def written_at(self, location: str) -> int:
        """Give when a file was written (µs), by the clock of whoever stores it."""
        found = self._system.get_file_info(self._path_of(location))
        if found.type is not FileType.File:
            raise FileNotFoundError(f"{location} is not there")
        return int(found.mtime_ns // 1_000)

    def read(self, path: str) -> bytes | None:
        """Give a small file; None when there is none."""
        try:
            with self._system.open_input_file(f"{self._root}/{path}") as file:
                return bytes(file.read())
        except FileNotFoundError:
            return None

    def put(self, path: str, data: bytes) -> None:
        """Write a small file durably and in one piece."""
        if self._is_local:
            put_file(Path(self._root) / path, data)
            return
        with self._system.open_output_stream(f"{self._root}/{path}") as file:
            file.write(data)

    def delete(self, paths: Iterable[str]) -> None:
        """Delete files; one that is gone already is no failure. The first failure ends it."""
        if self._is_local:
            for path in paths:
                self._delete(path)
            return
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for _ in threads.map(self._delete, paths):
                pass

    def _delete(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self._system.delete_file(f"{self._root}/{path}")
