"""One call over HTTPS at a time, for an examination: bounded, never tried again, and its failure named by its step.

The official client tries again and says less; it is used where rows are written.
"""

import socket
import ssl
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import HTTPSHandler, Request, build_opener

TIMEOUT_S = 10.0


class Answer(NamedTuple):
    """What was answered. ``clock_s`` is the server's time (seconds since 1970), if it told it."""

    status: int
    text: str
    clock_s: float | None


class NoAnswer(Exception):
    """Nobody answered, or nobody whom we may trust; the text names the step of the network at fault."""


def ask(
    method: str,
    url: str,
    token: str,
    token_type: str,
    *,
    body: bytes | None = None,
    form: bool = False,
    ca_file: str = "",
) -> Answer:
    """Give the answer of one call, of whatever status.

    Raises:
        NoAnswer: name, connection, TLS or time.
    """
    kind = "application/x-www-form-urlencoded" if form else "application/json"
    headers = {
        "Authorization": f"Bearer {token}",
        "X-Snowflake-Authorization-Token-Type": token_type,
        "Content-Type": kind,
        "Accept": "application/json",
        "User-Agent": "thirdrail-doctor",
    }
    request = Request(url, body, headers, method=method)  # noqa: S310 - looked at below
    if request.type != "https":
        raise NoAnswer(f"{url} is not https; Snowflake and the official client speak nothing else")
    try:
        opener = build_opener(HTTPSHandler(context=ssl.create_default_context(cafile=ca_file or None)))
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            return Answer(answer.status, answer.read().decode(errors="replace"), _clock(answer.headers["Date"]))
    except HTTPError as error:
        return Answer(error.code, error.read().decode(errors="replace"), _clock(error.headers["Date"]))
    except OSError as error:
        raise NoAnswer(_why(error, request.host)) from error


def _why(error: OSError, host: str) -> str:
    reason = error.reason if isinstance(error, URLError) else error
    text = f"{host}: {reason}"
    match reason:
        case socket.gaierror():
            text = f"no address is known for the name {host} (DNS): is the account spelled right?"
        case ConnectionRefusedError():
            text = f"{host} refuses the connection: wrong port, or nothing listens there"
        case ssl.SSLCertVerificationError():
            text = f"the certificate of {host} is not trusted here ({reason.verify_message}): see snowflake.ca_file"
        case ssl.SSLError():
            text = f"no TLS with {host}: {reason.reason or reason}"
        case TimeoutError():
            text = f"{host} did not answer within {TIMEOUT_S:.0f} s: a firewall, a proxy or a network policy"
        case FileNotFoundError():
            text = "snowflake.ca_file: there is no such file"
    return text


def _clock(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except ValueError:
        return None
