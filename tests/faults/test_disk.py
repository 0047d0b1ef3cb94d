"""A small disk is really full, read-only or out of inodes, and recovers."""

import errno
import os
from pathlib import Path

import pytest

from tests.faults.disk import FullOfInodes, ReadOnlyDisk, SmallDisk


def error_of_writing(path: Path, data: bytes = b"x") -> str | None:
    try:
        path.write_bytes(data)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return None


def test_a_full_disk_has_space_again_once_freed() -> None:
    with SmallDisk(megabytes=2) as disk:
        assert error_of_writing(disk.path / "a") is None
        disk.fill()
        disk.fill()
        assert error_of_writing(disk.path / "b") == "ENOSPC"
        disk.free()
        disk.free()
        assert error_of_writing(disk.path / "b") is None


def test_a_small_disk_is_as_small_as_asked() -> None:
    with SmallDisk(megabytes=2) as disk:
        assert error_of_writing(disk.path / "a", bytes(3 << 20)) == "ENOSPC"


def test_a_given_path_stays_and_what_lay_on_the_disk_is_gone(tmp_path: Path) -> None:
    with SmallDisk(tmp_path / "disk", 2) as disk:
        (disk.path / "a").touch()
        assert os.path.ismount(disk.path)
    assert list((tmp_path / "disk").iterdir()) == []


def test_a_path_of_its_own_is_removed_also_after_a_failure() -> None:
    with pytest.raises(ZeroDivisionError), SmallDisk(megabytes=2) as disk:
        raise ZeroDivisionError
    assert not disk.path.exists()


def test_a_read_only_disk_is_read_and_later_written() -> None:
    with SmallDisk(megabytes=2) as disk:
        (disk.path / "a").write_text("there")
        with ReadOnlyDisk(disk):
            assert error_of_writing(disk.path / "b") == "EROFS"
            assert (disk.path / "a").read_text() == "there"
        assert error_of_writing(disk.path / "b") is None


def test_a_disk_with_a_file_open_for_writing_cannot_become_read_only() -> None:
    with SmallDisk(megabytes=2) as disk, (disk.path / "a").open("wb"):
        with pytest.raises(Exception, match="mount") as caught:
            disk.be_read_only(is_read_only=True)
        assert "busy" in caught.value.__notes__[0]


def test_without_inodes_no_file_is_made_but_files_grow() -> None:
    with SmallDisk(megabytes=2, inodes=8) as disk:
        (disk.path / "a").touch()
        with FullOfInodes(disk):
            assert error_of_writing(disk.path / "b") == "ENOSPC"
            assert error_of_writing(disk.path / "a", bytes(100_000)) is None
        assert error_of_writing(disk.path / "b") is None


def test_without_root_the_test_is_announced_as_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(pytest.skip.Exception, match="root, to mount"):
        SmallDisk()
