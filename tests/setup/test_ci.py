"""The script that decides what lands fails when a part of it does.

It is run as it stands, with ``make`` and ``apt-get`` replaced by programs that only say what they were asked for.
All three ways in which it once swallowed a failure came from ``set -e``, which does not hold inside
``stage … || …``, nor inside a function called so, nor for a list such as ``[ … ] && [ … ]`` that is not the last
line; reading the script had not told.
"""

import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / ".ci" / "run"
STUB = """#!/bin/sh
echo "asked: $(basename "$0") $*"
case "$(basename "$0") $*" in ${FAILING:-nothing}) echo "fails: $*"; exit 3;; esac
"""


def run(folder: Path, failing: str | None) -> subprocess.CompletedProcess[str]:
    """Run ``.ci/run`` with every command that it starts replaced; those matching ``failing`` fail."""
    for name in ("make", "apt-get"):
        program = folder / name
        program.write_text(STUB.replace("${FAILING:-nothing}", failing or "nothing"))
        program.chmod(0o755)
    environment = {"PATH": f"{folder}:/usr/bin:/bin"}
    return subprocess.run([RUN], env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_it_passes_when_every_part_does(tmp_path: Path) -> None:
    ended = run(tmp_path, None)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "fails" not in ended.stdout
    for part in ("apt-get update", "make setup", "make check", " tests/soak tests/", "--ignore=tests/soak"):
        assert part in ended.stdout


@pytest.mark.parametrize(
    "failing",
    [
        "apt-get*update*",
        "apt-get*install*",
        "make*setup*",
        "make*readers*",
        "make*check*",
        # The three lanes in the background, and that of every other test.
        '*" tests/live"*',
        '*" tests/snowpipe_streaming"*',
        '*" tests/soak"*',
        "make*test*--ignore=tests/soak*",
        "make*engine*",
    ],
)
def test_it_fails_when_one_part_does(tmp_path: Path, failing: str) -> None:
    ended = run(tmp_path, failing)
    assert ended.returncode != 0, ended.stdout
