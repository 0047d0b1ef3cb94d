"""What the generated SQL is made of: statements with their reasons, and the names that they are about."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from thirdrail.config.settings import SnowflakeConfig
from thirdrail.errors import ConfigError

MANAGED = "SNOWFLAKE_MANAGED"
"""Snowflake's word for "in your own storage": no bucket and no external volume are needed."""

STAGE = "THIRDRAIL_STAGE"
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,254}")


class Statement(NamedTuple):
    """One statement without its semicolon, and why it is there; one that is only a comment has no ``sql``."""

    sql: str
    why: str = ""

    @property
    def text(self) -> str:
        """The statement as it stands in a script."""
        comment = "".join(f"-- {line}".rstrip() + "\n" for line in self.why.splitlines())
        return f"{comment}{self.sql};" if self.sql else comment.rstrip("\n")


@dataclass(frozen=True, slots=True)
class Names:
    """Where things lie and who may write: plain identifiers, in capitals."""

    database: str
    schema: str
    user: str
    role: str
    deployment: str
    warehouse: str = ""
    external_volume: str = MANAGED
    public_key: str = ""
    partitioned: bool = False
    default_pipes: bool = False

    def of(self, name: str) -> str:
        """Give the full name of something in our schema."""
        return f"{self.database}.{self.schema}.{name}"

    @property
    def reader(self) -> str:
        """The role of those who query."""
        return f"{self.role}_READER"


def names_of(
    config: SnowflakeConfig, environment: Mapping[str, str], given: Mapping[str, str | None] | None = None
) -> Names:
    """Give the names for the SQL: of ``given``, else of the configuration, else of the environment.

    No account is needed.

    Raises:
        ConfigError: a name that would need quotes, which the generated SQL never has.
    """

    def name(key: str, default: str) -> str:
        text = (given or {}).get(key) or getattr(config, key, "") or environment.get(f"SNOWFLAKE_{key.upper()}", "")
        text = str(text or default)
        if text and not _PLAIN.fullmatch(text):
            raise ConfigError(
                f"snowflake.{key} = {text!r} is no plain name (letters, digits, _ and $)",
                hint="names that need double quotes are not supported by the generated SQL",
            )
        return text.upper()

    return Names(
        database=name("database", "MTA"),
        schema=name("schema", "REALTIME"),
        user=name("user", "THIRDRAIL_SVC"),
        role=name("role", "THIRDRAIL_INGEST"),
        warehouse=name("warehouse", ""),
        external_volume=name("external_volume", MANAGED),
        deployment=config.deployment,
        default_pipes=config.default_pipes,
    )


def literal(text: str) -> str:
    """Give a text as SQL: quotes doubled, and backslashes, which Snowflake takes as escapes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def script(parts: Iterable[tuple[str, Iterable[Statement]]]) -> str:
    """Give a script of titled parts."""
    blocks: list[str] = []
    for title, statements in parts:
        texts = [statement.text for statement in statements]
        if texts:
            blocks.append("\n\n".join([f"-- ==== {title}", *texts]))
    return "\n\n\n".join(blocks) + "\n"
