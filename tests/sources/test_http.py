"""The fetcher against real sockets that misbehave."""

import asyncio
import gzip
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

import msgspec
import pytest

from thirdrail.config.settings import PollerConfig
from thirdrail.model.feeds import BY_ID
from thirdrail.observe.clock import SystemClock
from thirdrail.sources.answers import Answer, judged
from thirdrail.sources.http import USER_AGENT, HttpFetcher

LIMITS = PollerConfig(connect_timeout_seconds=0.5, read_timeout_seconds=0.5, total_timeout_seconds=1.0, max_body_mb=1)


@contextmanager
def answering(*, head: str = "HTTP/1.1 200 OK", body: bytes = b"", length: int | None = None) -> Iterator["Server"]:
    """Serve one answer to every connection, byte for byte."""
    size = f"Content-Length: {len(body) if length is None else length}"
    with Server(lambda link: link.sendall(f"{head}\r\n{size}\r\n\r\n".encode() + body)) as server:
        yield server


class Server:
    """Accepts, notes the request, and does what it is told with the connection."""

    def __init__(self, act: Callable[[socket.socket], object]) -> None:
        self._act, self.requests = act, list[str]()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._done.is_set():
            try:
                link, _ = self._listening.accept()
            except OSError:
                return
            with link:
                self.requests.append(link.recv(65536).decode())
                self._act(link)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)


def fetched(port: int, *, key: str = "") -> Answer:
    feed = msgspec.structs.replace(BY_ID["subway_g"], url=f"http://127.0.0.1:{port}/feeds/nyct%2Fgtfs-g")

    async def ask() -> Answer:
        async with HttpFetcher.open(SystemClock(), LIMITS, trust_environment=False) as fetcher:
            return await fetcher.fetch(feed, key)

    return asyncio.run(ask())


def outcome(answer: Answer) -> tuple[str, str | None]:
    poll, _ = judged(BY_ID["subway_g"], answer, attempt=1)
    return poll.outcome, poll.error_class


def test_the_path_keeps_its_percent_sign_and_we_say_who_we_are() -> None:
    with answering(body=b"\x0a\x00") as server:
        answer = fetched(server.port)

    (request,) = server.requests
    assert request.startswith("GET /feeds/nyct%2Fgtfs-g HTTP/1.1\r\n")
    assert f"User-Agent: {USER_AGENT}" in request
    assert (answer.status, answer.body, answer.wire_bytes) == (200, b"\x0a\x00", 2)


def test_a_key_goes_into_the_query() -> None:
    with answering(body=b"\x0a\x00") as server:
        fetched(server.port, key="s3cret")

    assert "GET /feeds/nyct%2Fgtfs-g?key=s3cret " in server.requests[0]


def test_gzip_is_unpacked_and_both_sizes_are_known() -> None:
    packed = gzip.compress(b"\x0a\x00" * 5000)
    with answering(head="HTTP/1.1 200 OK\r\nContent-Encoding: gzip", body=packed) as server:
        answer = fetched(server.port)

    assert (answer.body, answer.wire_bytes) == (b"\x0a\x00" * 5000, len(packed))


def test_a_gzip_bomb_is_not_unpacked_beyond_the_cap() -> None:
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join([*(bomb.compress(bytes(1 << 20)) for _ in range(100)), bomb.flush()])
    with answering(head="HTTP/1.1 200 OK\r\nContent-Encoding: gzip", body=packed) as server:
        answer = fetched(server.port)

    assert outcome(answer) == ("bad_body", "TooBig")
    assert answer.body is None


def test_a_body_that_is_too_big_as_it_stands_is_not_read_to_its_end() -> None:
    with answering(body=bytes(3 << 20)) as server:
        assert outcome(fetched(server.port)) == ("bad_body", "TooBig")


@pytest.mark.parametrize("cut", [b"\x1f\x8b", gzip.compress(b"message" * 99)[:-9], b"no gzip at all"])
def test_gzip_that_does_not_unpack_is_a_bad_body(cut: bytes) -> None:
    with answering(head="HTTP/1.1 200 OK\r\nContent-Encoding: gzip", body=cut) as server:
        assert outcome(fetched(server.port)) == ("bad_body", "BadGzip")


def test_a_body_shorter_than_its_length_is_a_bad_body() -> None:
    with answering(body=b"\x0a\x0c", length=500) as server:
        assert outcome(fetched(server.port)) == ("bad_body", "ShortBody")


def test_a_server_that_stops_answering_is_given_up() -> None:
    held = threading.Event()
    with Server(lambda _link: held.wait(5)) as server:
        assert outcome(fetched(server.port)) == ("network_error", "ReadTimeout")
        held.set()


def test_a_server_that_drips_is_given_up_as_a_whole() -> None:
    gone = threading.Event()

    def drip(link: socket.socket) -> None:
        link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _ in range(50):
            if gone.wait(0.1):
                return
            link.sendall(b"x")

    with Server(drip) as server:
        answer = fetched(server.port)
        gone.set()

    assert outcome(answer) == ("network_error", "TotalTimeout")
    assert answer.duration_ms < 2_000


def test_a_closed_connection_a_closed_port_and_an_unknown_name_are_told_apart() -> None:
    with Server(lambda link: link.close()) as server:
        assert outcome(fetched(server.port)) == ("network_error", "Disconnected")
    assert outcome(fetched(server.port)) == ("network_error", "Connect")


def test_the_servers_date_is_read() -> None:
    with answering(head="HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT", body=b"\x0a\x00") as server:
        assert fetched(server.port).date_us == 784_111_777_000_000
    with answering(head="HTTP/1.1 200 OK\r\nDate: yesterday", body=b"\x0a\x00") as server:
        assert fetched(server.port).date_us is None


def test_another_agencys_key_goes_into_the_header_that_it_wants_and_not_into_the_address() -> None:
    feed = msgspec.structs.replace(BY_ID["subway_g"], headers={"X-Client": "third rail"}, key_header="X-Api-Key")
    with answering(body=b"x") as server:
        own = msgspec.structs.replace(feed, url=f"http://127.0.0.1:{server.port}/gtfs-rt")

        async def ask() -> Answer:
            async with HttpFetcher.open(SystemClock(), LIMITS, trust_environment=False) as fetcher:
                return await fetcher.fetch(own, "s3cret")

        assert asyncio.run(ask()).status == 200
    (request,) = server.requests
    assert request.startswith("GET /gtfs-rt HTTP/1.1")
    assert "X-Api-Key: s3cret" in request
    assert "X-Client: third rail" in request
