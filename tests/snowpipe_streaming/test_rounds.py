"""Rounds of faults against the official client: eight channels at a time, each row once and in order.

Statuses of the notes' table on every call, resets before and after a request is applied, expired tokens, thefts,
slow commits, file mode asked for, requests of an earlier life still on their way; and the same of uploads.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.snowpipe_streaming.rounds import AT_A_TIME

ROUNDS = int(os.environ.get("THIRDRAIL_SNOWFLAKE_ROUNDS", "16"))


@pytest.mark.parametrize("group", range(max(1, ROUNDS // AT_A_TIME)))
def test_each_row_is_there_once_and_in_order(tmp_path: Path, group: int) -> None:
    command = [sys.executable, "-m", "tests.snowpipe_streaming.rounds", str(tmp_path), str(group)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert ended.returncode == 0, ended.stdout + ended.stderr[-8_000:]
