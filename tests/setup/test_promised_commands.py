"""The commands of the promise, as they are written, in a folder of their own.

The only test that asks the package index; pip's cache of wheels keeps it under a minute.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSTALL = (
    "python3 -m venv venv && source venv/bin/activate && pip install -r requirements.txt && pip install --no-deps ."
)
NO_INDEX = ("connection broken by", "No matching distribution found for")


@pytest.fixture
def copy(tmp_path):
    """A copy of what is installed, with this test's Python as `python3`; removed, being 0.6 GB."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in ("pyproject.toml", "requirements.txt", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").symlink_to(Path(sys.executable).resolve())
    yield folder
    shutil.rmtree(tmp_path / "copy")


def bash(commands: str, folder: Path) -> tuple[int, str]:
    path = f'PATH="{folder.parent}/bin:$PATH"'
    run = subprocess.run(
        ["bash", "-c", f"unset PYTHONPATH VIRTUAL_ENV; {path}; {commands}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return run.returncode, run.stdout + run.stderr


@pytest.mark.promise
def test_the_promised_commands_install_a_working_thirdrail(copy):
    code, output = bash(INSTALL, copy)
    if code and all(sign in output for sign in NO_INDEX):
        pytest.skip("package index: none can be reached")
    assert code == 0, output
    code, output = bash("source venv/bin/activate && cd / && thirdrail --version && pip check", copy)
    assert code == 0, output
    assert "0.1.0" in output
