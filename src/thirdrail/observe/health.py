"""The port for whoever watches: ``/livez``, ``/readyz``, ``/health``, ``/metrics``. Reading only, no secrets.

The standard library's server, a thread a request: it answers while another thread decodes (no call there holds the
interpreter for over 45 ms of CPU: tests/observe/test_answers.py), and nothing more is wanted of it.
"""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import msgspec

from thirdrail.errors import UsageError
from thirdrail.observe.metrics import CONTENT_TYPE, Page

Standing = Callable[[], dict[str, str]]
"""Gives each part that is not well, and why."""


class Health:
    """Serves until closed; a context manager.

    Raises:
        UsageError: the address is taken, or none.
    """

    def __init__(self, address: tuple[str, int], page: Page, live: Standing, ready: Standing) -> None:
        health = self

        class Handler(_Handler):
            told = health

        self.page, self.live, self.ready = page, live, ready
        try:
            self._server = ThreadingHTTPServer(address, Handler)
        except OSError as error:
            raise UsageError(
                f"{address[0]}:{address[1]} cannot be listened on: {error.strerror or error}",
                hint="--listen ADDRESS:PORT takes another, --listen off none",
            ) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), name="health", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Give status, content type and body of a path."""
        if path == "/metrics":
            return 200, CONTENT_TYPE, self.page.render()
        wanted = {"/livez": (self.live,), "/readyz": (self.ready,), "/health": (self.live, self.ready)}.get(path)
        if wanted is None:
            return 404, "text/plain", b"/livez /readyz /health /metrics\n"
        wrong: dict[str, str] = {}
        for ask in wanted:
            wrong |= ask()
        body = msgspec.json.format(msgspec.json.encode({"ok": not wrong, "not_well": wrong}), indent=2) + b"\n"
        return 503 if wrong else 200, "application/json", body


class _Handler(BaseHTTPRequestHandler):
    told: Health
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        status, kind, body = self.told.answer(self.path.partition("?")[0])
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: a probe comes every few seconds."""
