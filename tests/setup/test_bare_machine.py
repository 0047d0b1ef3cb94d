"""What the set-up says on a machine that lacks something: one line, and exit code 1."""

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNREACHABLE = "http://127.0.0.1:9/simple"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("set_up", ROOT / "scripts/setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def one_line(result: tuple[int, str]) -> str:
    code, output = result
    assert code == 1, output
    assert output.startswith("set-up: "), output
    assert output.count("\n") == 1, output
    return output


def test_an_old_python_is_named_with_its_version_and_path(script):
    problem = script.check_python((3, 9, 2), "/usr/bin/python3")
    assert "Python 3.9.2 found (/usr/bin/python3), 3.11 or newer is needed" in problem
    assert script.check_python((3, 11, 0), "/usr/bin/python3") is None
    assert script.check_python((4, 0, 0), "/usr/bin/python3") is None


def test_the_script_is_read_by_a_python_from_2016():
    ast.parse((ROOT / "scripts/setup.py").read_text(), feature_version=(3, 6))


def test_a_missing_ensurepip_names_the_package_of_this_very_python(script):
    assert script.check_ensurepip(False, (3, 12)).endswith("apt install python3.12-venv")
    assert script.check_ensurepip(True, (3, 12)) is None


def test_too_little_space_is_said_with_both_numbers(script):
    problem = script.check_free(1_500_000_000, Path("/home/me"))
    assert problem == "1.4 GB free on the disk of /home/me, 2 GB are needed"
    assert script.check_free(2 * 1024**3, Path("/home/me")) is None


def test_the_reason_is_the_last_link_of_pips_chain(script):
    warning = (
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('<x object at"
        " 0x7f>: Failed to establish a new connection: [Errno -2] Name or service not known')': /simple/a/\n"
        "ERROR: No matching distribution found for a\n"
    )
    assert script.reason_in(warning) == "Name or service not known"
    assert script.reason_in("x\nERROR: first\nERROR: last\n") == "last"
    assert script.reason_in("") == ""


def test_an_old_python_stops_the_whole_program(tree):
    old = tree.pretend("import sys; sys.version_info = (3, 9, 2, 'final', 0)")
    assert "Python 3.9.2 found" in one_line(tree.setup(**old))
    assert not (tree.root / ".venv").exists()


def test_a_missing_ensurepip_stops_the_whole_program(tree):
    without = tree.pretend("import sys; sys.modules['ensurepip'] = None")
    expected = "apt install python{}.{}-venv".format(*sys.version_info[:2])
    assert expected in one_line(tree.setup(**without))
    assert not (tree.root / ".venv").exists()


def test_a_full_disk_stops_the_whole_program(tree):
    full = tree.pretend("import shutil, types; shutil.disk_usage = lambda path: types.SimpleNamespace(free=5 * 10**8)")
    assert "0.5 GB free" in one_line(tree.setup(**full))
    assert not (tree.root / ".venv").exists()


def test_an_unreachable_index_is_one_line_and_no_wall_of_retries(tree):
    said = one_line(tree.setup(PIP_INDEX_URL=UNREACHABLE))
    assert "no package index can be reached (Connection refused)" in said
    assert "make wheelhouse" in said


def test_a_package_that_is_not_the_locked_one_is_refused(tree):
    for name in ("requirements.txt", "requirements-dev.txt"):
        pinned = (tree.root / name).read_text().partition("sha256:")[0]
        (tree.root / name).write_text(pinned + "sha256:" + "0" * 64 + "\n")
    code, output = tree.setup()
    assert code == 1
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in output
    assert "Traceback" not in output
    assert not (tree.root / ".venv/set-up").exists()
