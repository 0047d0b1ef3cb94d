"""The official clients, imported when they are first needed: they are an extra."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from thirdrail.config.settings import SnowflakeConfig
from thirdrail.errors import MissingLibrary
from thirdrail.model.tables import Table
from thirdrail.sinks.snowflake.account import INSTALL, Account
from thirdrail.sinks.snowflake.statements import STAGE
from thirdrail.sinks.snowflake.tables_sql import files_pipe
from thirdrail.sinks.snowpipe.ports import Loading, Stage

if TYPE_CHECKING:
    from thirdrail.sinks.snowpipe.pipe import RestPipe
    from thirdrail.sinks.snowpipe.session import Session


class Vendors(NamedTuple):
    """The modules of this room that import the clients."""

    session: Any
    pipe: Any


def vendors() -> Vendors:
    """Import them.

    Raises:
        MissingLibrary: they are not installed.
    """
    room = __package__
    try:
        return Vendors(import_module(f"{room}.session"), import_module(f"{room}.pipe"))
    except ImportError as error:
        raise MissingLibrary(f"{error.name} is not installed", hint=INSTALL) from error


class Clients:
    """One session for all stages, and a client for each pipe."""

    def __init__(self, config: SnowflakeConfig, account: Account) -> None:
        self._config, self._account = config, account
        self._session: Session | None = None
        self._pipes: dict[str, RestPipe] = {}

    def of(self, table: Table) -> tuple[Stage, Loading]:
        """Give a table's stage and pipe.

        Raises:
            MissingLibrary: the clients are not installed.
        """
        found, timeout = vendors(), self._config.retry_seconds
        if self._session is None:
            self._session = found.session.Session(self._account, timeout_seconds=timeout)
        if table.name not in self._pipes:
            self._pipes[table.name] = found.pipe.RestPipe(self._account, files_pipe(table), timeout_seconds=timeout)
        stage = f"{self._account.database}.{self._account.schema}.{STAGE}"
        staged = found.session.SessionStage(self._session, stage, self._config.deployment, table.name)
        return staged, self._pipes[table.name]

    def close(self) -> None:
        """End the session, if there is one."""
        if self._session is not None:
            self._session.close()
