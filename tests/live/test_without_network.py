"""A demo in a network namespace without any network: it starts within seconds and opens no connection outwards."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.process import run_here, run_once

LOOPBACK_UP = """
import fcntl, os, socket, struct, sys
link = socket.socket()
request = struct.pack("16sh", b"lo", 0x1 | 0x40)
fcntl.ioctl(link, 0x8914, request)  # SIOCSIFFLAGS: up and running
os.execv(sys.executable, [sys.executable, "-m", "thirdrail", *sys.argv[1:]])
"""
UP_S = 10.0
"""3 s is the promise, on a machine that does nothing else."""


def test_demo_needs_no_network_and_is_up_within_seconds(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or os.geteuid() != 0:
        pytest.skip("unshare and root, for a namespace without a network")
    warm = run_once("demo", "--data", tmp_path / "warm", "--for", "1s")
    assert warm.returncode == 0, warm.stderr
    up = started(unshare, tmp_path / "d")
    if up >= UP_S:
        up = started(unshare, tmp_path / "again")  # the machine was busy with something else: once more
    assert run_here("audit", "--data", tmp_path / "d").returncode == 0
    assert up < UP_S, f"up after {up:.1f} s"


def started(unshare: str, data: Path) -> float:
    """Let a demo run without a network; give the seconds until it was up."""
    began = time.monotonic()
    command = [unshare, "-n", sys.executable, "-c", LOOPBACK_UP, "demo", "--data", str(data), "--for", "8s"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as demo:
        assert demo.stdout is not None
        served = demo.stdout.readline()
        opening = demo.stdout.readline()
        up = time.monotonic() - began
        rest = demo.stdout.read()
    assert demo.returncode == 0, rest
    assert "is served at http://127.0.0.1:" in served
    assert "8 feeds of a simulated New York" in opening
    assert "8 of 8 feeds answer" in rest
    return up
