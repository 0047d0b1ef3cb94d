"""The official client, as we want it: bounded in time, quiet on standard output, and its mistakes as ours.

What it does by default and must not here, measured on 1.9.1: it tries a call for ten hours and an upload without
end, while its channel says SUCCESS; it holds 256 MB of rows a channel; it logs to standard output, it refuses rows
when the process has taken up nine tenths of its own address space, and it ignores a property whose name it does not
know.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

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
from thirdrail.sinks.snowflake.client_environment import trusting

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
        "file_upload_total_backoff_seconds",
        "host",
        "max_append_request_buffer_duration_ms",
        "max_buffered_kb_for_rowset_mode",
        "max_inflight_megabytes_per_channel",
        "max_inflight_rows_per_channel",
        "max_rowset_payload_size_mb",
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
        "target_rowset_payload_size_mb",
        "url",
        "user",
    }
)
"""Names that version 1.9.1 understands; it takes any other without a word."""

_REFUSED = {"AuthTokenError", "SfApiAuthError", "ConfigError", "SfApiNotFoundError", "SfApiUserError"}
_UNREACHED = {"HttpRetriesExhaustedError", "HttpRetryableClientError", "SfApiInternalServerError", "FileUploadError"}
_UPLOAD = "Fail to upload file"
T = TypeVar("T")
_UNSETTLED_S = 10.0
"""A channel with rows that are not committed is not opened for so long; then those are thrown away, and sent again.
Tables are opened one after the other: a Snowflake that stands still must not take longer than a call may (decision 18).
"""
_HELD_MB = 48
"""Of a channel, on its way to Snowflake: four seconds of the 12 MB/s that a channel carries. ``_ALWAYS_ROWS`` need less
than 64: what waits beyond that is uploaded all the same."""
_ALWAYS_ROWS = {
    "max_buffered_kb_for_rowset_mode": "65535",
    "max_rowset_payload_size_mb": "64",
    "target_rowset_payload_size_mb": "2",
}
"""What has waited is weighed by the first, a batch (the third, and the row that fills it) by the second. Of 4 MiB, its
default, three a second are over the 12 MB/s of a channel, and the client then waits for more than a second."""
BUCKET = (
    "large appends are uploaded to the bucket of Snowflake's stage: let this machine reach the hosts of type STAGE "
    "that SELECT SYSTEM$ALLOWLIST() names"
)


def sdk() -> ModuleType:
    """Give the client's module, which is an extra, told to log errors alone, and to standard error.

    Raises:
        MissingLibrary: it is not installed.
    """
    # Read when it is imported, once.
    os.environ.setdefault("SS_LOG_TARGET", "stderr")
    os.environ.setdefault("SS_LOG_LEVEL", "error")
    # It says so as an error when a channel is opened again, which is what we do after every error.
    logging.getLogger("snowflake.ingest.streaming").setLevel(logging.CRITICAL)
    try:
        return import_module("snowflake.ingest.streaming")
    except ImportError as error:
        raise MissingLibrary("snowpipe-streaming is not installed", hint=INSTALL) from error


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
        "open_channel_409_retry_total_backoff_seconds": str(max(1, round(min(retry_seconds, _UNSETTLED_S)))),
        "mgmt_http_timeout_seconds": "20",
        "data_http_timeout_seconds": "20",
        "file_upload_total_backoff_seconds": total,
        "max_append_request_buffer_duration_ms": str(buffer_ms),
        "max_inflight_megabytes_per_channel": str(_HELD_MB),
        "mem_throttle_by_process": "false",
        "enable_telemetry_reporting": "false",
    }
    if not uploads(account):
        found |= _ALWAYS_ROWS
    if account.passphrase:
        found["private_key_passphrase"] = account.passphrase
    return checked(found)


def uploads(account: Account) -> bool:
    """Whether large appends may go as files to Snowflake's bucket.

    Not to an emulator: the client would use the first address of S3 that it ever saw. Nor where AWS_ENDPOINT_URL leads
    to a store of our own (``catalog.warehouse``): the client heeds that, too, and would upload there.
    """
    leads_elsewhere = any(os.environ.get(name) for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"))
    return urlsplit(account.url).hostname != "127.0.0.1" and not leads_elsewhere


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
        SnowflakeRefused, SnowflakeUnavailable: see :func:`translated`.
    """
    if not account.private_key_path.is_file():
        raise ConfigError(
            f"snowflake.private_key_path: there is no file {account.private_key_path}",
            hint="thirdrail snowflake ddl says how to make a key pair",
        )
    name = f"thirdrail-{pipe.lower()}"
    with translated(f"pipe {account.database}.{account.schema}.{pipe}"), trusting(account):
        return sdk().StreamingIngestClient(name, account.database, account.schema, pipe, properties=checked(given))


def answered(call: Callable[[], T], within_s: float, what: str) -> T:
    """Give what a call of the client gives, some of which have no time-out of their own.

    Raises:
        TimeoutError: it has not come back; its thread is left to it.
    """
    outcome: Future[T] = Future()

    def make() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            outcome.set_exception(error)

    threading.Thread(target=make, name="snowflake-call", daemon=True).start()
    try:
        return outcome.result(within_s)
    except TimeoutError:
        if outcome.done():
            raise  # the call's own
        raise TimeoutError(f"{what} has not come back for {within_s:.0f} s") from None


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn what the client raises into ours.

    Raises:
        SnowflakeRefused: key, role, grant or pipe: the same call will fail again.
        SnowflakeUnavailable: no answer, or none within the time for tries.
        ChannelInvalid: everything that is not committed is to be sent again.
    """
    try:
        yield
    except sdk().StreamingIngestError as error:
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
        return ChannelInvalid(text, hint=BUCKET if _UPLOAD in message else "")
    return CommitOutcomeUnknown(text)
