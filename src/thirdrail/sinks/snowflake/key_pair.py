"""The user's key: read with every mistake named, its fingerprint as Snowflake shows it, and the JWT signed with it."""

import base64
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from thirdrail.errors import ConfigError, MissingLibrary
from thirdrail.sinks.snowflake.account import INSTALL

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

SMALLEST_BITS = 2048
JWT_LIFETIME_S = 3_540
"""Snowflake takes one hour at most; a minute less, for clocks that differ."""

_CONVERT = "openssl pkcs8 -topk8 -v2 aes256 -in OLD.pem -out thirdrail_key.p8"
_KEY = "snowflake.private_key_path"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key that was read. Never prints itself."""

    private: "RSAPrivateKey" = field(repr=False)
    public: str
    """The public half as SQL wants it: base64 of its DER, one line."""

    @property
    def fingerprint(self) -> str:
        """``SHA256:<base64>``, as ``DESC USER`` shows it in RSA_PUBLIC_KEY_FP."""
        digest = hashlib.sha256(base64.b64decode(self.public)).digest()
        return f"SHA256:{base64.b64encode(digest).decode()}"


def read_key(path: Path, passphrase: str) -> KeyPair:
    """Give the key pair of a file.

    Raises:
        ConfigError: what is wrong with the file, and how to mend it.
        MissingLibrary: ``cryptography`` is not installed.
    """
    try:
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - of an extra
        from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415
    except ImportError as error:
        raise MissingLibrary("cryptography is not installed", hint=INSTALL) from error
    text = _text(path, passphrase)
    try:
        key = serialization.load_pem_private_key(text, passphrase.encode() if b"ENCRYPTED" in text else None)
    except (ValueError, TypeError) as error:
        what = "the passphrase does not open it" if b"ENCRYPTED" in text else "it cannot be read as a key"
        raise ConfigError(
            f"{_KEY}: {path}: {what}", hint="SNOWFLAKE_PRIVATE_KEY_PASSPHRASE, or another file"
        ) from error
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < SMALLEST_BITS:
        raise ConfigError(
            f"{_KEY}: {path} holds no RSA key of {SMALLEST_BITS} bits or more", hint="openssl genrsa 2048"
        )
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return KeyPair(key, base64.b64encode(der).decode())


def _text(path: Path, passphrase: str) -> bytes:
    """Give the file's text, of a kind that the clients read: PKCS 8 in PEM."""
    try:
        text = path.read_bytes()
    except OSError as error:
        hint = "thirdrail snowflake ddl says how to make a key pair"
        raise ConfigError(f"{_KEY}: {path}: {error.strerror}", hint=hint) from error
    first = text.lstrip().partition(b"\n")[0].strip()
    if first == b"-----BEGIN ENCRYPTED PRIVATE KEY-----":
        if not passphrase:
            raise ConfigError(f"{_KEY}: {path} is encrypted", hint="set SNOWFLAKE_PRIVATE_KEY_PASSPHRASE")
        return text
    if first == b"-----BEGIN PRIVATE KEY-----":
        return text
    if first == b"-----BEGIN RSA PRIVATE KEY-----":
        raise ConfigError(f"{_KEY}: {path} is PKCS 1, not PKCS 8", hint=_CONVERT)
    if b"PUBLIC KEY" in first:
        raise ConfigError(f"{_KEY}: {path} is the public half", hint="name the private one here")
    raise ConfigError(f"{_KEY}: {path} is no private key in PEM (PKCS 8)", hint=_CONVERT)


def signed_jwt(key: KeyPair, account: str, user: str, now_s: int) -> str:
    """Give the JWT that shows who we are: RS256, times in seconds, valid 59 minutes."""
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - of an extra
    from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415

    # A locator with its region (xy12345.us-east-1) is named without it.
    subject = f"{account.partition('.')[0]}.{user}".upper()
    claims = {
        "iss": f"{subject}.{key.fingerprint}",
        "sub": subject,
        "iat": now_s,
        "exp": now_s + JWT_LIFETIME_S,
    }
    message = f"{_part({'typ': 'JWT', 'alg': 'RS256'})}.{_part(claims)}"
    return f"{message}.{_url64(key.private.sign(message.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _part(value: dict[str, object]) -> str:
    return _url64(msgspec.json.encode(value))


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
