"""The script that decides what lands fails when a part of it does."""

import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / ".ci" / "run"


def stage(*lines: str) -> subprocess.CompletedProcess[str]:
    """Run lines of a script in which ``stage`` is that of ``.ci/run``."""
    text = RUN.read_text()
    begin = text.index("stage() {")
    function = text[begin : text.index("\n}", begin) + 2]
    script = "\n".join(["set -euo pipefail", function, *lines])
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "lines",
    [
        ("stage x false", "echo reached"),
        ("outcome=0", "stage x false || outcome=$?", '[ "$outcome" = 0 ]', "echo reached"),
        ("stage x false &", "wait $!", "echo reached"),
    ],
)
def test_a_stage_that_fails_fails_whoever_asks(lines: tuple[str, ...]) -> None:
    ended = stage(*lines)
    assert ended.returncode == 1
    assert "reached" not in ended.stdout
    assert stage(*(line.replace("false", "true") for line in lines)).returncode == 0


def test_every_outcome_that_is_asked_for_is_judged_at_the_end() -> None:
    text = RUN.read_text()
    asked = {line.rsplit("|| ", 1)[1].split("=")[0] for line in text.splitlines() if "|| " in line and "=$?" in line}
    assert asked >= {"others", "found"}
    for name in asked - {"code"}:
        assert f'[ "${name}" = 0 ]' in text
