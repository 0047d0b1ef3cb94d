"""Our Prometheus and Alertmanager, really running, many times as fast; and an inbox for what they tell people."""

import json
import re
import shutil
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.fakes.servers import free_port
from tests.faults.process import Child

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
ALERTMANAGER = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
RULES = PROMETHEUS / "rules" / "thirdrail.yml"
FASTER = 20

PROGRAMS = ("prometheus", "promtool", "prometheus-alertmanager", "amtool")
needs_prometheus = pytest.mark.skipif(
    not all(shutil.which(program) for program in PROGRAMS),
    reason="Prometheus and Alertmanager (apt-get install prometheus prometheus-alertmanager)",
)


@dataclass
class Inbox:
    """What came over HTTP: path, token, content, and when."""

    port: int = 0
    messages: list[tuple[float, str, str, dict[str, object]]] = field(default_factory=list)

    def slack(self, title: str) -> list[str]:
        """Give the texts of what came for Slack under a title."""
        attached = [m["attachments"][0] for _, path, _, m in list(self.messages) if path == "/slack"]
        return [one["text"] for one in attached if one["title"] == title]

    def hook(self, status: str, alert: str) -> list[dict[str, object]]:
        """Give the alerts of a name that came to the webhook."""
        sent = [m["alerts"] for _, path, _, m in list(self.messages) if path == "/alerts"]
        return [a for alerts in sent for a in alerts if (a["status"], a["labels"]["alertname"]) == (status, alert)]


@contextmanager
def inbox() -> Iterator[Inbox]:
    """Listen for messages."""
    box = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            box.messages.append((time.monotonic(), self.path, self.headers.get("Authorization", ""), content))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.1,))
    thread.start()
    box.port = server.server_address[1]
    try:
        yield box
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def faster(text: str, times: int) -> str:
    """Divide every duration of a configuration or of rules, and leave numbers and names alone."""
    ms = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

    def divided(match: re.Match[str]) -> str:
        return f"{match[1]}{int(match[2]) * ms[match[3]] // times}ms"

    return re.sub(r"(\[|offset |for: |interval: |_wait: )(\d+)([smhd])\b", divided, text)


def asked(url: str, content: object = None) -> object:
    """Ask a server; give the JSON."""
    body = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.loads(answer.read() or b"null")


def answers(url: str) -> bool:
    """Whether a server is there."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


@contextmanager
def alertmanager(folder: Path, box: Inbox, times: int = FASTER) -> Iterator[str]:
    """Run Alertmanager with our routes, so many times as fast, to an inbox; give its address."""
    secrets = folder / "secrets"
    secrets.mkdir(parents=True)
    (secrets / "slack_url").write_text(f"http://127.0.0.1:{box.port}/slack")
    (secrets / "webhook_token").write_text("a-token\n")
    config = faster(ALERTMANAGER.read_text(), times).replace("/etc/alertmanager/secrets", str(secrets))
    config, replaced = re.subn(r"url: http://\S+", f"url: http://127.0.0.1:{box.port}/alerts", config)
    assert replaced == 1
    (folder / "alertmanager.yml").write_text(config)
    url = f"http://127.0.0.1:{free_port()}"
    command = ["prometheus-alertmanager", f"--config.file={folder / 'alertmanager.yml'}"]
    command += [f"--storage.path={folder / 'data'}", "--cluster.listen-address="]
    with Child([*command, f"--web.listen-address={url[7:]}"], log=folder / "log") as child:
        child.until(lambda: answers(f"{url}/-/ready"), 60, "Alertmanager is ready")
        yield url


@contextmanager
def prometheus(folder: Path, targets: dict[str, str], times: int = FASTER) -> Iterator[str]:
    """Run Prometheus with our configuration and rules, so many times as fast; give its address."""
    shutil.copytree(PROMETHEUS, folder)
    for path in (folder / "prometheus.yml", folder / "rules" / RULES.name):
        path.write_text(faster(path.read_text(), times))
    for name, url in targets.items():
        path = folder / "targets" / f"{name}.json"
        assert path.exists()
        path.write_text(json.dumps([{"targets": [url.removeprefix("http://")]}]))
    url = f"http://127.0.0.1:{free_port()}"
    command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    with Child([*command, f"--web.listen-address={url[7:]}"], log=folder / "log") as child:
        child.until(lambda: answers(f"{url}/-/ready"), 60, "Prometheus is ready")
        yield url


def firing(url: str) -> Counter[tuple[str, str]]:
    """Give the alerts that fire, with their feeds."""
    alerts = asked(f"{url}/api/v1/alerts")["data"]["alerts"]
    return Counter((a["labels"]["alertname"], a["labels"].get("feed", "")) for a in alerts if a["state"] == "firing")


def scraped(url: str, expression: str) -> Sequence[object]:
    """Give what Prometheus knows."""
    query = urllib.parse.urlencode({"query": expression})
    return asked(f"{url}/api/v1/query?{query}")["data"]["result"]
