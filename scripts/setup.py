"""Set up `.venv`: everything that `make` needs, at the locked versions, and nothing else.

Run by every make target; when `.venv` fits the lock files it ends at once, without pip and without
a connection. Needs Python 3.11 and the standard library alone.

`.venv/set-up` (the stamp) is written last and holds a digest of what the environment was made from.
An environment without the right stamp, be it interrupted, outdated or moved, is made anew.

The syntax of this file stays that of Python 3.6, so that an old Python can say that it is too old.
"""

import sys


def check_python(version: tuple, path: str):
    """Return what is wrong with this Python, or None. `version` is (major, minor, micro)."""
    if tuple(version) >= (3, 11):
        return None
    found = ".".join(str(part) for part in version)
    return f"Python {found} found ({path}), 3.11 or newer is needed: make setup PYTHON=/path/to/python3"


if __name__ == "__main__":
    TOO_OLD = check_python(sys.version_info[:3], sys.executable)
    if TOO_OLD:
        sys.exit("set-up: " + TOO_OLD)

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = "requirements-dev.txt"
MADE_FROM = (LOCK, "requirements.txt", "pyproject.toml", "scripts/setup.py")
NEEDED_BYTES = 2 * 1024**3  # the environment takes 0.7 GB; pip's downloads and cache come on top
# One retry: a machine without a network hears so in seconds.
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input", "--retries", "1", "--timeout", "15")


class UnfitError(Exception):
    """The machine lacks something; the message is one line that says what, and what to do."""


def check_ensurepip(available: bool, version: tuple[int, int]) -> str | None:  # noqa: FBT001
    """Return what is wrong when `venv` cannot put pip into an environment, or None."""
    if available:
        return None
    package = "python{}.{}-venv".format(*version)
    return f"this Python cannot make environments (it lacks ensurepip): apt install {package}"


def check_free(free_bytes: int, path: Path) -> str | None:
    """Return what is wrong with the free space of the disk that will hold `.venv`, or None."""
    if free_bytes >= NEEDED_BYTES:
        return None
    return f"{free_bytes / 1024**3:.1f} GB free on the disk of {path}, 2 GB are needed"


def digest(root: Path) -> str:
    """Return what identifies the environment of this tree: its inputs, and its place.

    The place counts because an environment holds absolute paths.
    """
    total = hashlib.sha256(str(root).encode())
    for name in MADE_FROM:
        total.update((root / name).read_bytes())
    return total.hexdigest()


def is_done(root: Path, venv: Path) -> bool:
    """Return whether `venv` was made, to its end, from what the tree now holds."""
    stamp = venv / "set-up"
    made = stamp.exists() and (venv / "bin" / "python").exists()
    return made and stamp.read_text().strip() == digest(root)


def reason_in(output: str) -> str:
    """Return the one line of pip's output that says why it failed."""
    broken = re.search(r"connection broken by '?(.*?)'?: /", output)
    if broken:
        # ...HTTPSConnection object at 0x...>: Failed to establish ...: [Errno 111] Connection refused')
        return re.sub(r"^\[Errno -?\d+\] ", "", broken.group(1).rpartition(": ")[2].strip("()'\""))
    errors = [line for line in output.splitlines() if line.startswith("ERROR:")]
    return errors[-1][len("ERROR:") :].strip() if errors else output.strip().rpartition("\n")[2]


def try_index(python: Path, root: Path) -> None:
    """Fetch the smallest part of the lock, 50 kB, to learn whether a package index answers.

    Asks through pip, which alone knows its own configuration. Raises: UnfitError.
    """
    backend = re.search(r"^flit-core==\S+", (root / LOCK).read_text(), re.MULTILINE).group()
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            [python, *PIP, "download", "--no-cache-dir", "--no-deps", "--dest", folder, backend],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    if run.returncode:
        message = f"no package index can be reached ({reason_in(run.stdout)})"
        raise UnfitError(message + "; without one, bring the wheels/ that `make wheelhouse` fills elsewhere")


def make_empty(venv: Path) -> None:
    """Make `venv` anew, with nothing but pip in it. Raises: UnfitError."""
    if venv.is_symlink() or venv.is_file():
        venv.unlink()
    elif venv.exists():
        shutil.rmtree(venv)
    command = [sys.executable, "-m", "venv", venv]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if run.returncode:
        raise UnfitError(f"cannot make {venv}: {reason_in(run.stdout)}")


def pip_install(venv: Path, arguments: list[str], total: int, lock_file: int) -> None:
    """Run pip, its output into a log; on a terminal, count the packages begun. Raises: UnfitError.

    pip inherits `lock_file`: should this process be killed, the next one waits until pip has gone too.
    """
    log_path = venv / "set-up.log"
    process = subprocess.Popen(
        [venv / "bin" / "python", *PIP, "install", "--progress-bar", "off", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        pass_fds=[lock_file],
    )
    begun = 0
    with process, log_path.open("a") as log:
        for line in process.stdout:
            log.write(line)
            begun += line.startswith("Collecting ")
            if sys.stdout.isatty():
                print(f"  {begun:>3} of {total}", end="\r", flush=True)
    if process.returncode:
        raise UnfitError(f"pip failed ({reason_in(log_path.read_text())}); all it said is in {log_path}")


def install(root: Path, venv: Path, lock_file: int) -> None:
    """Put the locked packages and this project into `venv`, from wheels/ where there is one."""
    wheels = root / "wheels"
    total = len(re.findall("^[a-z].*==", (root / LOCK).read_text(), re.MULTILINE))
    source = "wheels/" if wheels.is_dir() else "the package index; a cold start takes minutes"
    version = "{}.{}.{}".format(*sys.version_info[:3])
    print(f"set-up: Python {version} into {venv}")
    print(f"set-up: {total} packages of {LOCK} from {source}", flush=True)
    where = ["--no-index", "--find-links", str(wheels)] if wheels.is_dir() else []
    locked = ["--require-hashes", "--only-binary", ":all:", "--requirement", str(root / LOCK)]
    pip_install(venv, where + locked, total, lock_file)
    # --no-index: with the build backend installed, there is nothing left to fetch.
    itself = ["--no-index", "--no-deps", "--no-build-isolation", "--editable", str(root)]
    pip_install(venv, itself, 1, lock_file)


def build(root: Path, venv: Path, lock_file: int) -> None:
    """Make the environment in place and stamp it. Whatever stops this, the next run begins anew."""
    begin = time.monotonic()
    wanted = digest(root)
    online = not (root / "wheels").is_dir()
    # An outdated environment has a pip to ask with: what works is not removed when nothing can replace it.
    ask_first = online and (venv / "set-up").exists() and (venv / "bin" / "python").exists()
    if ask_first:
        try_index(venv / "bin" / "python", root)
    make_empty(venv)
    if online and not ask_first:
        try_index(venv / "bin" / "python", root)
    install(root, venv, lock_file)
    (venv / "set-up.part").write_text(wanted + "\n")
    (venv / "set-up.part").replace(venv / "set-up")
    print(f"set-up: done in {time.monotonic() - begin:.0f} s; no network is needed from here on")


def set_up(root: Path) -> None:
    """Make `.venv` under `root` unless it is done. Repeating is harmless. Raises: UnfitError."""
    venv = root / ".venv"
    if is_done(root, venv):
        return
    able = all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))
    free = shutil.disk_usage(root).free
    problem = check_ensurepip(able, sys.version_info[:2]) or check_free(free, root)
    if problem:
        raise UnfitError(problem)
    lock_file = os.open(root, os.O_RDONLY)  # the folder itself: two makes at once would undo each other
    fcntl.flock(lock_file, fcntl.LOCK_EX)
    try:
        if not is_done(root, venv):
            build(root, venv, lock_file)
    finally:
        os.close(lock_file)


def main() -> None:
    """Set up this tree; exit with one line and code 1 when the machine is not fit."""
    try:
        set_up(ROOT)
    except (UnfitError, OSError) as error:
        sys.exit(f"set-up: {error}")
    except KeyboardInterrupt:
        sys.exit("set-up: interrupted; the next run begins anew")


if __name__ == "__main__":
    main()
