"""The tables as a read-only Iceberg REST catalog, by which any engine on this machine attaches them.

Where the current metadata of a table lies is known to the catalog alone: whoever guesses it from a folder's names may
read a file that was never committed. The routes are those of the Iceberg REST catalog specification that a reader
needs; whatever would write is refused.
"""

import hmac
import json
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import NamedTuple, Self
from urllib.parse import parse_qs, unquote, urlsplit

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from sqlalchemy.exc import SQLAlchemyError

from thirdrail import __version__
from thirdrail.errors import UsageError

ENDPOINTS = (
    "GET /v1/{prefix}/namespaces",
    "GET /v1/{prefix}/namespaces/{namespace}",
    "HEAD /v1/{prefix}/namespaces/{namespace}",
    "GET /v1/{prefix}/namespaces/{namespace}/tables",
    "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/metrics",
)
"""What is answered, in the words of the specification, for clients that ask before they call."""

_LEVELS = "\x1f"
"""Between the levels of a namespace in a path."""

_LARGEST_BODY = 1 << 20


class Answer(NamedTuple):
    """A status and what is told; None for no body."""

    status: int
    body: Mapping[str, object] | str | None = None


DONE = Answer(HTTPStatus.NO_CONTENT)


def failure(status: int, kind: str, message: str) -> Answer:
    """Give an error in the specification's form."""
    return Answer(status, {"error": {"message": message, "type": kind, "code": status}})


def answer(catalog: Catalog, method: str, target: str) -> Answer:
    """Give what a request gets."""
    parts = urlsplit(target)
    path = [unquote(part) for part in parts.path.strip("/").split("/")]
    match method, path:
        case "GET", ["v1", "config"]:
            return Answer(200, {"defaults": {}, "overrides": {}, "endpoints": ENDPOINTS})
        case "GET" | "HEAD", ["v1", "namespaces"]:
            parent = parse_qs(parts.query).get("parent", [""])[0]
            # There is one level. Answering with it whatever the parent would send a client down for ever.
            found = [] if parent else [list(name) for name in catalog.list_namespaces()]
            return Answer(200, {"namespaces": found})
        case "GET" | "HEAD", ["v1", "namespaces", namespace, *rest]:
            name = tuple(namespace.split(_LEVELS))
            return _inside(catalog, method, name, rest)
        case "POST", ["v1", "namespaces", _, "tables", _, "metrics"]:
            return DONE
    if method in ("GET", "HEAD"):
        return failure(404, "NoSuchElementException", f"there is nothing at {parts.path}")
    return failure(403, "ForbiddenException", "this catalog is for reading: only Third Rail writes its tables")


def _inside(catalog: Catalog, method: str, name: tuple[str, ...], rest: list[str]) -> Answer:
    match rest:
        case ["tables", table]:
            # Before the namespace: asked for `table.snapshots`, a client takes the table for a namespace, and looks
            # for its own table of snapshots once it hears that there is no such *table*.
            return _table(catalog, method, (*name, table))
        case _ if not catalog.namespace_exists(name):
            return failure(404, "NoSuchNamespaceException", f"there is no namespace {'.'.join(name)}")
        case []:
            return Answer(200, {"namespace": list(name), "properties": {}}) if method == "GET" else DONE
        case ["tables"]:
            found = sorted(table[-1] for table in catalog.list_tables(name))
            return Answer(200, {"identifiers": [{"namespace": list(name), "name": table} for table in found]})
        case ["views"]:
            return Answer(200, {"identifiers": []})
    return failure(404, "NoSuchElementException", f"there is nothing at {'/'.join(rest)} of {'.'.join(name)}")


def _table(catalog: Catalog, method: str, name: tuple[str, ...]) -> Answer:
    """Give where a table's metadata lies, and the metadata as it stands there."""
    try:
        table = catalog.load_table(name)
    except NoSuchTableError:
        return failure(404, "NoSuchTableException", f"there is no table {'.'.join(name)}")
    if method == "HEAD":
        return DONE
    with table.io.new_input(table.metadata_location).open() as file:
        metadata = file.read().decode()
    location = json.dumps(table.metadata_location)
    return Answer(200, f'{{"metadata-location":{location},"metadata":{metadata},"config":{{}}}}')


class _Handler(BaseHTTPRequestHandler):
    """One request; what goes wrong inside is told in the specification's form, without a traceback."""

    protocol_version = "HTTP/1.1"
    server_version = f"thirdrail/{__version__}"
    sys_version = ""
    served: "CatalogServer"

    def _respond(self) -> None:
        body = self.headers.get("Content-Length", "0")
        if not body.isdigit() or int(body) > _LARGEST_BODY:
            self.close_connection = True
            self._send(failure(413, "BadRequestException", "the request is too large"))
            return
        self.rfile.read(int(body))
        self._send(self.served.answer(self.command, self.path, self.headers.get("Authorization", "")))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = _respond  # noqa: N815 - http.server's names

    def _send(self, given: Answer) -> None:
        text = "" if given.body is None else given.body if isinstance(given.body, str) else json.dumps(given.body)
        data = text.encode()
        self.send_response(given.status)
        if given.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing: a reader asks every few seconds."""


class CatalogServer:
    """Serves a catalog until closed; a context manager. On an address that others reach it wants a token.

    Raises:
        UsageError: it would be open to others without a token, or the address cannot be had.
    """

    def __init__(self, catalog: Catalog, *, bind: str = "127.0.0.1", port: int = 0, token: str = "") -> None:
        if not token and not _is_loopback(bind):
            raise UsageError(
                f"{bind} is reached by others: that wants a token",
                hint="set THIRDRAIL_CATALOG_TOKEN, or leave --bind out to serve this machine alone",
            )
        self._catalog, self._token = catalog, token

        class Handler(_Handler):
            served = self

        try:
            self._server = ThreadingHTTPServer((bind, port), Handler)
        except OSError as error:
            raise UsageError(f"{bind}:{port} cannot be served: {error.strerror}", hint="another --port") from error
        self._server.daemon_threads = True
        self._bind = bind
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="catalog", daemon=True)

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return f"http://{self._bind}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, target: str, authorization: str) -> Answer:
        """Give what a request gets: the token first."""
        wanted = f"Bearer {self._token}".encode()
        if self._token and not hmac.compare_digest(authorization.encode(), wanted):
            return failure(401, "NotAuthorizedException", "send the token as: Authorization: Bearer …")
        try:
            return answer(self._catalog, method, target)
        except (SQLAlchemyError, OSError) as error:
            reason = str(error).partition("\n")[0]
            return failure(503, "ServiceUnavailableException", f"the catalog cannot be read now: {reason}")


def _is_loopback(bind: str) -> bool:
    if bind == "localhost":
        return True
    try:
        return ip_address(bind).is_loopback
    except ValueError:
        return False
