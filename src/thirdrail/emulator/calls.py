"""The calls themselves: what each takes and answers, as measured with the official clients."""

import base64
import datetime as dt
import time
from collections.abc import Awaitable, Callable, Mapping
from hashlib import md5
from urllib.parse import parse_qs
from uuid import uuid4

import msgspec
import zstandard
from aiohttp import web

from thirdrail.emulator.files import Stage
from thirdrail.emulator.identity import Identity, NotWho
from thirdrail.emulator.limits import Limits, Rate
from thirdrail.emulator.rows import Columns
from thirdrail.emulator.snowpipe import Snowpipe, SubmittedFile
from thirdrail.emulator.storage import ChannelRow, NoChannel, RowGap, StaleToken, Storage, UncommittedRows

ELASTIC = "ELASTIC"
_STAGE_LIFE_MS = 3_600_000


_REPORTED_MS = 600_000
_HISTORY_MS = 14 * 86_400_000


class Pipes:
    """Which table a pipe fills: ``<TABLE>_PIPE``, or the default ``<TABLE>-STREAMING``; names in any case.

    ``<TABLE>_FILES_PIPE`` loads staged files.
    """

    def __init__(self, tables: Mapping[str, Columns]) -> None:
        self._tables = {name.upper(): name for name in tables}

    def files_table(self, pipe: str) -> str | None:
        """Give the table that a pipe of staged files fills."""
        name = pipe.upper().rpartition(".")[2]
        return self._tables.get(name.removesuffix("_FILES_PIPE")) if name.endswith("_FILES_PIPE") else None

    def table(self, pipe: str) -> str | None:
        """Give the table; None for a pipe that there is not."""
        name = pipe.upper()
        for suffix in ("_PIPE", "-STREAMING"):
            if name.endswith(suffix) and name.removesuffix(suffix) in self._tables:
                return self._tables[name.removesuffix(suffix)]
        return None


class OpenRequest(msgspec.Struct):
    """Body of the call that opens a channel."""

    offset_token: str | None = None
    fail_on_uncommitted_rows: bool = False


class StatusRequest(msgspec.Struct):
    """Body of the call that asks for channels' states."""

    channel_names: list[str]


class ToLoad(msgspec.Struct):
    """One staged file."""

    path: str
    size: int = 0


class InsertFiles(msgspec.Struct):
    """Body of the call that submits staged files."""

    files: list[ToLoad]


class Fragment(msgspec.Struct):
    """Part of an uploaded file."""

    file_path: str
    fragment_start_byte_offset: int
    fragment_length_bytes: int
    iv_base64: str
    fragment_row_count: int
    fragment_end_offset_token: str | None = None


def _refused(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message}, status=status)


def _keyed(
    handler: Callable[["Calls", web.Request, str, str], Awaitable[web.Response]],
) -> Callable[["Calls", web.Request], Awaitable[web.Response]]:
    """Let a call of Snowpipe's through with a JWT, for a pipe that there is; give it the pipe and its table."""

    async def checked(calls: "Calls", request: web.Request) -> web.Response:
        try:
            calls.identity.check_jwt(request.headers.get("Authorization", ""))
        except NotWho as error:
            return _refused(401, "390144", str(error))
        pipe = request.match_info["pipe"].upper()
        table = calls.pipes.files_table(pipe)
        if table is None:
            return _refused(404, "390404", f"The specified object {pipe} does not exist or not authorized.")
        return await handler(calls, request, pipe, table)

    return checked


def _signed(
    handler: Callable[["Calls", web.Request, str], Awaitable[web.Response]],
) -> Callable[["Calls", web.Request], Awaitable[web.Response]]:
    """Let a call through with a token of ours, for a pipe that there is; give it the pipe's name."""

    async def checked(calls: "Calls", request: web.Request) -> web.Response:
        try:
            calls.identity.check_token(request.headers.get("Authorization", ""))
        except NotWho as error:
            return _refused(401, "ERR_UNAUTHORIZED", str(error))
        pipe = request.match_info["pipe"].upper()
        if calls.pipes.table(pipe) is None:
            return _refused(404, "ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED", f"pipe {pipe} does not exist")
        return await handler(calls, request, pipe)

    return checked


class Calls:
    """Handlers of every call. They run in the server's loop, one at a time between awaits."""

    def __init__(
        self,
        pipes: Pipes,
        storage: Storage,
        identity: Identity,
        stage: Stage,
        limits: Limits,
        snowpipe: Snowpipe,
    ) -> None:
        self.snowpipe = snowpipe
        self.pipes, self.storage, self.identity, self.stage = pipes, storage, identity, stage
        self.limits = limits
        self._rates: dict[tuple[str, str], Rate] = {}

    async def hostname(self, request: web.Request) -> web.Response:
        """Give the host for data: a bare one, in plain text; the client adds its port again."""
        try:
            self.identity.check_jwt(request.headers.get("Authorization", ""))
        except NotWho as error:
            return _refused(401, "390144", str(error))
        return web.Response(text="127.0.0.1")

    async def token(self, request: web.Request) -> web.Response:
        """Exchange a key pair's JWT for a token."""
        try:
            self.identity.check_jwt(request.headers.get("Authorization", ""))
        except NotWho as error:
            return _refused(401, "390144", str(error))
        form = parse_qs((await request.read()).decode())
        return web.Response(text=self.identity.token(form.get("scope", [""])[0]))

    @_signed
    async def pipe_info(self, _request: web.Request, pipe: str) -> web.Response:
        """Tell where to upload, and how to behave."""
        location = {
            "expiry_time_ms": int(time.time() * 1000) + _STAGE_LIFE_MS,
            "location_type": "S3",
            "use_s3_regional_url": False,
            "location": f"emulator/{pipe}/{uuid4().hex}/",
            "region": "us-west-2",
            "creds": {"AWS_KEY_ID": "AK", "AWS_SECRET_KEY": "SK", "AWS_TOKEN": "TK"},
        }
        key = base64.b64encode(self.stage.key).decode()
        return web.json_response(
            {
                "rowset_stage_location": location,
                "durable_stage_location": location,
                "encryption_info": {"pipe_key": key, "pipe_key_id": "k1", "diversifier": "d"},
            }
        )

    @_signed
    async def open(self, request: web.Request, pipe: str) -> web.Response:
        """Open a channel."""
        wanted = msgspec.json.decode(await request.read() or b"{}", type=OpenRequest)
        channel, table = request.match_info["channel"], self.pipes.table(pipe)
        assert table is not None  # noqa: S101 - looked at before
        known = [each for each in self.storage.channels() if each.pipe == pipe]
        most = self.limits.channels_per_pipe
        if most is not None and len(known) >= most and channel not in {each.channel for each in known}:
            return _refused(400, "ERR_TOO_MANY_CHANNELS", f"pipe {pipe} has {len(known)} channels")
        try:
            found = self.storage.open(
                pipe, channel, table, wanted.offset_token, discard=not wanted.fail_on_uncommitted_rows
            )
        except UncommittedRows:
            return _refused(409, "ERR_CHANNEL_HAS_UNCOMMITTED_DATA", f"channel {channel} has uncommitted rows")
        return web.json_response(
            {"next_continuation_token": found.continuation, "channel_status": _status(found, request)}
        )

    @_signed
    async def drop(self, request: web.Request, pipe: str) -> web.Response:
        """Drop a channel."""
        try:
            found = self.storage.drop(pipe, request.match_info["channel"])
        except NoChannel:
            return _no_channel(request)
        return web.json_response({"last_committed_offset_token": found.token})

    @_signed
    async def rows(self, request: web.Request, pipe: str) -> web.Response:
        """Take rows: zstd over NDJSON."""
        body = await request.read()
        if self.limits.body_bytes is not None and len(body) > self.limits.body_bytes:
            return _refused(413, "REQUEST_ENTITY_TOO_LARGE", f"{len(body)} bytes; {self.limits.body_bytes} are allowed")
        if request.headers.get("Content-Encoding") != "zstd":
            body = zstandard.ZstdCompressor(level=1).compress(body)
        try:
            plain = zstandard.ZstdDecompressor().decompressobj().decompress(body)
        except zstandard.ZstdError as error:
            return _refused(400, "ERR_INVALID_BODY", str(error))
        if self._rate(pipe, request.match_info["channel"]).is_over(len(plain)):
            return _refused(429, "TOO_MANY_REQUESTS", "this channel is sent too much or too often")
        count = sum(1 for line in plain.split(b"\n") if line.strip())
        return self._accepted(request, pipe, body, count, request.query.get("endOffsetToken") or None)

    @_signed
    async def filebuffer(self, request: web.Request, pipe: str) -> web.Response:
        """Take fragments of an uploaded file."""
        fragments = msgspec.json.decode(await request.read(), type=list[Fragment])
        plain, count, last = [], 0, None
        for each in fragments:
            try:
                body = self.stage.fragment(
                    each.file_path, each.fragment_start_byte_offset, each.fragment_length_bytes, each.iv_base64
                )
            except (OSError, ValueError) as error:
                return _refused(400, "ERR_FILE_NOT_FOUND", str(error))
            plain.append(zstandard.ZstdDecompressor().decompressobj().decompress(body))
            count, last = count + each.fragment_row_count, each.fragment_end_offset_token
        whole = zstandard.ZstdCompressor(level=1).compress(b"\n".join(plain))
        return self._accepted(request, pipe, whole, count, last)

    def _accepted(self, request: web.Request, pipe: str, body: bytes, count: int, last: str | None) -> web.Response:
        channel, continuation = request.match_info["channel"], request.query.get("continuationToken", "")
        if channel == ELASTIC:
            table = self.pipes.table(pipe)
            assert table is not None  # noqa: S101 - looked at before
            found = self.storage.channel(pipe, channel) or self.storage.open(pipe, channel, table, None, discard=False)
            continuation = found.continuation
        try:
            token = self.storage.accept(pipe, channel, continuation, last, body, count)
        except NoChannel:
            return _no_channel(request)
        except StaleToken:
            text = "Channel sequencer in the continuation token is stale. Please reopen the channel"
            return _refused(400, "STALE_CONTINUATION_TOKEN_SEQUENCER", text)
        except RowGap:
            text = "the continuation token is ahead of the channel"
            return _refused(400, "ERR_CHANNEL_MUST_BE_REOPENED_DUE_TO_ROW_SEQ_GAP", text)
        return web.json_response({"next_continuation_token": token})

    @_signed
    async def status(self, request: web.Request, pipe: str) -> web.Response:
        """Give the states of channels; those that there are not are left out."""
        wanted = msgspec.json.decode(await request.read(), type=StatusRequest)
        if ELASTIC in wanted.channel_names and self.storage.channel(pipe, ELASTIC) is None:
            self.storage.open(pipe, ELASTIC, self.pipes.table(pipe) or "", None, discard=False)
        found = (self.storage.channel(pipe, name) for name in wanted.channel_names)
        states = {each.channel: _status(each, request) for each in found if each is not None}
        return web.json_response({"channel_statuses": states})

    @_keyed
    async def insert_files(self, request: web.Request, pipe: str, table: str) -> web.Response:
        """Take staged files to load."""
        wanted = msgspec.json.decode(await request.read(), type=InsertFiles)
        if len(wanted.files) > self.limits.files_per_call:
            return _refused(400, "391400", f"{len(wanted.files)} files; {self.limits.files_per_call} are allowed")
        self.snowpipe.submit(pipe, table, [(each.path, each.size) for each in wanted.files])
        return web.json_response({"requestId": request.query.get("requestId"), "responseCode": "SUCCESS"})

    @_keyed
    async def insert_report(self, request: web.Request, pipe: str, _table: str) -> web.Response:
        """Tell what ended within the last ten minutes, from a mark on."""
        now = self.storage.now_ms()
        mark = request.query.get("beginMark", "")
        since = max(now - _REPORTED_MS, int(mark) if mark.isdigit() else 0)
        files = self.snowpipe.told(pipe, since_ms=since)
        # Files of the same millisecond are told again rather than left out.
        mark = str(files[-1].loaded_ms if files else since)
        return web.json_response(_report(pipe, files) | {"nextBeginMark": mark})

    @_keyed
    async def load_history(self, request: web.Request, pipe: str, _table: str) -> web.Response:
        """Tell what ended between two instants, of the last 14 days."""
        since = max(_ms(request.query["startTimeInclusive"]), self.storage.now_ms() - _HISTORY_MS)
        until = _ms(request.query["endTimeExclusive"]) if "endTimeExclusive" in request.query else None
        return web.json_response(_report(pipe, self.snowpipe.told(pipe, since_ms=since, until_ms=until)))

    async def telemetry(self, _request: web.Request) -> web.Response:
        """Take telemetry, and forget it."""
        return web.json_response({"data": "ok", "code": None, "message": None, "success": True})

    async def put_object(self, request: web.Request) -> web.Response:
        """Take an upload, as S3 does."""
        body = await request.read()
        is_chunked = "aws-chunked" in request.headers.get("Content-Encoding", "") or request.headers.get(
            "x-amz-content-sha256", ""
        ).startswith("STREAMING")
        try:
            self.stage.put(request.match_info["object"], body, is_chunked=is_chunked)
        except ValueError as error:
            return web.Response(status=400, text=str(error))
        return web.Response(headers={"ETag": f'"{md5(body, usedforsecurity=False).hexdigest()}"'})

    def _rate(self, pipe: str, channel: str) -> Rate:
        return self._rates.setdefault((pipe, channel), Rate(self.limits))


def _no_channel(request: web.Request) -> web.Response:
    text = f"channel {request.match_info['channel']} does not exist"
    return _refused(404, "ERR_CHANNEL_DOES_NOT_EXIST_OR_NOT_AUTHORIZED", text)


def _status(found: ChannelRow, request: web.Request) -> dict[str, object]:
    return {
        "database_name": request.match_info["database"],
        "schema_name": request.match_info["schema"],
        "pipe_name": found.pipe,
        "channel_name": found.channel,
        "channel_status_code": found.code,
        "created_on_ms": found.created_ms,
        "rows_inserted": found.inserted,
        "rows_parsed": found.parsed,
        "rows_error_count": found.errors,
        "last_committed_offset_token": found.token,
        "last_error_offset_upper_bound": found.error_token,
        "last_error_message": found.error_message,
        "last_error_timestamp_ms": found.error_ms,
        "snowflake_avg_processing_latency_ms": None,
    }


def _ms(instant: str) -> int:
    return int(dt.datetime.fromisoformat(instant).timestamp() * 1000)


def _report(pipe: str, files: list[SubmittedFile]) -> dict[str, object]:
    return {
        "pipe": pipe,
        "completeResult": True,
        "files": [
            {
                "path": each.path,
                "stageLocation": "emulator/",
                "fileSize": each.size,
                "timeReceived": _iso(each.received_ms),
                "lastInsertTime": _iso(each.loaded_ms or each.received_ms),
                "rowsInserted": each.rows,
                "rowsParsed": each.parsed,
                "errorsSeen": each.errors,
                "errorLimit": 1,
                "complete": True,
                "status": each.status,
                "firstError": each.error,
            }
            for each in files
        ],
    }


def _iso(instant_ms: int) -> str:
    return dt.datetime.fromtimestamp(instant_ms / 1000, dt.UTC).isoformat().replace("+00:00", "Z")
