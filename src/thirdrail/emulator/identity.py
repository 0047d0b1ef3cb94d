"""Who asks: the JWT of a key pair, and the token that it is exchanged for."""

import base64
import hmac
import secrets
import time
from pathlib import Path

import msgspec

from thirdrail.emulator.certificates import fingerprint, is_signed


class NotWho(Exception):
    """The request does not show who asks, or no longer does."""


class Identity:
    """Knows one user by the public half of a key, and its own tokens. ``lifetime_s`` is a token's."""

    def __init__(self, key_file: Path, *, lifetime_s: float = 3600.0) -> None:
        self._key_file, self.lifetime_s = key_file, lifetime_s
        self._secret = secrets.token_bytes(32)
        self._fingerprint = fingerprint(key_file)
        self.not_before = 0.0

    def check_jwt(self, authorization: str) -> None:
        """Check a key pair's JWT: signed RS256, issued for this key, not expired (in ms as 1.9.1 has it, or in s).

        Raises:
            NotWho: with the reason.
        """
        head, claims, message, signature = _split(authorization)
        if head.get("alg") != "RS256" or not is_signed(message, signature, self._key_file):
            raise NotWho("JWT token is invalid: the signature is not that of the user's public key")
        if not str(claims.get("iss", "")).endswith(self._fingerprint):
            raise NotWho("JWT token is invalid: its issuer names another key")
        expires = float(str(claims.get("exp", 0)))
        if (expires / 1000 if expires > 1e11 else expires) < time.time():  # noqa: PLR2004 - a year 5138 in seconds
            raise NotWho("JWT token is expired")

    def token(self, scope: str) -> str:
        """Give a token of our own, in the shape of a JWT."""
        now = time.time()
        head = _part({"typ": "JWT", "alg": "HS256"})
        body = _part({"scope": scope, "iat": int(now * 1000), "exp": int(now + max(self.lifetime_s, 1)), "at": now})
        message = f"{head}.{body}"
        return f"{message}.{_text(hmac.digest(self._secret, message.encode(), 'sha256'))}"

    def check_token(self, authorization: str) -> None:
        """Check a token of ours.

        Raises:
            NotWho: with the reason.
        """
        _, claims, message, signature = _split(authorization)
        if not hmac.compare_digest(hmac.digest(self._secret, message, "sha256"), signature):
            raise NotWho("the token is not one of this server's")
        begun = float(str(claims.get("at", 0)))
        if begun < self.not_before or time.time() > begun + self.lifetime_s:
            raise NotWho("the token is expired")


def _split(authorization: str) -> tuple[dict[str, object], dict[str, object], bytes, bytes]:
    parts = authorization.removeprefix("Bearer ").split(".")
    try:
        head, body, signature = parts
        return (
            msgspec.json.decode(_bytes(head), type=dict[str, object]),
            msgspec.json.decode(_bytes(body), type=dict[str, object]),
            f"{head}.{body}".encode(),
            _bytes(signature),
        )
    except (ValueError, msgspec.DecodeError) as error:
        raise NotWho("the request has no token, or none that can be read") from error


def _part(claims: dict[str, object]) -> str:
    return _text(msgspec.json.encode(claims))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
