"""The stand-in with our tables and the scratch table, and a configuration that points to it."""

import io
import shutil
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

from thirdrail.cli.main import run
from thirdrail.emulator.certificates import prepared
from thirdrail.emulator.server import EmulatorServer


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates and a user's key, made once: making them takes longer than most tests here."""
    folder = tmp_path_factory.mktemp("keys")
    prepared(folder)
    return folder


@pytest.fixture
def emulator(tmp_path: Path, keys: Path) -> Iterator[EmulatorServer]:
    shutil.copytree(keys, tmp_path / "emulator")
    with EmulatorServer(tmp_path / "emulator", commit_delay_s=0.0) as server:
        yield server


@pytest.fixture
def config_file(emulator: EmulatorServer, tmp_path: Path) -> Path:
    path = tmp_path / "thirdrail.toml"
    path.write_text(emulator.configuration())
    return path


class Done(NamedTuple):
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


def command(*arguments: str) -> Done:
    """Run ``thirdrail snowflake …`` as a shell would."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(["snowflake", *arguments])
    return Done(code, out.getvalue(), err.getvalue())
