"""The server: the calls of Snowpipe Streaming, Snowpipe and a session over TLS, in a thread of its own."""

import asyncio
import base64
import secrets
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Self

import msgspec
import zstandard
from aiohttp import web

from thirdrail.emulator.calls import Calls, Pipes
from thirdrail.emulator.certificates import CA, USER_KEY, prepared
from thirdrail.emulator.faults import Fault, Faults
from thirdrail.emulator.files import Stage
from thirdrail.emulator.identity import Identity
from thirdrail.emulator.limits import Limits
from thirdrail.emulator.rows import Columns, our_tables
from thirdrail.emulator.session import Sessions
from thirdrail.emulator.snowpipe import Snowpipe, Stages
from thirdrail.emulator.storage import Storage
from thirdrail.errors import ThirdRailError

_TICK_S = 0.05
_LARGEST_BODY = 64 << 20
_STARTS_WITHIN_S = 20.0

ACCOUNT, USER = "emulator-local", "INGEST"


class EmulatorServer:
    """Serves from a folder until closed; a context manager. What it has answered survives a kill of its process.

    ``commit_delay_s`` lies between taking rows and committing them. ``tables`` are ours by default.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        commit_delay_s: float = 1.0,
        tables: Mapping[str, Columns] | None = None,
        limits: Limits | None = None,
        token_lifetime_s: float = 3600.0,
    ) -> None:
        self.folder, self._port = folder.absolute(), port
        self._tls = prepared(self.folder)
        self.faults = Faults()
        self.identity = Identity(self.folder / USER_KEY, lifetime_s=token_lifetime_s)
        self.storage = Storage(self.folder, tables or our_tables(), self.faults, commit_delay_s=commit_delay_s)
        stage = Stage(self.folder / "stage", self._stage_key())
        stages = Stages(self.folder / "stages")
        self.snowpipe = Snowpipe(self.storage, stages, self.storage.tables)
        self.sessions = Sessions(self.identity, stages)
        self.calls = Calls(
            Pipes(self.storage.tables), self.storage, self.identity, stage, limits or Limits(), self.snowpipe
        )
        self._stopping = threading.Event()
        self._failed: BaseException | None = None
        self._ready = threading.Event()
        self._threads = [
            threading.Thread(target=self._serve, name="emulator", daemon=True),
            threading.Thread(target=self._commit, name="emulator-commits", daemon=True),
        ]

    def _stage_key(self) -> bytes:
        path = self.folder / "stage.key"
        if not path.exists():
            path.write_bytes(base64.b64encode(secrets.token_bytes(32)))
        return base64.b64decode(path.read_bytes())

    @property
    def url(self) -> str:
        """The address."""
        return f"https://127.0.0.1:{self._port}"

    @property
    def ca_file(self) -> Path:
        """The certificate to trust."""
        return self.folder / CA

    @property
    def key_file(self) -> Path:
        """The private key of the one user that there is."""
        return self.folder / USER_KEY

    def configuration(self) -> str:
        """Give the lines of a configuration that point Third Rail here."""
        return "\n".join(
            [
                'sinks = ["iceberg", "snowflake"]',
                "",
                "[snowflake]",
                f'account = "{ACCOUNT}"',
                f'user = "{USER}"',
                f'private_key_path = "{self.key_file}"',
                f'url = "{self.url}"',
                f'ca_file = "{self.ca_file}"',
            ]
        )

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        if not self._ready.wait(_STARTS_WITHIN_S):
            raise ThirdRailError("the emulator did not start")
        if self._failed is not None:
            raise ThirdRailError(f"the emulator cannot listen on 127.0.0.1:{self._port}: {self._failed}")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop; what waits is committed at the next start."""
        self._stopping.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(10)
        self.storage.close()

    def _serve(self) -> None:
        try:
            asyncio.run(self._listen())
        except OSError as error:
            self._failed = error
            self._ready.set()

    async def _listen(self) -> None:
        application = web.Application(client_max_size=_LARGEST_BODY)
        self._route(application)
        runner = web.AppRunner(application, auto_decompress=False, shutdown_timeout=0.5, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self._port, ssl_context=self._tls)
        await site.start()
        self._port = runner.addresses[0][1]
        self._ready.set()
        await asyncio.to_thread(self._stopping.wait)
        for connection in runner.server.connections if runner.server else ():
            if connection.transport is not None:
                connection.transport.abort()  # closed politely, TLS would wait for the other side
        await asyncio.sleep(_TICK_S)
        await runner.cleanup()

    def _commit(self) -> None:
        decompressor = zstandard.ZstdDecompressor()
        self._ready.wait()
        try:
            while not self._stopping.wait(_TICK_S):
                self.storage.commit_due(lambda body: decompressor.decompressobj().decompress(body))
                self.snowpipe.load_due()
        except Exception as error:
            self._failed = error  # an emulator that takes rows and never commits would look like a Snowflake that hangs
            raise

    def _route(self, application: web.Application) -> None:
        pipe = "/v2/streaming/databases/{database}/schemas/{schema}/pipes/{pipe}"
        data = "/v2/streaming/data/databases/{database}/schemas/{schema}/pipes/{pipe}/channels/{channel}"
        files = "/v1/data/pipes/{pipe}/"
        calls, sessions = self.calls, self.sessions
        for method, path, call, handler in (
            ("GET", "/v2/streaming/hostname", "hostname", calls.hostname),
            ("POST", "/oauth/token", "token", calls.token),
            ("POST", pipe + ":pipe-info", "pipe_info", calls.pipe_info),
            ("PUT", pipe + "/channels/{channel}", "open", calls.open),
            ("DELETE", pipe + "/channels/{channel}", "drop", calls.drop),
            ("POST", data + "/rows", "rows", calls.rows),
            ("POST", data + "/filebuffer", "filebuffer", calls.filebuffer),
            ("POST", pipe + ":bulk-channel-status", "status", calls.status),
            ("POST", files + "insertFiles", "insert_files", calls.insert_files),
            ("GET", files + "insertReport", "insert_report", calls.insert_report),
            ("GET", files + "loadHistoryScan", "load_history", calls.load_history),
            ("POST", "/session/v1/login-request", "login", sessions.login),
            ("POST", "/queries/v1/query-request", "query", sessions.query),
            ("POST", "/queries/v1/abort-request", "abort", sessions.abort),
            ("POST", "/session", "end", sessions.end),
            ("POST", "/telemetry/send/sessionless", "telemetry", calls.telemetry),
            ("POST", "/telemetry/send", "telemetry", calls.telemetry),
            ("POST", "/emulator/faults", "admin", self._add_fault),
            ("PUT", "/{object:.+}", "s3", calls.put_object),
        ):
            application.router.add_route(method, path, self._faulty(call, handler))

    def _faulty(
        self, call: str, handler: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Give a handler to which faults happen."""

        async def answer(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            if self._failed is not None:
                return _broken(self._failed)
            fault = self.faults.next(call)
            if fault is None:
                return await handler(request)
            await asyncio.sleep(fault.delay_s)
            if fault.reset == "before":
                return _cut(request)
            if not fault.status and not fault.reset:
                return await handler(request)
            if fault.reset == "after" or fault.applied:
                await handler(request)
            del body
            if fault.reset:
                return _cut(request)
            return _injected(fault)

        return answer

    async def _add_fault(self, request: web.Request) -> web.Response:
        try:
            self.faults.add(msgspec.json.decode(await request.read(), type=Fault))
        except msgspec.DecodeError as error:
            return web.Response(status=400, text=str(error))
        return web.Response(text="ok")


def _cut(request: web.Request) -> web.StreamResponse:
    """Cut the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _broken(error: BaseException) -> web.Response:
    """Say that the emulator itself is at fault, with a status that the client does not try again."""
    text = f"the emulator's commits have ended: {error!r}"
    return web.json_response({"code": "EMULATOR_BROKEN", "message": text}, status=405)


def _injected(fault: Fault) -> web.Response:
    if fault.body:
        return web.Response(status=fault.status, text=fault.body, content_type="text/html")
    return web.json_response({"code": fault.code, "message": "injected"}, status=fault.status)
