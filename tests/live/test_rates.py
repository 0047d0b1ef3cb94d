"""Ten thousand rows a minute through either method of Snowflake, and none is lost or there twice."""

import json
import os
import subprocess
import sys

from benchmarks.rates import METHODS

WANTED = 10_000
SECONDS = os.environ.get("THIRDRAIL_RATE_SECONDS", "20")
SUBMITTED_WITHIN_S = 10.0
NOISE_S = 3.0
"""Two runs, two cities and two stand-ins share two cores here."""


def test_each_method_carries_ten_thousand_rows_a_minute() -> None:
    command = [sys.executable, "-m", "benchmarks.rates", "--seconds", SECONDS, "--delay", "0", "--json", "--method"]
    runs = [subprocess.Popen([*command, method], stdout=subprocess.PIPE, text=True) for method in METHODS]
    found = []
    for run in runs:
        said, _ = run.communicate(timeout=240)
        assert run.returncode == 0
        found.append(json.loads(next(line for line in said.splitlines() if line.startswith("{"))))
    for each in found:
        assert each["same_rows"], each
        assert each["rows_per_minute"] >= WANTED, each
    (_, submitted_p99) = found[METHODS.index("snowpipe")]["submitted_s"]
    assert submitted_p99 <= SUBMITTED_WITHIN_S + NOISE_S, found
