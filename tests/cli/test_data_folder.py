"""A data folder that cannot be used is met with one line that says why."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import FEED, Command
from thirdrail.app.data_folder import STAMP, DataFolder
from thirdrail.errors import DataFolderError
from thirdrail.model.tables import ALL_TABLES


def stamped(folder: Path, **changed: object) -> None:
    stamp = json.loads((folder / STAMP).read_text())
    (folder / STAMP).write_text(json.dumps({**stamp, **changed}))


def test_the_stamp_says_kind_format_version_and_place(filled: Path) -> None:
    stamp = json.loads((filled / STAMP).read_text())

    assert stamp == {"kind": "live", "format_version": 2, "created_by": stamp["created_by"], "path": str(filled)}


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda folder: stamped(folder, kind="rehearsed"), "holds rehearsed data"),
        (lambda folder: stamped(folder, format_version=3), "newer version"),
        (lambda folder: stamped(folder, format_version=1), "older version"),
        (lambda folder: (folder / STAMP).write_text("{"), "is damaged"),
        (lambda folder: (folder / STAMP).unlink(), "is not a Third Rail data folder"),
    ],
)
@pytest.mark.parametrize("command", [("tables",), ("audit",), ("captures", "list"), ("captures", "skip")])
def test_a_foreign_folder_is_refused(
    thirdrail: Command, filled: Path, harm: Callable[[Path], object], words: str, command: tuple[str, ...]
) -> None:
    harm(filled)

    said = thirdrail(*command)

    assert said.code == 2
    assert words in said.err.splitlines()[0]
    assert said.out == ""


def test_a_foreign_folder_is_not_written_to(thirdrail: Command, recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("mine")

    said = thirdrail("replay", recorded, "--feed", FEED)

    assert said.code == 2
    assert [each.name for each in (tmp_path / "data").iterdir()] == ["thesis.txt"]


def test_a_moved_folder_is_recognised_and_the_named_command_mends_it(
    thirdrail: Command, filled: Path, tmp_path: Path
) -> None:
    moved = filled.rename(tmp_path / "elsewhere")

    said = thirdrail("tables", "--data", moved)
    assert said.code == 2
    assert said.err.splitlines() == [
        f"error: {moved} was filled at {filled}: its tables name files by that path",
        f"hint: thirdrail relocate {filled} {moved}",
    ]

    said = thirdrail("relocate", filled, moved)
    assert (said.code, said.out) == (0, f"{moved}: {len(ALL_TABLES)} tables moved\n")
    assert thirdrail("audit", "--data", moved).code == 0
    assert thirdrail("relocate", filled, moved).out == f"{moved}: nothing to move\n"


def test_a_moved_folder_that_is_linked_to_is_taken_as_it_is(thirdrail: Command, filled: Path, tmp_path: Path) -> None:
    moved = filled.rename(tmp_path / "elsewhere")
    filled.symlink_to(moved)
    assert thirdrail("audit", "--data", moved).code == 0


@pytest.mark.parametrize(
    "command", [("tables",), ("sql", "SELECT 1"), ("audit",), ("captures", "list"), ("captures", "skip")]
)
def test_without_data_the_command_that_brings_some_is_named(
    thirdrail: Command, tmp_path: Path, command: tuple[str, ...]
) -> None:
    said = thirdrail(*command)

    assert said.code == 2
    assert said.err.splitlines()[0] == f"error: {tmp_path / 'data'} holds no data yet"
    assert "thirdrail replay PATH --feed ID" in said.err
    assert not (tmp_path / "data").exists()


def test_a_file_is_no_data_folder(thirdrail: Command, recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")

    for command in (("tables",), ("replay", recorded, "--feed", FEED)):
        said = thirdrail(*command)
        assert (said.code, said.err) == (2, f"error: {tmp_path / 'data'} is a file, not a data folder\n")


def test_a_place_that_cannot_be_written_is_named(thirdrail: Command, recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    said = thirdrail("replay", recorded, "--feed", FEED, "--data", tmp_path / "file" / "data")

    assert said.code == 2
    assert f"{tmp_path / 'file' / 'data'} cannot be written" in said.err


@pytest.mark.parametrize("name", ["100%", "what?", "a#b", "list[1]"])
def test_a_path_that_readers_of_iceberg_would_take_for_something_else_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataFolderError, match="cannot be used"):
        DataFolder.for_writing(tmp_path / name)
    assert not (tmp_path / name).exists()
