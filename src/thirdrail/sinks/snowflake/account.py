"""Who we are in Snowflake, and where: the configuration, completed by the environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from thirdrail.config.settings import SnowflakeConfig
from thirdrail.errors import ConfigError

INSTALL = "pip install -r requirements-snowflake.txt"


@dataclass(frozen=True, slots=True)
class Account:
    """An account, a service user of it, and the schema that holds the tables. Never prints its passphrase."""

    account: str
    user: str
    role: str
    database: str
    schema: str
    warehouse: str
    private_key_path: Path
    passphrase: str = field(repr=False)
    url: str
    ca_file: str

    @property
    def place(self) -> str:
        """Where the tables are: account, database and schema."""
        return f"{self.account}/{self.database}/{self.schema}".upper()

    @property
    def host(self) -> str:
        """The host of the address, with its port if it names one."""
        return self.url.split("://", 1)[-1].rstrip("/")


def account_of(config: SnowflakeConfig, environment: Mapping[str, str]) -> Account:
    """Give the account that a configuration and the environment name together.

    Raises:
        ConfigError: what is missing, with both names under which it can be given.
    """

    def given(name: str, default: str = "") -> str:
        return str(getattr(config, name)) or environment.get(f"SNOWFLAKE_{name.upper()}", "") or default

    for name in ("account", "user", "private_key_path"):
        if not given(name):
            raise ConfigError(
                f"snowflake.{name} is missing",
                hint=f"set it in the configuration, or SNOWFLAKE_{name.upper()}; without an account: "
                "thirdrail emulator serve",
            )
    account = given("account")
    return Account(
        account=account,
        user=given("user"),
        role=given("role", "THIRDRAIL_INGEST"),
        database=given("database", "MTA"),
        schema=given("schema", "REALTIME"),
        warehouse=given("warehouse"),
        private_key_path=Path(given("private_key_path")).expanduser(),
        passphrase=environment.get("SNOWFLAKE_PRIVATE_KEY_PASSPHRASE", ""),
        url=config.url or f"https://{account.replace('_', '-').lower()}.snowflakecomputing.com",
        ca_file=config.ca_file,
    )


def channel_name(deployment: str, partition: str) -> str:
    """Give the name of a table's channel for one partition of the log."""
    return f"thirdrail-{deployment}-{partition}"


def pipe_name(table: str, *, default_pipes: bool) -> str:
    """Give the pipe of a table: that of ``snowflake ddl``, or the one that Snowflake makes by itself."""
    return f"{table.upper()}-STREAMING" if default_pipes else f"{table.upper()}_PIPE"
