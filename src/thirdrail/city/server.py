"""The city's feeds over HTTP on this machine, with the MTA's paths and manners, and a journal of what was served."""

import gzip
import json
import threading
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from thirdrail.city.faults import ASKED_TOO_OFTEN, NO_SUCH_KEY, Delivery, chosen, delivered
from thirdrail.city.messages import SIRI
from thirdrail.city.railroads import ELSEWHERE
from thirdrail.model.feeds import BY_ID, FEEDS

_GZIP_LEVEL = 1
SERVED: tuple[str, ...] = tuple(feed.id for feed in FEEDS if not feed.covered_by)
"""Every feed that holds something of its own."""

_PATHS = {urlsplit(BY_ID[feed_id].url).path: feed_id for feed_id in SERVED} | {f"/{ELSEWHERE}/gtfs-rt": ELSEWHERE}
_FLEET_AGAIN_S = 29.5
_WRONG_PATH = Delivery(b'{"message":"Missing Authentication Token"}', status=403, content_type="application/json")


class CityServer:
    """Serves every feed of the MTA, and one of another agency, until closed; a context manager.

    ``speed`` n lets the city's time run n times as fast from the start on, so headers run ahead of the wall clock.
    ``journal`` gets one JSON line per answer. ``clock`` gives POSIX seconds; a test may bring its own.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        speed: float = 1.0,
        faults: Mapping[str, float] | None = None,
        journal: Path | None = None,
        port: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.seed, self._speed, self._faults, self._clock = seed, speed, dict(faults or {}), clock
        self._began = clock()
        self._journal = None if journal is None else journal.open("a")
        self._polls: dict[str, int] = {}
        self._fleet_asked = float("-inf")
        self._lock = threading.Lock()
        self.closing = threading.Event()
        city = self

        class Handler(_Handler):
            served = city

        self._server = _Server(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="city", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop at once; an answer that drips is cut off."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        with self._lock:
            if self._journal is not None:
                self._journal.close()
                self._journal = None

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def url_of(self, feed_id: str) -> str:
        """The address of a feed, its ``%2F`` kept."""
        if feed_id == ELSEWHERE:
            return f"{self.url}/{ELSEWHERE}/gtfs-rt"
        parts = urlsplit(BY_ID[feed_id].url)
        return f"{self.url}{parts.path}{'?' if parts.query else ''}{parts.query}"

    def now(self) -> float:
        """The city's time (POSIX seconds)."""
        return self._began + (self._clock() - self._began) * self._speed

    def set_faults(self, faults: Mapping[str, float]) -> None:
        """Let other faults happen from the next poll on."""
        with self._lock:
            self._faults = dict(faults)

    def answer(self, path: str) -> Delivery:
        """Give what a path gets, and note it in the journal."""
        feed_id = _PATHS.get(path)
        if feed_id is None:
            return Delivery(NO_SUCH_KEY, content_type="application/xml") if "%2F" in path else _WRONG_PATH
        at = self.now()
        if feed_id == SIRI and self._is_too_soon():
            self._note(feed_id, -1, at, "asked_too_often", ASKED_TOO_OFTEN)
            return ASKED_TOO_OFTEN
        with self._lock:
            poll = self._polls[feed_id] = self._polls.get(feed_id, -1) + 1
            fault = chosen(self._faults, self.seed, feed_id, poll, int(at))
        delivery = delivered(fault, self.seed, feed_id, int(at))
        self._note(feed_id, poll, at, fault, delivery)
        return delivery

    def _is_too_soon(self) -> bool:
        """Tell whether SIRI's whole fleet was asked for within the last 30 s of this machine's time."""
        with self._lock:
            now, before = self._clock(), self._fleet_asked
            self._fleet_asked = now
        return now - before < _FLEET_AGAIN_S

    def _note(self, feed_id: str, poll: int, at: float, fault: str | None, delivery: Delivery) -> None:
        facts = {
            "feed_id": feed_id,
            "poll": poll,
            "served_at": int(at * 1_000_000),
            "fault": fault,
            "status": delivery.status,
            "sha256": sha256(delivery.body).hexdigest(),
        }
        with self._lock:
            if self._journal is not None:
                self._journal.write(json.dumps(facts) + "\n")
                self._journal.flush()


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    served: CityServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer one poll."""
        if self.path == "/healthz":
            self._send(Delivery(b"ok", content_type="text/plain"))
        else:
            self._send(self.served.answer(self.path.partition("?")[0]))

    def _send(self, delivery: Delivery) -> None:
        content, is_packed = delivery.body, delivery.packed
        is_whole = delivery.promised is None and not delivery.is_dripped
        if is_whole and not is_packed and content and "gzip" in self.headers.get("Accept-Encoding", ""):
            content, is_packed = gzip.compress(content, _GZIP_LEVEL), True
        self.send_response(delivery.status)
        self.send_header("Content-Type", delivery.content_type)
        self.send_header("Content-Length", str(delivery.promised or len(content)))
        if is_packed:
            self.send_header("Content-Encoding", "gzip")
        if not is_whole:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if delivery.is_dripped:
            self._drip(content)
        else:
            self._write(content)

    def _drip(self, content: bytes) -> None:
        for place in range(len(content)):
            if not self._write(content[place : place + 1]) or self.served.closing.wait(1.0):
                return

    def _write(self, content: bytes) -> bool:
        try:
            self.wfile.write(content)
            self.wfile.flush()
        except OSError:
            self.close_connection = True  # the client has gone
            return False
        return True

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Give the Date header by the city's clock."""
        return super().date_time_string(self.served.now() if timestamp is None else timestamp)

    def log_message(self, *_: object) -> None:
        """Say nothing: the journal does."""
