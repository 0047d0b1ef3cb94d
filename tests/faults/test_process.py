"""A child is really killed, stopped and woken; its words are shown; nothing of it is left."""

import signal
import sys
import time
from pathlib import Path

import pytest

from tests.faults.process import Child, Victim, eventually

COUNTS = """
import itertools, time
for number in itertools.count():
    print(number, flush=True)
    time.sleep(0.01)
"""
POLITE = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("ready", flush=True)
time.sleep(60)
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("child", child.pid, "of", flush=True)
child.wait()
"""


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def has_grown(child: Child, since: int) -> bool:
    return len(child.output) > since


def test_a_killed_child_ends_by_signal_nine() -> None:
    with Child(python(COUNTS)) as child:
        child.wait_for("3\n")
        child.kill()
        assert child.ends(5) == -signal.SIGKILL


def test_a_terminated_child_may_say_how_it_ends() -> None:
    with Child(python(POLITE)) as child:
        child.wait_for("ready")
        child.terminate()
        assert child.ends(5) == 7


def test_an_interrupted_child_sees_a_keyboard_interrupt() -> None:
    with Child(python(POLITE)) as child:
        child.wait_for("ready")
        child.interrupt()
        assert child.ends(5) == -signal.SIGINT
    assert "KeyboardInterrupt" in child.output


def test_a_stopped_child_stands_still_until_it_is_woken() -> None:
    with Child(python(COUNTS)) as child:
        child.wait_for("3\n")
        child.stop()
        before = len(child.output)
        with pytest.raises(AssertionError, match=r"not within 0\.2 s: it goes on"):
            child.until(lambda: has_grown(child, before), 0.2, "it goes on")
        child.wake()
        child.wait_for(lambda: has_grown(child, before), timeout=5)


def test_a_frozen_child_says_nothing_for_that_long_and_goes_on() -> None:
    with Child(python(COUNTS)) as child:
        child.wait_for("3\n")
        began = time.monotonic()
        child.freeze(0.3)
        assert time.monotonic() - began >= 0.3
        before = len(child.output)
        child.wait_for(lambda: has_grown(child, before), timeout=5)


def test_a_wait_that_fails_shows_what_the_child_said() -> None:
    with Child(python("print('these are my last words')")) as child, pytest.raises(AssertionError) as caught:
        child.wait_for("hello", timeout=5)
    assert "it ended with 0 before it says 'hello': these are my last words" in str(caught.value)


def test_what_a_child_says_last_is_not_missed() -> None:
    with Child(python("print('done')")) as child:
        assert child.ends(5) == 0
        child.wait_for("done")


def test_a_child_that_does_not_end_fails_the_test_with_its_words() -> None:
    with Child(python(POLITE)) as child:
        child.wait_for("ready")
        with pytest.raises(AssertionError, match=r"did not end within 0\.1 s: ready"):
            child.ends(0.1)


@pytest.mark.parametrize("is_killed_before", [False, True])
def test_no_child_and_no_grandchild_is_left(is_killed_before: bool) -> None:
    with Child(python(PARENT)) as child:
        child.wait_for(" of")
        grandchild = Path("/proc", child.output.split()[1])
        assert grandchild.exists()
        if is_killed_before:
            child.kill()
            assert grandchild.exists()
    assert child.process.returncode == -signal.SIGKILL
    eventually(lambda: not grandchild.exists() or "\nState:\tZ" in status(grandchild), 5, "the grandchild is gone")


def status(process: Path) -> str:
    try:
        return (process / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "\nState:\tZ"


def test_a_stopped_child_is_reaped_too() -> None:
    with Child(python(COUNTS)) as child:
        child.wait_for("3\n")
        child.stop()
    assert child.process.returncode == -signal.SIGKILL


def test_the_environment_is_added_to() -> None:
    with Child(python("import os; print(os.environ['MINE'], 'PATH' in os.environ)"), env={"MINE": "here"}) as child:
        child.wait_for("here True")


def test_a_victim_runs_a_module_and_leaves_its_log(tmp_path: Path) -> None:
    with Victim(tmp_path / "log", "-h", module="json.tool") as victim:
        assert victim.ends(10) == 0
    assert "usage" in (tmp_path / "log").read_text()
    assert "usage" in victim.output


def test_a_deadline_names_what_did_not_come() -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.05 s: the sun"):
        eventually(lambda: False, 0.05, "the sun", every_s=0.01)
    eventually(lambda: True, 0, "at least one look")
