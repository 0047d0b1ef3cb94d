"""Each behaviour of the proxy is felt by a client."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.faults.process import eventually
from tests.faults.proxy import BlackHole, Cut, Drip, Fault, FaultProxy, Passing, Refusing, Reset, Slow

BODY = bytes(range(256)) * 4_000


class Answering(BaseHTTPRequestHandler):
    """Gives the same megabyte to everybody."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Says nothing of clients that go away."""

    def handle_error(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def upstream() -> Iterator[int]:
    with Server(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(upstream: int) -> Iterator[FaultProxy]:
    with FaultProxy("127.0.0.1", upstream) as proxy:
        yield proxy


def fetched(proxy: FaultProxy, timeout: float = 5) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=timeout)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read()
    finally:
        connection.close()


def asked(proxy: FaultProxy) -> socket.socket:
    link = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
    link.sendall(b"GET / HTTP/1.0\r\n\r\n")
    return link


def test_a_passing_proxy_changes_nothing_and_counts(proxy: FaultProxy) -> None:
    assert fetched(proxy) == BODY
    assert fetched(proxy) == BODY
    assert proxy.connections == 2
    eventually(lambda: proxy.standing == 0, 5, "both are over")


def test_a_refusing_proxy_refuses_and_comes_back_on_the_same_port(proxy: FaultProxy) -> None:
    port = proxy.port
    proxy.be(Refusing())
    with pytest.raises(ConnectionRefusedError):
        fetched(proxy)
    proxy.be(Passing())
    assert (fetched(proxy), proxy.port) == (BODY, port)
    assert proxy.connections == 1


def test_the_port_stays_taken_while_the_proxy_refuses(proxy: FaultProxy) -> None:
    proxy.be(Refusing())
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", proxy.port))


def test_a_black_hole_takes_the_connection_and_never_answers(proxy: FaultProxy) -> None:
    proxy.be(BlackHole())
    with pytest.raises(TimeoutError):
        fetched(proxy, timeout=0.3)
    assert proxy.connections == 1


@pytest.mark.parametrize("after", [0, 1, 300, 200_000])
def test_a_reset_comes_after_so_many_bytes(proxy: FaultProxy, after: int) -> None:
    proxy.be(Reset(after=after))
    received: list[bytes] = []
    with asked(proxy) as link, pytest.raises(ConnectionResetError):
        received.extend(iter(lambda: link.recv(65_536), b""))
    assert sum(map(len, received)) == after


def test_an_http_client_sees_a_reset_in_the_middle_of_the_body(proxy: FaultProxy) -> None:
    proxy.be(Reset(after=5_000))
    with pytest.raises(ConnectionResetError):
        fetched(proxy)


@pytest.mark.parametrize("after", [0, 1, 200_000])
def test_a_cut_answer_ends_in_order_after_so_many_bytes(proxy: FaultProxy, after: int) -> None:
    proxy.be(Cut(after=after))
    with asked(proxy) as link:
        received = list(iter(lambda: link.recv(65_536), b""))
    assert sum(map(len, received)) == after


def test_an_http_client_sees_that_a_cut_body_is_incomplete(proxy: FaultProxy) -> None:
    proxy.be(Cut(after=5_000))
    with pytest.raises(http.client.IncompleteRead):
        fetched(proxy)


def test_a_dripping_answer_comes_byte_by_byte(proxy: FaultProxy) -> None:
    proxy.be(Drip(interval_s=0.05))
    began = time.monotonic()
    with asked(proxy) as link:
        assert [link.recv(100) for _ in b"HTTP/"] == [b"H", b"T", b"T", b"P", b"/"]
    assert time.monotonic() - began >= 4 * 0.05


def test_a_slow_answer_is_whole_but_late(proxy: FaultProxy) -> None:
    proxy.be(Slow(delay_s=0.3))
    began = time.monotonic()
    assert fetched(proxy) == BODY
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize("fault", [Passing(), Refusing(), BlackHole(), Reset()], ids=repr)
def test_a_change_ends_the_connections_that_stand(proxy: FaultProxy, fault: Fault) -> None:
    proxy.be(BlackHole())
    with asked(proxy) as link:
        eventually(lambda: proxy.standing == 1, 5, "the connection is taken")
        proxy.be(fault)
        assert proxy.standing == 0
        with suppress(ConnectionResetError):  # which is as good an end
            assert link.recv(1) == b""


def test_a_server_that_is_gone_looks_like_a_closed_connection(proxy: FaultProxy) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with FaultProxy("127.0.0.1", nobody.getsockname()[1]) as lonely, pytest.raises(OSError):  # noqa: PT011 -- end or reset
            fetched(lonely)


@pytest.mark.parametrize("fault", [Passing(), Refusing(), BlackHole(), Drip(60), Slow(60)])
def test_it_closes_at_once_and_leaves_no_thread(
    upstream: int, fault: Passing | Refusing | BlackHole | Drip | Slow
) -> None:
    with FaultProxy("127.0.0.1", upstream) as proxy:
        proxy.be(fault)
        if not isinstance(fault, Refusing):
            link = asked(proxy)
            eventually(lambda: proxy.connections == 1, 5, "the connection is taken")
            link.close()
        began = time.monotonic()
    assert time.monotonic() - began < 1
    assert "fault-proxy" not in [thread.name for thread in threading.enumerate()]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
