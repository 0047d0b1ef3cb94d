"""A TCP proxy on loopback that misbehaves as told."""

import asyncio
import socket
import struct
import threading
from enum import StrEnum
from typing import Self

_CHUNK = 65_536


class Mode(StrEnum):
    """What happens to a connection that is made while the mode is in force."""

    PASSING = "bytes go through"
    CUT_OFF = "connections are refused"
    BLACK_HOLE = "connections are taken and nothing ever comes"
    RESET = "the answer breaks off with a reset after its first bytes"


class FaultProxy:
    """Stands before a server; ``be`` changes what it does to new connections, and ends those that stand."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._mode = Mode.PASSING
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._listening: socket.socket | None = self._listen(0)
        self.port: int = self._listening.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    @staticmethod
    def _listen(port: int) -> socket.socket:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        return listening

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._serve())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._stop_serving())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def be(self, mode: Mode) -> None:
        """Behave otherwise from now on; blocks until it does."""
        self._mode = mode
        self._call(self._stop_serving())
        if mode is not Mode.CUT_OFF:
            self._call(self._serve())

    def _call(self, work: "asyncio.coroutines.Coroutine[object, object, None]") -> None:  # type: ignore[name-defined]
        asyncio.run_coroutine_threadsafe(work, self._loop).result(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())

    async def _serve(self) -> None:
        listening, self._listening = self._listening or self._listen(self.port), None
        self._server = await asyncio.start_server(self._connected, sock=listening)

    async def _stop_serving(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in list(self._open):
                writer.close()
            self._server = None
            await asyncio.sleep(0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            await self._carry(reader, writer)
        except OSError:
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode is Mode.BLACK_HOLE:
            while await reader.read(_CHUNK):
                pass
            return
        up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        self._open.add(up_writer)
        try:
            sending = asyncio.ensure_future(_pipe(reader, up_writer))
            if self._mode is Mode.RESET:
                writer.write((await up_reader.read(_CHUNK))[:200])
                await writer.drain()
                link = writer.get_extra_info("socket")
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                await _pipe(up_reader, writer)
            sending.cancel()
        finally:
            self._open.discard(up_writer)
            up_writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
