"""Make a data folder as a commit of the past left it, for tests/kill/test_older_folder.py (needs the history).

``python scripts/older_folder.py COMMIT``: that commit's own code takes captures in and is killed in the middle of a
commit, half way through the tables; what it leaves goes to ``tests/kill/older/COMMIT.tar.xz``. Times aside, it comes
out the same each time.
"""

import io
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
MADE_AT = Path("/tmp/thirdrail-older")  # noqa: S108 - a new folder, or it stops
"""Where it lay: tables name their files by absolute paths, so the test has to move it."""

LIVE = "from pathlib import Path; from tests.kill.victim import live; live(Path({!r}), 40, 'catalog commit', 75, 15)"


def main() -> None:
    """Write the archive."""
    (commit,) = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        asked = ["git", "archive", commit]
        source = subprocess.run(asked, cwd=HOME, check=True, stdout=subprocess.PIPE).stdout
        with tarfile.open(fileobj=io.BytesIO(source)) as archive:
            archive.extractall(name, filter="data")
        MADE_AT.mkdir()
        environment = os.environ | {"PYTHONPATH": f"{name}/src:{name}"}
        died = subprocess.run([sys.executable, "-c", LIVE.format(str(MADE_AT))], cwd=name, env=environment, check=False)
        if died.returncode != -signal.SIGKILL:
            sys.exit(f"it should have been killed, and ended with {died.returncode}")
    target = HOME / "tests/kill/older" / f"{commit}.tar.xz"
    with tarfile.open(target, "w:xz", preset=9) as archive:
        archive.add(MADE_AT, arcname="data")
    print(f"{target}: {target.stat().st_size:,} bytes; {MADE_AT} may go")


if __name__ == "__main__":
    main()
