"""The official client of Snowpipe's REST calls, bounded in time.

What version 1.0.13 does by itself and must not here: it waits for an answer for ever, and it tries again for a minute
with pauses of its own. A call here is tried once, within a bound; the loop tries again, and says so.
"""

import base64
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests  # type: ignore[import-untyped]
from snowflake.ingest import SimpleIngestManager, StagedFile
from snowflake.ingest.error import IngestResponseError
from snowflake.ingest.utils.network import SnowflakeRestful

from thirdrail.errors import SnowflakeRefused, SnowflakeUnavailable
from thirdrail.sinks.snowflake.account import Account
from thirdrail.sinks.snowpipe.ports import Outcome
from thirdrail.sinks.snowpipe.session import private_key

FILES_PER_CALL = 1_000
"""Snowflake takes 5,000."""
_REFUSED = (400, 401, 403, 404)


class RestPipe:
    """The pipe of one table's staged files."""

    def __init__(self, account: Account, pipe: str, *, timeout_seconds: float) -> None:
        self._account, self._timeout = account, timeout_seconds
        self._name = f"{account.database}.{account.schema}.{pipe}"
        self._made: SimpleIngestManager | None = None

    def submit(self, files: Sequence[tuple[str, int]]) -> None:
        """Have files loaded.

        Raises:
            SnowflakeRefused, SnowflakeUnavailable: as :class:`~thirdrail.sinks.snowpipe.session.Session`.
        """
        for at in range(0, len(files), FILES_PER_CALL):
            with self._translated("insertFiles"):
                answer = self._manager().ingest_files([StagedFile(*each) for each in files[at : at + FILES_PER_CALL]])
            if answer.get("responseCode") != "SUCCESS":
                raise SnowflakeUnavailable(f"pipe {self._name}: insertFiles was answered with {answer!r}")

    def recent(self) -> Mapping[str, Outcome]:
        """Give what has become of files within the last ten minutes; what was told before may be left out."""
        with self._translated("insertReport"):
            return _outcomes(self._manager().get_history())

    def history(self, since: dt.datetime) -> Mapping[str, Outcome]:
        """Give what has become of files since an instant; Snowflake remembers 14 days."""
        oldest = dt.datetime.now(dt.UTC) - dt.timedelta(days=13, hours=23)
        start = max(since, oldest).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        with self._translated("loadHistoryScan"):
            return _outcomes(self._manager().get_history_range(start))

    def _manager(self) -> SimpleIngestManager:
        if self._made is None:
            self._made = _manager_of(self._account, self._name, self._timeout)
        return self._made

    @contextmanager
    def _translated(self, call: str) -> Iterator[None]:
        text = f"pipe {self._name}: {call}"
        try:
            yield
        except IngestResponseError as error:
            if error.http_error_code in _REFUSED:
                raise SnowflakeRefused(
                    f"{text}: {error}", hint="is the pipe there, and may the role use it? thirdrail snowflake ddl"
                ) from error
            raise SnowflakeUnavailable(f"{text}: {error}") from error
        except (_NotReached, requests.RequestException, ValueError, KeyError) as error:
            self._made = None  # its mark of what was told is not to be trusted
            raise SnowflakeUnavailable(f"{text}: {type(error).__name__}: {error}") from error


class _NotReached(Exception):
    """No answer: kept from the client's own tries, which take none but the errors of requests."""


class _Bounded(SnowflakeRestful):  # type: ignore[misc]  # the library has no types
    """One try, within a bound, over one connection."""

    def __init__(self, account: Account, timeout: float) -> None:
        self._session, self._timeout = requests.Session(), timeout
        if account.ca_file:
            self._session.trust_env = False  # a bundle that the environment names would win
            self._session.verify = account.ca_file

    def _exec_request(self, url: str, method: str, headers: object = None, json: object = None) -> requests.Response:
        try:
            answer = self._session.request(method, url, headers=headers, json=json, timeout=self._timeout)
        except requests.RequestException as error:
            raise _NotReached(str(error)) from error
        if not answer.ok:
            raise IngestResponseError(answer)
        return answer


def _manager_of(account: Account, name: str, timeout: float) -> SimpleIngestManager:
    body = base64.encodebytes(private_key(account)).decode()
    pem = f"-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----\n"
    parts = urlsplit(account.url)
    manager = SimpleIngestManager(
        account=account.account,
        user=account.user,
        pipe=name,
        private_key=pem,
        scheme="https",
        host=parts.hostname,
        port=parts.port or 443,
    )
    manager.restful = _Bounded(account, timeout)
    return manager


def _outcomes(answer: Mapping[str, Any]) -> dict[str, Outcome]:
    """Read a report: one entry a file, the newest last."""
    found = {}
    for each in answer.get("files", ()):
        rows, errors = int(each.get("rowsInserted") or 0), int(each.get("errorsSeen") or 0)
        found[str(each["path"])] = Outcome(str(each.get("status")), rows, errors, _first_error(each))
    return found


def _first_error(file: Mapping[str, Any]) -> str:
    """Give Snowflake's reason, and the row and column of the file where it names them."""
    text, row, column = (file.get(f"firstError{name}") for name in ("", "LineNum", "ColumnName"))
    place = f" (row {row} of the file, column {column or 'not told'})" if row else ""
    return f"{text or ''}{place}"
