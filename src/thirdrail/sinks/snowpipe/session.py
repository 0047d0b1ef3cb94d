"""The official connector, for what only a session can do with a stage: PUT, LIST and REMOVE. None needs a warehouse."""

import logging
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from snowflake.connector import SnowflakeConnection
from snowflake.connector.errors import Error, OperationalError

from thirdrail.errors import ConfigError, SnowflakeRefused, SnowflakeUnavailable
from thirdrail.sinks.snowflake.account import Account
from thirdrail.sinks.snowflake.client_environment import trusting
from thirdrail.sinks.snowpipe.ports import Staged

_REFUSED_STATES = ("02", "28", "42", "0A")
"""Classes of SQLSTATE: no such object, who we are, what we may, not supported."""


def private_key(account: Account) -> bytes:
    """Give the user's private key, as PKCS 8 in DER.

    Raises:
        ConfigError: there is none, or it does not open.
    """
    try:
        return _der(account.private_key_path.read_bytes(), account.passphrase)
    except OSError as error:
        raise ConfigError(
            f"snowflake.private_key_path: cannot read {account.private_key_path}: {error.strerror}",
            hint="thirdrail snowflake ddl says how to make a key pair",
        ) from error
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"snowflake.private_key_path: {account.private_key_path} does not open as a private key in PEM",
            hint="is it PKCS 8, and is its passphrase in SNOWFLAKE_PRIVATE_KEY_PASSPHRASE?",
        ) from error


@lru_cache(maxsize=1)
def _der(pem: bytes, passphrase: str) -> bytes:
    """Give a key as DER. To open one takes a fifth of a second, and every table's pipe wants it."""
    key = serialization.load_pem_private_key(pem, passphrase.encode() or None)
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class _Connection(SnowflakeConnection):
    """The connector's timer cancels a statement that took too long; where that fails, too, nobody needs a traceback."""

    def _cancel_query(self, sql: str, request_id: uuid.UUID) -> dict[str, bool | None]:
        with suppress(Error, OSError):
            return super()._cancel_query(sql, request_id)
        return {"success": False}


class Session:
    """One session, begun when it is first needed, and anew after an error. One thread at a time."""

    def __init__(self, account: Account, *, timeout_seconds: float) -> None:
        self._account, self._timeout = account, max(1, round(timeout_seconds))
        self._connection: SnowflakeConnection | None = None

    def run(self, statement: str) -> list[tuple[object, ...]]:
        """Run a statement and give its rows.

        Raises:
            SnowflakeRefused: key, role, grant or stage: the same statement will fail again.
            SnowflakeUnavailable: no answer within the time for tries.
        """
        with self._translated(), trusting(self._account):
            connection = self._connection or self._connected()
            self._connection = connection
            with connection.cursor() as cursor:
                found = cursor.execute(statement)
                return [] if found is None else [tuple(row) for row in found.fetchall()]

    def _connected(self) -> SnowflakeConnection:
        logging.getLogger("snowflake.connector").setLevel(logging.CRITICAL)
        parts = urlsplit(self._account.url)
        return _Connection(
            account=self._account.account,
            user=self._account.user,
            role=self._account.role,
            private_key=private_key(self._account),
            host=parts.hostname,
            port=parts.port or 443,
            protocol="https",
            database=self._account.database,
            schema=self._account.schema,
            login_timeout=self._timeout,
            network_timeout=self._timeout,
            socket_timeout=self._timeout,
            application="ThirdRail",
            # A certificate of one's own has nobody to ask whether it was revoked.
            disable_ocsp_checks=bool(self._account.ca_file),
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except Error as error:
            self.close()
            text = f"session of {self._account.user}: {type(error).__name__}: {error.msg}"
            state = error.sqlstate or ""
            if not isinstance(error, OperationalError) and state[:2] in _REFUSED_STATES:
                raise SnowflakeRefused(
                    text, hint="is the stage there, and may the role use it? thirdrail snowflake ddl"
                ) from error
            raise SnowflakeUnavailable(text) from error
        except OSError as error:
            self.close()
            raise SnowflakeUnavailable(f"session of {self._account.user}: {error}") from error

    def close(self) -> None:
        """End the session."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close(retry=False)


class SessionStage:
    """The files under ``@<stage>/<deployment>/<table>/``."""

    def __init__(self, session: Session, stage: str, deployment: str, table: str) -> None:
        self._session, self._where = session, f"@{stage}/{deployment}/{table}/"
        self._prefix = f"{deployment}/{table}/"

    def put(self, file: Path, path: str) -> None:
        """Put a local file there; PUT keeps a file's name, so it is given the right one first."""
        folder, _, name = path.rpartition("/")
        named = file.with_name(name)
        file.rename(named)
        source = str(named.absolute()).replace("'", "\\'")
        rows = self._session.run(
            f"PUT 'file://{source}' '{self._where}{folder}/' AUTO_COMPRESS = FALSE OVERWRITE = TRUE PARALLEL = 1"
        )
        if not rows or "UPLOADED" not in {str(value) for value in rows[0]}:
            raise SnowflakeUnavailable(f"PUT of {path} ended with {rows!r}")

    def files(self) -> Sequence[Staged]:
        """Give all; LIST puts the stage's name before a path, in small letters."""
        found = []
        for row in self._session.run(f"LIST '{self._where}'"):
            name, size, modified = str(row[0]), int(str(row[1])), str(row[3])
            _, found_prefix, path = name.partition(self._prefix)
            if found_prefix:
                found.append(Staged(path, size, _instant(modified)))
        return found

    def remove(self, path: str) -> None:
        """Remove a file; REMOVE takes a prefix, and a whole name with its ending is nobody else's."""
        self._session.run(f"REMOVE '{self._where}{path}'")


def _instant(text: str) -> datetime:
    """Read LIST's time, ``Fri, 27 Nov 2026 15:11:00 GMT``; one with a numeric zone, too."""
    moment = parsedate_to_datetime(re.sub(r"\s+GMT$", " +0000", text))
    return moment.astimezone(UTC)
