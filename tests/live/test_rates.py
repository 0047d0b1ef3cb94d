"""Ten thousand rows a minute through either method of Snowflake, all of New York through one; none is lost or twice."""

import json
import os
import subprocess
import sys
from typing import Any

from benchmarks.rates import METHODS

WANTED, ALL_WANTED = 10_000, 100_000
SECONDS, ALL_SECONDS = os.environ.get("THIRDRAIL_RATE_SECONDS", "20"), "20"
SUBMITTED_WITHIN_S = 10.0
NOISE_S = 3.0
"""Two runs, two cities and two stand-ins share two cores here."""


def _measuring(seconds: str, method: str, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.rates", "--seconds", seconds, "--method", method, *options, "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _found(run: subprocess.Popen[str]) -> dict[str, Any]:
    said, _ = run.communicate(timeout=240)
    assert run.returncode == 0
    return json.loads(next(line for line in said.splitlines() if line.startswith("{")))  # type: ignore[no-any-return]


def test_each_method_carries_ten_thousand_rows_a_minute() -> None:
    found = [_found(run) for run in [_measuring(SECONDS, method, "--delay", "0") for method in METHODS]]
    for each in found:
        assert each["same_rows"], each
        assert each["rows_per_minute"] >= WANTED, each
    (_, submitted_p99) = found[METHODS.index("snowpipe")]["submitted_s"]
    assert submitted_p99 <= SUBMITTED_WITHIN_S + NOISE_S, found


def test_all_of_new_york_goes_through_channels_from_its_first_pictures_on() -> None:
    """Some 150 MB at once for one channel, which carries 12 MB a second."""
    found = _found(_measuring(ALL_SECONDS, "snowpipe_streaming", "--delay", "5", "--city", "full"))
    assert found["same_rows"], found
    assert found["rows_per_minute"] >= ALL_WANTED, found
