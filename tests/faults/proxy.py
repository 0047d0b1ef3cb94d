"""A TCP proxy on loopback that misbehaves as told."""

import asyncio
import fcntl
import socket
import struct
import termios
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

_CHUNK = 65_536
_WITHIN_S = 5.0
_LOOK_EVERY_S = 0.002
_TURNS_TO_CLOSE = 3
"""Of the event loop: for aborted connections to let go of their sockets, and for accepted ones to arrive."""


@dataclass(frozen=True, slots=True)
class Passing:
    """Bytes go through, both ways."""


@dataclass(frozen=True, slots=True)
class Refusing:
    """Clients' connections are refused; the port stays ours."""


@dataclass(frozen=True, slots=True)
class BlackHole:
    """Clients are taken, their requests swallowed, and nothing ever comes; the server sees nobody."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The client gets that many bytes of the answer, then a reset (RST)."""

    after: int = 200


@dataclass(frozen=True, slots=True)
class Cut:
    """The client gets that many bytes of the answer, then an orderly end (FIN)."""

    after: int = 200


@dataclass(frozen=True, slots=True)
class Drip:
    """The client gets the answer one byte an interval."""

    interval_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Slow:
    """The client waits that much longer for the first byte of the answer; the rest follows at once."""

    delay_s: float = 1.0


Fault = Passing | Refusing | BlackHole | Reset | Cut | Drip | Slow


class FaultProxy:
    """Stands before a server, on ``port`` of 127.0.0.1, in a thread of its own; ``be`` changes what it does.

    ``connections`` counts those that were taken (a refused one is the kernel's affair). Those that stand are
    ended, without regard, when the behaviour changes and at the end.
    """

    def __init__(self, upstream_host: str, upstream_port: int) -> None:
        self._upstream = (upstream_host, upstream_port)
        self._fault: Fault = Passing()
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._bound = _bound(0)
        self.port: int = self._bound.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._changing = asyncio.Lock()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._thread.start()
        self._call(self._become(Passing()))
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._become(Refusing()))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_WITHIN_S)
        self._loop.close()
        self._bound.close()

    @property
    def standing(self) -> int:
        """How many connections stand."""
        return len(self._tasks)

    def be(self, fault: Fault) -> None:
        """Behave so from now on; blocks until it does. From any thread."""
        self._call(self._become(fault))

    def _call(self, work: Coroutine[object, object, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_WITHIN_S)

    async def _become(self, fault: Fault) -> None:
        async with self._changing:
            self._fault = fault
            if isinstance(fault, Refusing) and self._server is not None:
                self._server.close()
                self._server = None
                self._bound = _bound(self.port)  # bound, not listening: refuses, and nobody else gets the port
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if not isinstance(fault, Refusing) and self._server is None:
                self._server = await asyncio.start_server(self._take, sock=self._bound)
            for _ in range(_TURNS_TO_CLOSE):
                await asyncio.sleep(0)

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not a coroutine: then asyncio would keep the task to itself, and it could not be cancelled.
        if isinstance(self._fault, Refusing):  # accepted just before the end
            writer.transport.abort()
            return
        self.connections += 1
        task = self._loop.create_task(self._carry(self._fault, reader, writer))
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._end(task, writer))

    def _end(self, task: asyncio.Task[None], writer: asyncio.StreamWriter) -> None:
        # A callback, for a task that is cancelled before its first step never reaches its `finally`.
        self._tasks.discard(task)
        writer.transport.abort()  # nothing is buffered but what is to be thrown away

    async def _carry(self, fault: Fault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            if isinstance(fault, BlackHole):
                while await reader.read(_CHUNK):
                    pass
                return
            up_reader, up_writer = await asyncio.open_connection(*self._upstream)
            asking = asyncio.ensure_future(_ask(reader, up_writer))
            try:
                await _answer(fault, up_reader, writer)
                if isinstance(fault, Cut):
                    # Closing with something unread would send RST after the FIN.
                    await asyncio.wait([asking], timeout=_WITHIN_S)
            finally:  # awaits nothing: that could be cancelled
                asking.cancel()
                up_writer.transport.abort()


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


async def _ask(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        await _pipe(source, sink)
        sink.write_eof()
    except OSError:  # the client broke off: so does the server's connection
        sink.transport.abort()


async def _answer(fault: Fault, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    match fault:
        case Reset(after):
            await _pass_on_first(after, source, sink)
            await _delivered(sink)  # a reset throws away what the client's kernel has not yet
            # No lingering: closing sends RST.
            sink.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        case Cut(after):
            await _pass_on_first(after, source, sink)
            sink.write_eof()
        case Drip(interval_s):
            while byte := await source.read(1):
                await _pass_on(byte, sink)
                await asyncio.sleep(interval_s)
        case Slow(delay_s):
            first = await source.read(_CHUNK)
            await asyncio.sleep(delay_s)
            await _pass_on(first, sink)
            await _pipe(source, sink)
        case _:
            await _pipe(source, sink)


async def _pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(_CHUNK):
        await _pass_on(data, sink)


async def _pass_on_first(size: int, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Pass on so many bytes, but wait for an answer also when it is none: the client must have asked."""
    left = size
    while data := await source.read(_CHUNK):
        await _pass_on(data[:left], sink)
        left -= len(data)
        if left <= 0:
            return


async def _pass_on(data: bytes, sink: asyncio.StreamWriter) -> None:
    sink.transport.set_write_buffer_limits(high=0)  # drain means: the kernel has it all
    sink.write(data)
    await sink.drain()


async def _delivered(sink: asyncio.StreamWriter) -> None:
    """Wait until the client's kernel has acknowledged all bytes, unless it does not read for seconds."""
    handle = sink.get_extra_info("socket").fileno()
    for _ in range(int(_WITHIN_S / _LOOK_EVERY_S)):
        if fcntl.ioctl(handle, termios.TIOCOUTQ, bytes(4)) == bytes(4):
            return
        await asyncio.sleep(_LOOK_EVERY_S)
