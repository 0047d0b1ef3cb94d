"""HTTP as the poller needs it: one GET, its time-outs, a cap on what it may unpack, and nothing raised."""

import re
import ssl
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Protocol

import aiohttp
import certifi
from yarl import URL

from thirdrail import __version__
from thirdrail.config.settings import PollerConfig
from thirdrail.model.feeds import Feed
from thirdrail.model.ports import Clock
from thirdrail.sources.answers import BAD_BODY, NETWORK_ERROR, Answer, Failure

USER_AGENT = f"thirdrail/{__version__} (keeps GTFS-Realtime feeds in Iceberg tables)"
_CHUNK = 64 << 10
_GZIP_OR_ZLIB = 47
_ERROR_BODY_LIMIT = 4096


class Fetcher(Protocol):
    """Asks an endpoint once."""

    async def fetch(self, feed: Feed, key: str) -> Answer:
        """Give what came of one GET; never raises for what the network or the server does."""
        ...


class _TooBig(Exception):
    pass


class HttpFetcher:
    """GET over aiohttp, the URL sent as it stands. For one event loop."""

    def __init__(self, session: aiohttp.ClientSession, clock: Clock, limits: PollerConfig) -> None:
        self._session, self._clock, self._limits = session, clock, limits
        self._cap = int(limits.max_body_mb * 1e6)

    @classmethod
    @asynccontextmanager
    async def open(cls, clock: Clock, limits: PollerConfig, *, trust_environment: bool) -> AsyncIterator["HttpFetcher"]:
        """Give a fetcher with its connections; ``trust_environment`` uses the proxy that the environment names."""
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
        connector = aiohttp.TCPConnector(limit_per_host=limits.requests_per_host, ssl=context)
        async with aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            trust_env=trust_environment,
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"},
        ) as session:
            yield cls(session, clock, limits)

    async def fetch(self, feed: Feed, key: str) -> Answer:
        """Give what came of one GET; never raises for what the network or the server does."""
        fetched_at, began = self._clock.now(), time.monotonic()
        try:
            facts, body, failure = await self._get(feed, key)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            facts, body, failure = {}, None, _network_failure(error)
        return Answer(
            fetched_at=fetched_at,
            received_at=self._clock.now(),
            duration_ms=int((time.monotonic() - began) * 1000),
            body=body,
            failure=failure,
            **facts,  # type: ignore[arg-type]
        )

    async def _get(self, feed: Feed, key: str) -> tuple[dict[str, object], bytes | None, Failure | None]:
        limits = self._limits
        timeout = aiohttp.ClientTimeout(
            total=limits.total_timeout_seconds,
            sock_connect=limits.connect_timeout_seconds,
            sock_read=limits.read_timeout_seconds,
        )
        in_query = key and not feed.key_header
        url = f"{feed.url}{'&' if '?' in feed.url else '?'}key={key}" if in_query else feed.url
        headers = feed.headers | ({feed.key_header: key} if key and feed.key_header else {})
        async with self._session.get(
            URL(url, encoded=True), timeout=timeout, allow_redirects=True, headers=headers
        ) as response:
            facts: dict[str, object] = {
                "status": response.status,
                "content_type": response.headers.get("Content-Type"),
                "content_encoding": response.headers.get("Content-Encoding"),
                "date_us": _date_us(response.headers.get("Date")),
            }
            try:
                wire, body = await self._read(response)
            except _TooBig:
                detail = f"the body is over {self._cap / 1e6:,.0f} MB unpacked; not read further"
                return facts, None, Failure(BAD_BODY, "TooBig", detail)
            except zlib.error as error:
                return facts, None, Failure(BAD_BODY, "BadGzip", f"the body does not unpack: {error}")
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                return facts, None, _broken_off(error)
            facts["wire_bytes"] = wire
            return facts, body, None

    async def _read(self, response: aiohttp.ClientResponse) -> tuple[int, bytes]:
        """Give the size on the wire and the unpacked body, never holding more than the cap."""
        unpack = None
        if response.headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip", "deflate"):
            unpack = zlib.decompressobj(_GZIP_OR_ZLIB)
        found, wire = bytearray(), 0
        async for chunk in response.content.iter_chunked(_CHUNK):
            wire += len(chunk)
            found += chunk if unpack is None else unpack.decompress(chunk, self._cap + 1 - len(found))
            if len(found) > self._cap or (unpack is not None and unpack.unconsumed_tail):
                raise _TooBig
            if response.status != HTTPStatus.OK and len(found) > _ERROR_BODY_LIMIT:
                break
        if unpack is not None and not unpack.eof and wire:
            raise zlib.error("it is cut short")
        return wire, bytes(found)


def _broken_off(error: BaseException) -> Failure:
    """Tell a connection that broke from a server that ended its answer too early."""
    causes = [error, error.__cause__, error.__context__]
    if not isinstance(error, aiohttp.ClientPayloadError):
        return _network_failure(error)
    if any(isinstance(cause, ConnectionResetError) for cause in causes) or "ConnectionReset" in str(error):
        return Failure(NETWORK_ERROR, "Reset", "the connection was reset in the middle of the answer")
    known = re.search(r"received \d+ of \d+ bytes", str(error))
    return Failure(BAD_BODY, "ShortBody", f"the body ended before its length{f': {known[0]}' if known else ''}")


def _date_us(text: str | None) -> int | None:
    try:
        return None if text is None else int(parsedate_to_datetime(text).timestamp()) * 1_000_000
    except (ValueError, OverflowError):
        return None


def _network_failure(error: BaseException) -> Failure:
    """Give a sentence that tells name, address, connection and time-out apart."""
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            name, text = "Tls", f"no trusted connection: {error}"
        case aiohttp.ClientConnectorDNSError():
            name, text = "Name", f"the host name {error.host} cannot be resolved"
        case aiohttp.ConnectionTimeoutError():
            name, text = "ConnectTimeout", "no connection in time"
        case aiohttp.SocketTimeoutError():
            name, text = "ReadTimeout", "the server stopped answering"
        case aiohttp.ClientConnectorError():
            name, text = "Connect", f"no connection to {error.host}:{error.port}: {error.os_error.strerror or error}"
        case aiohttp.ServerDisconnectedError():
            name, text = "Disconnected", "the server closed the connection without an answer"
        case TimeoutError():
            name, text = "TotalTimeout", "the answer took too long as a whole"
        case _:
            name, text = type(error).__name__, str(error) or type(error).__name__
    return Failure(NETWORK_ERROR, name, text)
