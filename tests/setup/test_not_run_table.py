"""The table at the end of a test run, and the switch by which CI forbids what is on it."""

import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"
TESTS = """
import pytest

def test_runs(): pass

@pytest.mark.xfail(strict=True)
def test_fails_as_expected(): assert False

@pytest.mark.skip(reason="recordings: ../shared/data is absent")
def test_one(): pass

@pytest.mark.skip(reason="recordings: ../shared/data is absent")
def test_two(): pass
"""
OTHER = "import pytest\npytest.skip('kafka: no broker', allow_module_level=True)\n"


@pytest.fixture
def run(tmp_path):
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -ra\n")
    (tmp_path / "test_some.py").write_text(TESTS)

    def run(*options: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, str(tmp_path)]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return result.returncode, result.stdout

    return run


def test_the_last_table_counts_tests_by_what_they_lacked(run, tmp_path):
    (tmp_path / "test_other.py").write_text(OTHER)
    code, output = run()
    assert code == 0
    lines = output.splitlines()
    assert "not run here, for want of" in lines[-4]
    assert lines[-3:-1] == ["    1  kafka: no broker", "    2  recordings: ../shared/data is absent"]


def test_an_empty_table_says_so(run, tmp_path):
    (tmp_path / "test_some.py").write_text("def test_runs(): pass\n")
    assert "    0  (nothing is missing)" in run()[1]


def test_a_forbidden_reason_fails_the_run(run, tmp_path):
    assert run("--fail-on-skip-except=recordings")[0] == 0
    (tmp_path / "test_other.py").write_text(OTHER)
    code, output = run("--fail-on-skip-except=recordings")
    assert code == 1
    assert "FAILED: no test may be skipped here for: kafka: no broker" in output
    assert "may be skipped here for: recordings" not in output
