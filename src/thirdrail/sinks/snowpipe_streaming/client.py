"""The official client, as we want it: bounded in time, quiet on standard output, and its mistakes as ours.

What it does by default and must not here, measured on 1.9.1: it tries a call for ten hours, it logs to standard
output, it refuses rows when the process has taken up nine tenths of its own address space, and it ignores a
property whose name it does not know.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from thirdrail.errors import (
    ChannelInvalid,
    CommitOutcomeUnknown,
    ConfigError,
    MissingLibrary,
    SinkError,
    SnowflakeRefused,
    SnowflakeUnavailable,
)
from thirdrail.sinks.snowflake.account import INSTALL, Account

if TYPE_CHECKING:
    from snowflake.ingest.streaming import StreamingIngestClient

KNOWN_PROPERTIES = frozenset(
    {
        "account",
        "authorization_type",
        "data_http_timeout_seconds",
        "data_retry_initial_backoff_seconds",
        "data_retry_total_backoff_seconds",
        "enable_telemetry_reporting",
        "host",
        "max_append_request_buffer_duration_ms",
        "max_inflight_rows_per_channel",
        "mem_throttle_by_process",
        "mgmt_http_timeout_seconds",
        "mgmt_retry_total_backoff_seconds",
        "open_channel_409_retry_total_backoff_seconds",
        "port",
        "private_key",
        "private_key_file",
        "private_key_passphrase",
        "role",
        "scheme",
        "url",
        "user",
    }
)
"""Names that version 1.9.1 understands; it takes any other without a word."""

_REFUSED = {"AuthTokenError", "SfApiAuthError", "ConfigError", "SfApiNotFoundError", "SfApiUserError"}
_UNREACHED = {"HttpRetriesExhaustedError", "HttpRetryableClientError", "SfApiInternalServerError", "FileUploadError"}
_environment = threading.Lock()


def properties(account: Account, *, retry_seconds: float, buffer_ms: int) -> dict[str, str]:
    """Give the client's properties: whose calls end within ``retry_seconds``, and which sends after ``buffer_ms``."""
    total = str(max(1, round(retry_seconds)))
    found = {
        "account": account.account,
        "user": account.user,
        "role": account.role,
        "url": account.url,
        "private_key_file": str(account.private_key_path),
        "mgmt_retry_total_backoff_seconds": total,
        "data_retry_total_backoff_seconds": total,
        "open_channel_409_retry_total_backoff_seconds": total,
        "mgmt_http_timeout_seconds": "20",
        "data_http_timeout_seconds": "20",
        "max_append_request_buffer_duration_ms": str(buffer_ms),
        "mem_throttle_by_process": "false",
        "enable_telemetry_reporting": "false",
    }
    if account.passphrase:
        found["private_key_passphrase"] = account.passphrase
    return checked(found)


def checked(given: Mapping[str, str]) -> dict[str, str]:
    """Give properties whose names the client knows.

    Raises:
        ConfigError: naming one that it would ignore.
    """
    if unknown := given.keys() - KNOWN_PROPERTIES:
        raise ConfigError(f"the Snowpipe Streaming client knows no property {', '.join(sorted(unknown))}")
    return dict(given)


def connected(account: Account, pipe: str, given: Mapping[str, str]) -> "StreamingIngestClient":
    """Give a client of one pipe; blocks until the account has answered.

    Raises:
        MissingLibrary: the client is not installed.
        SnowflakeRefused, SnowflakeUnavailable: see :func:`translated`.
    """
    if not account.private_key_path.is_file():
        raise ConfigError(
            f"snowflake.private_key_path: there is no file {account.private_key_path}",
            hint="thirdrail snowflake ddl says how to make a key pair",
        )
    os.environ.setdefault("SS_LOG_TARGET", "stderr")
    os.environ.setdefault("SS_LOG_LEVEL", "error")
    try:
        from snowflake.ingest.streaming import StreamingIngestClient  # noqa: PLC0415 - read after the two above
    except ImportError as error:
        raise MissingLibrary("snowpipe-streaming is not installed", hint=INSTALL) from error
    name = f"thirdrail-{pipe.lower()}"
    with translated(f"pipe {account.database}.{account.schema}.{pipe}"), _trusting(account.ca_file):
        return StreamingIngestClient(name, account.database, account.schema, pipe, properties=checked(given))


@contextmanager
def _trusting(ca_file: str) -> Iterator[None]:
    """Let a client that is built meanwhile trust certificates of a file; nothing else of the process does."""
    with _environment:
        before = os.environ.get("SSL_CERT_FILE")
        if ca_file:
            os.environ["SSL_CERT_FILE"] = ca_file
        try:
            yield
        finally:
            if ca_file and before is None:
                del os.environ["SSL_CERT_FILE"]
            elif before is not None:
                os.environ["SSL_CERT_FILE"] = before


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn what the client raises into ours.

    Raises:
        SnowflakeRefused: key, role, grant or pipe: the same call will fail again.
        SnowflakeUnavailable: no answer, or none within the time for tries.
        ChannelInvalid: everything that is not committed is to be sent again.
    """
    from snowflake.ingest.streaming import StreamingIngestError  # noqa: PLC0415 - an extra

    try:
        yield
    except StreamingIngestError as error:
        raise _ours(what, error.error_code.value, error.message) from error
    except TimeoutError as error:
        raise SnowflakeUnavailable(f"{what}: {error}") from error


def _ours(what: str, code: str, message: str) -> SinkError:
    text = f"{what}: {code}: {message}"
    if code in _REFUSED:
        return SnowflakeRefused(text, hint="thirdrail snowflake doctor names the key, grant or pipe at fault")
    if code in _UNREACHED:
        return SnowflakeUnavailable(text)
    if code in ("InvalidChannelError", "ClosedChannelError", "ChannelNotFound", "ChannelAlreadyExists"):
        return ChannelInvalid(text)
    return CommitOutcomeUnknown(text)
