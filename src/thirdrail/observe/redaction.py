"""No secret is shown: those of the environment, however they are spelt, and what looks like one."""

import re
from collections.abc import Iterable, Mapping

HIDDEN = "***"
SHORTEST = 4
"""Characters of a variable's value that may be a secret; to hide shorter ones would hide ordinary words."""

_WORDS = r"password|passwd|passphrase|secret|token|credentials?|authorization|signature|webhook"
_NAME = re.compile(rf"(?:{_WORDS}|key)(?:_url)?$", re.IGNORECASE)
_LOOKS_LIKE_ONE = re.compile(
    r"(?<=-----BEGIN )[A-Z ]*PRIVATE KEY-----.*?(?:-----END|$)"  # PEM
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]*"  # a JSON web token
    r"|(?i:(?<=\bbearer )|(?<=\bbasic ))[\w.~+/=-]{8,}"
    r"|(?<=://)(?P<user>[^\s/:@]*:)\S+(?=@)"
    rf"|(?P<name>(?i:(?:(?<=[?&])key|[\w-]*(?:{_WORDS}))=))(?:'[^']*'|\"[^\"]*\"|[^\s&,;'\")]+)"
    rf"|(?P<item>(?i:['\"][\w-]*(?:{_WORDS})['\"]: *))(?:'[^']*'|\"[^\"]*\")",
    re.DOTALL,
)


def is_secret_name(name: str) -> bool:
    """Whether a variable or field of this name holds a secret: it ends with ``key``, ``token`` or a like word."""
    return _NAME.search(name) is not None


def secrets_of(environment: Mapping[str, str], names: Iterable[str] = ()) -> list[str]:
    """Give the secrets in an environment: those of ``names``, and those that their names give away."""
    wanted = {*names, *filter(is_secret_name, environment)}
    return [value for name in wanted if len(value := environment.get(name, "").strip()) >= SHORTEST]


class Redaction:
    """Hides secrets in texts and in whatever holds texts."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # The longest first: one may be the beginning of another.
        spelt = [_spelt(secret) for secret in sorted(filter(None, secrets), key=len, reverse=True)]
        self._known = re.compile("|".join(spelt)) if spelt else None

    def known(self, text: str) -> str:
        """Give a text without the secrets, as they stand, percent-encoded, or escaped as by JSON."""
        return self._known.sub(HIDDEN, text) if self._known else text

    def text(self, text: str) -> str:
        """Give a text without the secrets, and without what looks like one."""
        return _LOOKS_LIKE_ONE.sub(_hidden, self.known(text))

    def value(self, value: object) -> object:
        """Give a value with every text in it redacted; what is no number becomes a text."""
        match value:
            case bool() | int() | float() | None:
                return value
            case Mapping():
                return self.fields({str(name): each for name, each in value.items()})
            case list() | tuple() | set() | frozenset():
                return [self.value(each) for each in value]
            case _:
                return self.text(str(value))

    def fields(self, fields: Mapping[str, object]) -> dict[str, object]:
        """Give fields, redacted; one whose name says that it is a secret is hidden whole."""
        return {name: HIDDEN if is_secret_name(name) else self.value(value) for name, value in fields.items()}


def _hidden(found: re.Match[str]) -> str:
    """Give what stands for a find: the name before the secret stays."""
    return f"{found['user'] or found['name'] or found['item'] or ''}{HIDDEN}"


def _spelt(secret: str) -> str:
    return "".join(map(_character, secret))


def _character(sign: str) -> str:
    """Give a pattern for a character in any spelling: itself, escaped, or percent-encoded (more than once, too)."""
    if sign.isascii() and sign.isalnum():
        return sign
    encoded = "".join(f"%(?:25)*{byte:02x}" for byte in sign.encode("utf-8", "surrogateescape"))
    escaped = {"\n": "n", "\r": "r", "\t": "t"}.get(sign, sign)
    spellings = [f"(?i:{encoded})", rf"(?i:\\u{ord(sign):04x})", r"\\+" + re.escape(escaped), re.escape(sign)]
    return f"(?:{'|'.join([*spellings, *([re.escape('+')] if sign == ' ' else [])])})"
