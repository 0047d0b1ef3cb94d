"""A small tree with the real set-up in it, and a package index on this machine to set it up from.

The tree holds the real Makefile, pyproject.toml, launcher and scripts, but a lock cut down to the
build backend, and a command that only says how it was called: a whole set-up takes four seconds
and no outside connection.
"""

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REAL_FILES = (
    "LICENSE",
    "Makefile",
    "pyproject.toml",
    "thirdrail",
    "scripts/setup.py",
    "src/thirdrail/__init__.py",
)
ECHO = """
import json, os, sys

def main():
    print(json.dumps([os.getcwd(), sys.argv[1:]]))
    return 7 if sys.argv[1:] == ["exit 7"] else 0
"""


def outer_environment() -> dict[str, str]:
    """The environment without what an outer make, or this machine's pip settings, put into it."""
    unwanted = ("MAKE", "MFLAGS", "PIP_", "PYTHON", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}


class Tree:
    """A folder with a small Third Rail, and the ways to run its parts."""

    def __init__(self, root: Path, index: str) -> None:
        self.root = root
        self.environment = outer_environment() | {
            "PIP_INDEX_URL": index,
            "PIP_CACHE_DIR": str(root.parent / "pip-cache"),
        }

    def start(self, *command: str, cwd: Path | None = None, **environment: str) -> subprocess.Popen:
        return subprocess.Popen(
            command,
            cwd=cwd or self.root,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *command: str, cwd: Path | None = None, **environment: str) -> tuple[int, str]:
        with self.start(*command, cwd=cwd, **environment) as process:
            output, _ = process.communicate()
        return process.returncode, output

    def make(self, target: str, **environment: str) -> tuple[int, str]:
        return self.run("make", target, f"PYTHON={sys.executable}", **environment)

    def setup(self, **environment: str) -> tuple[int, str]:
        """Set up without make, whose own last line would follow ours."""
        return self.run(sys.executable, "scripts/setup.py", **environment)

    def pretend(self, statement: str) -> dict[str, str]:
        """Return an environment in which every Python begins with `statement`: another machine."""
        folder = self.root.parent / "pretended"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(statement)
        return {"PYTHONPATH": str(folder)}


class Index:
    """A package index with one wheel. From the `stall_at`-th request for it on, nobody is served."""

    def __init__(self, wheel: Path) -> None:
        self.wheel = wheel
        self.stall_at: int | None = None
        self.asked = 0
        self.stalled, self.go_on = threading.Event(), threading.Event()
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                is_wheel = self.path.endswith(wheel.name)
                index._perhaps_stall(is_wheel)
                page = f'<a href="/{wheel.name}">{wheel.name}</a>'.encode()
                body = wheel.read_bytes() if is_wheel else page
                self.send_response(200)
                self.send_header("Content-Type", "application/octet-stream" if is_wheel else "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # a killed client breaks its connection
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple"

    def _perhaps_stall(self, is_wheel: bool) -> None:
        self.asked += is_wheel
        if is_wheel and self.stall_at is not None and self.asked >= self.stall_at:
            self.stalled.set()
            self.go_on.wait()


def pack_again(distribution: str, folder: Path) -> Path:
    """Make a wheel of an installed pure package, so that no test needs to fetch it."""
    try:
        installed = importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"set-up: {distribution} is not installed (this .venv was not made by `make setup`)")
    unwanted = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json")
    files = [file for file in installed.files if file.suffix != ".pyc" and file.name not in unwanted]
    info = next(file.parent for file in files if file.name == "METADATA")
    wheel = folder / f"{distribution}-{installed.version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in files:
            archive.writestr(str(file), file.read_binary())
        record = "".join(f"{file},,\n" for file in [*files, info / "RECORD"])
        archive.writestr(str(info / "RECORD"), record)
    return wheel


@contextmanager
def serve(folder: Path) -> Iterator[Index]:
    index = Index(pack_again("flit_core", folder))
    thread = threading.Thread(target=index.server.serve_forever)
    thread.start()
    try:
        yield index
    finally:
        index.go_on.set()
        index.server.shutdown()
        thread.join()
        index.server.server_close()


def plant(folder: Path, index: Index) -> Tree:
    """Make a tree that is not set up yet. Its folder has a space in its name."""
    root = folder / "third rail"
    for name in REAL_FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    (root / "src/thirdrail/cli").mkdir()
    (root / "src/thirdrail/cli/__init__.py").write_text("")
    (root / "src/thirdrail/cli/main.py").write_text(ECHO)
    version = index.wheel.name.split("-")[1]
    digest = hashlib.sha256(index.wheel.read_bytes()).hexdigest()
    for lock in ("requirements.txt", "requirements-dev.txt"):
        (root / lock).write_text(f"flit-core=={version} --hash=sha256:{digest}\n")
    return Tree(root, index.url)


@pytest.fixture
def index(tmp_path):
    with serve(tmp_path) as index:
        yield index


@pytest.fixture
def tree(tmp_path, index):
    """A tree that is not set up yet, of this test alone."""
    return plant(tmp_path, index)


@pytest.fixture(scope="session")
def ready(tmp_path_factory):
    """A tree that is set up. All tests share it: leave it set up."""
    folder = tmp_path_factory.mktemp("ready")
    with serve(folder) as index:
        tree = plant(folder, index)
        code, output = tree.setup()
        assert code == 0, output
        yield tree
