"""Sessions of the official connector, as far as a stage needs one: logging in, PUT, LIST, REMOVE and SELECT 1."""

import gzip
import re
import secrets
import time
from collections.abc import Callable
from email.utils import formatdate
from hashlib import md5
from uuid import uuid4

import msgspec
from aiohttp import web

from thirdrail.emulator.identity import Identity, NotWho
from thirdrail.emulator.snowpipe import Stages

_PLACE = r"'?@(?P<stage>[\w.$\"]+)/(?P<prefix>[^'\s]*)'?"
_PUT = re.compile(rf"PUT\s+'file://(?P<source>(?:[^'\\]|\\.)+)'\s+{_PLACE}(?P<options>.*)", re.IGNORECASE | re.DOTALL)
_LIST = re.compile(rf"(?:LIST|LS)\s+{_PLACE}\s*;?", re.IGNORECASE)
_REMOVE = re.compile(rf"(?:REMOVE|RM)\s+{_PLACE}\s*;?", re.IGNORECASE)
_SELECT = re.compile(r"SELECT\s+1\s*;?", re.IGNORECASE)
_LIFE_S = 3_600

Column = tuple[str, str]


class Login(msgspec.Struct, rename="upper"):
    """What a login brings, of what is looked at."""

    authenticator: str = ""
    token: str = ""


class LoginRequest(msgspec.Struct):
    """Body of a login."""

    data: Login


class QueryRequest(msgspec.Struct, rename="camel"):
    """Body of a statement."""

    sql_text: str


async def _body(request: web.Request) -> bytes:
    data = await request.read()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def _failed(code: str, message: str, state: str) -> web.Response:
    data = {"errorCode": code, "sqlState": state, "queryId": str(uuid4())}
    return web.json_response({"success": False, "code": code, "message": message, "data": data})


def _rows(columns: list[Column], rows: list[list[str]]) -> web.Response:
    types = [
        {
            "name": name,
            "type": kind,
            "nullable": True,
            "length": 16_777_216,
            "precision": 38,
            "scale": 0,
            "byteLength": None,
        }
        for name, kind in columns
    ]
    data = {
        "rowtype": types,
        "rowset": rows,
        "total": len(rows),
        "returned": len(rows),
        "queryResultFormat": "json",
        "queryId": str(uuid4()),
        "parameters": [],
        "statementTypeId": 4096,
        "version": 1,
    }
    return web.json_response({"success": True, "code": None, "message": None, "data": data})


class Sessions:
    """Handlers of the connector's calls; what they say of a stage is done at once, by the connector itself for PUT."""

    def __init__(self, identity: Identity, stages: Stages) -> None:
        self._identity, self._stages = identity, stages
        self._tokens: dict[str, float] = {}
        self.refuses = ""
        """What every statement is refused with, as for want of a grant; empty for none."""

    async def login(self, request: web.Request) -> web.Response:
        """Begin a session with a key pair's JWT."""
        wanted = msgspec.json.decode(await _body(request), type=LoginRequest).data
        if wanted.authenticator.upper() != "SNOWFLAKE_JWT":
            said = f"authenticator {wanted.authenticator or 'password'} is not supported; use a key pair"
            return _failed("390144", said, "08001")
        try:
            self._identity.check_jwt(f"Bearer {wanted.token}")
        except NotWho as error:
            return _failed("390144", str(error), "08001")
        token = secrets.token_urlsafe(32)
        self._tokens[token] = time.time() + _LIFE_S
        data = {
            "token": token,
            "masterToken": secrets.token_urlsafe(32),
            "validityInSeconds": _LIFE_S,
            "masterValidityInSeconds": 4 * _LIFE_S,
            "sessionId": secrets.randbelow(1 << 40),
            "displayUserName": "INGEST",
            "serverVersion": "emulator",
            "firstLogin": False,
            "parameters": [],
            "sessionInfo": {"databaseName": None, "schemaName": None, "warehouseName": None, "roleName": None},
        }
        return web.json_response({"success": True, "code": None, "message": None, "data": data})

    async def end(self, request: web.Request) -> web.Response:
        """End a session."""
        self._tokens.pop(self._token(request), None)
        return web.json_response({"success": True, "code": None, "message": None, "data": None})

    async def abort(self, _request: web.Request) -> web.Response:
        """Cancel a statement: all that there are, are over when they are answered."""
        return web.json_response({"success": True, "code": None, "message": None, "data": None})

    async def query(self, request: web.Request) -> web.Response:
        """Run a statement."""
        if self._tokens.get(self._token(request), 0.0) < max(time.time(), self._identity.not_before):
            return _failed("390112", "Your session has expired. Please login again.", "08001")
        if self.refuses:
            return _failed("003001", self.refuses, "42501")
        text = msgspec.json.decode(await _body(request), type=QueryRequest).sql_text.strip()
        statements: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], web.Response]], ...] = (
            (_PUT, self._put),
            (_LIST, self._list),
            (_REMOVE, self._remove),
            (_SELECT, lambda _: _rows([("1", "fixed")], [["1"]])),
        )
        for shape, run in statements:
            found = shape.fullmatch(text)
            if found is not None:
                try:
                    return run(found)
                except ValueError as error:
                    return _failed("002003", str(error), "02000")
        return _failed("001003", f"the emulator runs PUT, LIST, REMOVE and SELECT 1, not {text[:60]!r}", "42000")

    @staticmethod
    def _token(request: web.Request) -> str:
        found = re.search(r'Token="([^"]+)"', request.headers.get("Authorization", ""))
        return found[1] if found else ""

    def _put(self, found: re.Match[str]) -> web.Response:
        """Tell the connector where to write: it does so by itself, as to a cloud's bucket."""
        where = self._stages.location(_stage(found), found["prefix"])
        where.mkdir(parents=True, exist_ok=True)
        options = re.sub(r"\s+", "", found["options"]).upper()
        data = {
            "command": "UPLOAD",
            "src_locations": [re.sub(r"\\(.)", r"\1", found["source"])],
            "stageInfo": {"locationType": "LOCAL_FS", "location": str(where), "creds": {}},
            "parallel": 1,
            "autoCompress": "AUTO_COMPRESS=FALSE" not in options,
            "overwrite": "OVERWRITE=TRUE" in options,
            "sourceCompression": "auto_detect",
            "threshold": 67_108_864,
            "operation": "Node",
            "queryId": str(uuid4()),
        }
        return web.json_response({"success": True, "code": None, "message": None, "data": data})

    def _list(self, found: re.Match[str]) -> web.Response:
        stage = _stage(found)
        rows = []
        for name, path in self._stages.files(stage, found["prefix"]):
            try:
                told = path.stat()
                digest = md5(path.read_bytes(), usedforsecurity=False).hexdigest()
            except FileNotFoundError:
                continue
            rows.append([f"{stage.lower()}/{name}", str(told.st_size), digest, formatdate(told.st_mtime, usegmt=True)])
        return _rows([("name", "text"), ("size", "fixed"), ("md5", "text"), ("last_modified", "text")], rows)

    def _remove(self, found: re.Match[str]) -> web.Response:
        stage = _stage(found)
        names = self._stages.remove(stage, found["prefix"])
        return _rows([("name", "text"), ("result", "text")], [[f"{stage.lower()}/{name}", "removed"] for name in names])


def _stage(found: re.Match[str]) -> str:
    """Give a stage's own name, without database and schema."""
    return str(found["stage"]).replace('"', "").rpartition(".")[2]
