"""Real servers on this machine, for a test's time: PostgreSQL, and Apache Iceberg's own REST catalog."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REST_CLASSPATH = ROOT / "tests" / "contract" / "rest" / "target" / "classpath"
MOTO = ROOT / ".venv-readers" / "bin" / "moto_server"
_STARTED_WITHIN_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def postgres_programs() -> Path | None:
    """Give where PostgreSQL's programs are; Debian does not put them on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


needs_postgres = pytest.mark.skipif(postgres_programs() is None, reason="PostgreSQL")
needs_s3 = pytest.mark.skipif(not MOTO.exists(), reason="an S3 server (make readers)")
needs_rest_catalog = pytest.mark.skipif(
    not REST_CLASSPATH.exists() or shutil.which("java") is None, reason="Apache Iceberg's REST catalog (make readers)"
)


@contextmanager
def postgres() -> Iterator[str]:
    """Give the address (for SQLAlchemy, without a database) of a new PostgreSQL that trusts everybody here."""
    programs = postgres_programs()
    assert programs is not None
    # It refuses to run as root, and its own user must be able to reach the folder.
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    user = "postgres" if as_user else pwd.getpwuid(os.geteuid()).pw_name
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    if as_user:
        shutil.chown(folder, user)
    port = free_port()
    try:
        made = [programs / "initdb", "-D", folder / "db", "-U", user, "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run([*as_user, *made], check=True, capture_output=True, timeout=60)
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories= -c fsync=off"
        control = [*as_user, programs / "pg_ctl", "-D", folder / "db", "-w"]
        subprocess.run(
            [*control, "-o", options, "-l", folder / "log", "start"], check=True, capture_output=True, timeout=60
        )
        try:
            yield f"postgresql+psycopg://{user}@127.0.0.1:{port}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, timeout=60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def s3() -> Iterator[str]:
    """Give the address of an S3 in memory, with one bucket: ``city``."""
    port = free_port()
    server = subprocess.Popen(
        [MOTO, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + _STARTED_WITHIN_S
        while True:
            request = urllib.request.Request(f"{address}/city", method="PUT")
            with suppress(OSError), urllib.request.urlopen(request, timeout=5):
                break
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(20)


@contextmanager
def rest_catalog(folder: Path) -> Iterator[str]:
    """Give the address of a new REST catalog whose warehouse is a folder."""
    port = free_port()
    environment = {
        **os.environ,
        "CATALOG_WAREHOUSE": folder.as_uri(),
        "CATALOG_URI": f"jdbc:sqlite:{folder}/server.sqlite",
        "CATALOG_REST_PORT": str(port),
    }
    command = [
        "java",
        "-Xmx256m",
        "-cp",
        REST_CLASSPATH.read_text().strip(),
        "org.apache.iceberg.rest.RESTCatalogServer",
    ]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + _STARTED_WITHIN_S
        address = f"http://127.0.0.1:{port}"
        while True:
            with suppress(OSError), urllib.request.urlopen(f"{address}/v1/config", timeout=5):
                break
            assert server.poll() is None, (folder / "server.log").read_text()[-2_000:]
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(20)
