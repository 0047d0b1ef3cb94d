"""The process as a whole: its exit code, its streams, and no traceback where a sentence will do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import FEED, Command
from thirdrail import __version__, app
from thirdrail.cli.main import commands
from thirdrail.config.settings import Config

PROGRAM = [sys.executable, "-m", "thirdrail"]


def process(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    source = str(Path(app.__file__).parents[1])
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": source, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_version_is_said() -> None:
    done = process("--version")

    assert (done.returncode, done.stdout, done.stderr) == (0, f"thirdrail {__version__}\n", "")


def test_an_error_is_a_line_and_a_hint_on_stderr_and_an_exit_code(tmp_path: Path) -> None:
    done = process("tables", "--data", tmp_path / "none")

    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]


def test_json_in_a_pipe_is_json_alone(filled: Path) -> None:
    done = process("tables", "--json", "--data", filled, COLUMNS="60")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("[\n")


def test_a_reader_that_has_gone_is_met_quietly(filled: Path) -> None:
    source = str(Path(app.__file__).parents[1])
    arguments = [*PROGRAM, "sql", "SELECT * FROM range(300000)", "--format", "csv", "--data", str(filled)]
    with subprocess.Popen(
        arguments, env={**os.environ, "PYTHONPATH": source}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline() == "range\n"
        running.stdout.close()
        assert running.stderr.read() == ""


@pytest.mark.parametrize("name", commands.commands)
def test_every_command_explains_itself(thirdrail: Command, name: str) -> None:
    said = thirdrail(name, "--help")

    assert said.code == 0
    assert f"Usage: thirdrail {name} " in said.out
    assert name in thirdrail("--help").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nonsense",), "No such command 'nonsense'"),
        (("tables", "--nonsense"), "No such option"),
        (("replay", "x"), "Missing option '--feed'"),
        (("captures", "show", "x"), "'x' is not a valid integer"),
        (("captures", "list", "--limit", "0"), "0 is not in the range"),
    ],
)
def test_wrong_use_is_said_with_the_help_that_mends_it(
    thirdrail: Command, words: tuple[str, ...], message: str
) -> None:
    said = thirdrail(*words)

    assert said.code == 2
    first, second = said.err.splitlines()
    assert first.startswith("error: ")
    assert message in first
    assert second.startswith("hint: thirdrail")
    assert second.endswith("--help")


@pytest.mark.parametrize("words", [(), ("captures",), ("quarantine",), ("config",)])
def test_a_group_alone_shows_its_help(thirdrail: Command, words: tuple[str, ...]) -> None:
    said = thirdrail(*words)

    assert said.code == 2
    assert said.err.startswith(f"Usage: thirdrail {' '.join(words)}".rstrip())


def test_a_second_writer_is_told_who_the_first_is(thirdrail: Command, filled: Path, recorded: Path) -> None:
    with app.writing(filled, Config()):
        said = thirdrail("replay", recorded, "--feed", FEED)
        read = thirdrail("tables")

    assert said.code == 1
    assert said.err.startswith(f"error: already running: process {os.getpid()}")
    assert read.code == 0, "readers are welcome beside a writer"


def test_trouble_with_a_file_is_one_line(thirdrail: Command, filled: Path) -> None:
    said = thirdrail("captures", "export", "/proc/nowhere")

    assert said.code == 1
    assert said.err == "error: /proc/nowhere: No such file or directory\n"
