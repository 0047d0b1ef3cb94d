"""The set-up runs once, survives being killed, and needs no network when it has a wheelhouse."""

import fcntl
import importlib.util
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNREACHABLE = "http://127.0.0.1:9/simple"


def test_one_set_up_makes_the_command_work(ready):
    code, output = ready.run("./thirdrail")
    assert (code, output.count("\n")) == (0, 1), output


def test_a_second_set_up_runs_no_pip_and_opens_no_connection(ready, tmp_path):
    if not shutil.which("strace"):
        pytest.skip("strace: not installed")
    trace = tmp_path / "trace"
    watched = ("strace", "-f", "-qq", "-e", "trace=connect,execve", "-o", str(trace))
    code, output = ready.run(*watched, "make", "setup", f"PYTHON={sys.executable}")
    assert (code, output) == (0, ".venv is ready\n")
    assert "setup.py" in trace.read_text(), "the trace shows what was run"
    assert "AF_INET" not in trace.read_text()
    assert '"pip"' not in trace.read_text()


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("set_up", ROOT / "scripts/setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pretend_done(script, root):
    (root / ".venv/bin").mkdir(parents=True)
    (root / ".venv/bin/python").touch()
    (root / ".venv/set-up").write_text(script.digest(root))
    assert script.is_done(root, root / ".venv")


@pytest.mark.parametrize("changed", ["requirements.txt", "requirements-dev.txt", "pyproject.toml"])
def test_a_changed_lock_makes_the_environment_outdated(script, tree, changed):
    pretend_done(script, tree.root)
    with (tree.root / changed).open("a") as file:
        file.write("# changed\n")
    assert not script.is_done(tree.root, tree.root / ".venv")


def test_a_moved_tree_makes_the_environment_outdated(script, tree):
    pretend_done(script, tree.root)
    moved = tree.root.rename(tree.root.with_name("moved"))
    assert not script.is_done(moved, moved / ".venv")


def test_a_python_that_went_away_makes_the_environment_outdated(script, tree):
    pretend_done(script, tree.root)
    (tree.root / ".venv/bin/python").unlink()
    (tree.root / ".venv/bin/python").symlink_to("/usr/bin/python3.gone")
    assert not script.is_done(tree.root, tree.root / ".venv")


def test_an_outdated_environment_is_replaced_but_not_before_an_index_answers(ready):
    leftover = ready.root / ".venv/leftover"
    leftover.touch()
    with (ready.root / "requirements.txt").open("a") as lock:
        lock.write("# changed\n")
    code, output = ready.setup(PIP_INDEX_URL=UNREACHABLE)
    assert (code, output.count("\n")) == (1, 1), output
    assert "no package index can be reached" in output
    code, output = ready.run("./thirdrail")
    assert code == 0, output
    code, output = ready.setup()
    assert code == 0, output
    assert not leftover.exists()


def test_an_interrupted_set_up_says_so_in_one_line_and_is_repaired_by_the_next(tree, index):
    index.stall_at = 2  # the first request is the question whether the index answers
    with tree.start(sys.executable, "scripts/setup.py") as process:
        assert index.stalled.wait(60)
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate()
    assert process.returncode == 1
    assert output.endswith("\nset-up: interrupted; the next run begins anew\n"), output
    assert "Traceback" not in output
    code, output = tree.run("./thirdrail")
    assert (code, "run `make setup`" in output) == (1, True)
    index.stall_at = None
    code, output = tree.setup()
    assert code == 0, output


def test_after_a_kill_the_next_set_up_waits_until_the_orphaned_pip_is_gone(tree, index):
    index.stall_at = 2
    with tree.start(sys.executable, "scripts/setup.py") as process:
        assert index.stalled.wait(60)
        process.kill()  # its pip lives on, and would write into the environment that the next one makes
        process.wait()
        folder = os.open(tree.root, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(folder)
    assert not (tree.root / ".venv/set-up").exists()
    index.stall_at = None
    index.go_on.set()
    code, output = tree.setup()
    assert code == 0, output


def test_a_wheelhouse_replaces_the_network(ready):
    code, output = ready.make("wheelhouse")
    assert code == 0, output
    assert [file.suffix for file in (ready.root / "wheels").iterdir()] == [".whl"]
    shutil.rmtree(ready.root / ".venv")
    code, output = ready.setup(PIP_INDEX_URL=UNREACHABLE)
    assert code == 0, output
    assert "from wheels/" in output
    shutil.rmtree(ready.root / "wheels")


def test_a_wheel_holds_the_data_files_of_the_package(ready):
    (ready.root / "src/thirdrail/routes.csv").write_text("route_id\n")
    build = "import flit_core.buildapi as backend; print(backend.build_wheel('.'))"
    code, output = ready.run(str(ready.root / ".venv/bin/python"), "-c", build)
    assert code == 0, output
    assert output.strip() == "thirdrail-0.1.0-py3-none-any.whl"
    code, output = ready.run(sys.executable, "-m", "zipfile", "--list", output.strip())
    assert "thirdrail/routes.csv" in output
    assert "LICENSE" in output
