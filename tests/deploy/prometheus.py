"""A real Prometheus that scrapes one address every second."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fakes.servers import free_port
from tests.faults.process import Child, eventually


@contextmanager
def running(folder: Path, scraped: str) -> Iterator[str]:
    """Give its address."""
    folder.mkdir(parents=True)
    port = free_port()
    job = {"job_name": "thirdrail", "static_configs": [{"targets": [scraped.removeprefix("http://")]}]}
    config = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "scrape_configs": [job]}
    (folder / "prometheus.yml").write_text(json.dumps(config))
    command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    command.append(f"--web.listen-address=127.0.0.1:{port}")
    url = f"http://127.0.0.1:{port}"
    with Child(command, log=folder / "log"):
        eventually(lambda: _is_ready(url), 30, "Prometheus is ready")
        yield url


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
