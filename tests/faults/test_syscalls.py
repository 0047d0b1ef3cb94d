"""System calls of real processes really fail, where and when they are told to."""

import signal
import sys
from pathlib import Path

import pytest

from tests.faults import syscalls
from tests.faults.process import Child
from tests.faults.syscalls import FailingSyscalls, KilledAt

SYNCS = """
import errno, os, sys, threading, time
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
def sync():
    while True:
        try:
            os.fsync(file)
            print("well", flush=True)
        except OSError as error:
            print(errno.errorcode[error.errno], flush=True)
        time.sleep(0.01)
"""
IN_THE_FIRST_THREAD = SYNCS + "sync()\n"
IN_ANOTHER_THREAD = SYNCS + "threading.Thread(target=sync).start()\n"
FIVE_WRITES = """
import errno, os, sys
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
for place in range(5):
    try:
        os.pwrite(file, b"x", place)
        print("well", end=" ", flush=True)
    except OSError as error:
        print(errno.errorcode[error.errno], end=" ", flush=True)
print("over", flush=True)
"""


def python(program: str, tmp_path: Path) -> list[str]:
    return [sys.executable, "-c", program, str(tmp_path / "file")]


@pytest.mark.parametrize("program", [IN_THE_FIRST_THREAD, IN_ANOTHER_THREAD])
def test_fsync_fails_in_a_running_process_and_is_well_afterwards(tmp_path: Path, program: str) -> None:
    with Child(python(program, tmp_path)) as child:
        child.wait_for("well")
        with FailingSyscalls(child.process.pid, "fsync,fdatasync"):
            child.wait_for("EIO")
        after = len(child.output) + len("EIO\n")
        child.wait_for(lambda: "well" in child.output[after:])


def test_a_command_meets_the_error_from_the_third_call_on(tmp_path: Path) -> None:
    with FailingSyscalls(python(FIVE_WRITES, tmp_path), error="ENOSPC", when="3+") as failing:
        failing.child.wait_for("over")
        assert failing.child.ends(5) == 0
        assert failing.child.output.split() == ["well", "well", "ENOSPC", "ENOSPC", "ENOSPC", "over"]
    assert (tmp_path / "file").read_bytes() == b"xx"


def test_a_traced_command_gets_the_signals_itself(tmp_path: Path) -> None:
    with FailingSyscalls(python(IN_THE_FIRST_THREAD, tmp_path), "fsync") as failing:
        failing.child.wait_for("EIO")
        failing.child.terminate()
        assert failing.child.ends(5) == -signal.SIGTERM


@pytest.mark.parametrize("nth", [1, 3])
def test_a_command_is_killed_before_its_nth_write(tmp_path: Path, nth: int) -> None:
    with KilledAt(python(FIVE_WRITES, tmp_path), "pwrite64", nth) as killed:
        assert killed.child.ends(10) == -signal.SIGKILL
    assert (tmp_path / "file").read_bytes() == b"x" * (nth - 1)


def test_a_process_that_is_gone_is_said(tmp_path: Path) -> None:
    with Child([sys.executable, "-c", ""]) as child:
        child.ends(5)
    with pytest.raises(AssertionError, match=r"strace ended: .*No such process"), FailingSyscalls(child.process.pid):
        pass


def test_without_strace_the_test_is_announced_as_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    syscalls._what_is_missing.cache_clear()
    try:
        with pytest.raises(pytest.skip.Exception, match="strace, to let"):
            FailingSyscalls(1)
    finally:
        syscalls._what_is_missing.cache_clear()
