"""What an examination found: its steps, and the form of it that may be shown to anybody."""

import platform
import re
from importlib import metadata

import msgspec

from thirdrail import __version__
from thirdrail.sinks.snowflake.account import Account

CLIENT = "snowpipe-streaming"
ICEBERG_STREAMING = (
    "ENABLE_ICEBERG_STREAMING is not needed and is set nowhere: it is a property of the client of the older streaming "
    "SDK (Java), not an option of a table. Channels through pipes write Iceberg tables without it."
)


class AtFault(Exception):
    """A step does not hold."""

    def __init__(self, found: str, fix: str = "") -> None:
        super().__init__(found)
        self.fix = fix


class Step(msgspec.Struct, kw_only=True):
    """One step: whether it holds (null: not reached), what was found, and what mends it."""

    step: str
    ok: bool | None = None
    found: str = ""
    fix: str = ""
    seconds: float = 0.0


class Examination(msgspec.Struct, kw_only=True):
    """All steps, and what ran them. ``commit_seconds`` lies between handing over a row and its committed token."""

    made_at_us: int
    thirdrail: str = __version__
    client: str = ""
    python: str = platform.python_version()
    system: str = f"{platform.system()} {platform.machine()}"
    is_well: bool = False
    commit_seconds: float | None = None
    steps: list[Step] = []
    note: str = ICEBERG_STREAMING


def client_version() -> str:
    """Give the version of the official client; empty when it is not installed."""
    try:
        return metadata.version(CLIENT)
    except metadata.PackageNotFoundError:
        return ""


def redacted(found: Examination, account: Account) -> bytes:
    """Give the examination as JSON without who and where: account, user, host, names, file, key."""
    hidden = {
        "<key file>": str(account.private_key_path),
        "<ca file>": account.ca_file,
        "<host>": account.host,
        "<host name>": account.host.partition(":")[0],
        "<account>": account.account,
        "<database>": account.database,
        "<schema>": account.schema,
        "<user>": account.user,
        "<role>": account.role,
    }
    steps = [
        msgspec.structs.replace(step, found=_hide(step.found, hidden), fix=_hide(step.fix, hidden))
        for step in found.steps
    ]
    shown = msgspec.structs.replace(found, steps=steps)
    return msgspec.json.format(msgspec.json.encode(shown), indent=2) + b"\n"


def _hide(text: str, hidden: dict[str, str]) -> str:
    """Leave out names, longest first, in any case; and whatever looks like a key, a fingerprint or a token."""
    for mark, name in sorted(hidden.items(), key=lambda pair: -len(pair[1])):
        if name:
            text = re.sub(re.escape(name), mark, text, flags=re.IGNORECASE)
    text = re.sub(r"[\w.-]+\.snowflakecomputing\.(com|cn)", "<host>", text, flags=re.IGNORECASE)
    text = re.sub(r"[\w.-]+\.(amazonaws\.com|windows\.net|googleapis\.com)", "<bucket>", text, flags=re.IGNORECASE)
    text = re.sub(r"file_name=[^\s,]+", "file_name=<file>", text)
    text = re.sub(r"SHA256:[A-Za-z0-9+/=]+", "<fingerprint>", text)
    text = re.sub(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_.-]+", "<token>", text)
    return re.sub(r"\b[A-Za-z0-9+/]{60,}={0,2}", "<key>", text)
