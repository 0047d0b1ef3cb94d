"""Options and arguments that several commands share, and what they mean."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from thirdrail.errors import BadDuration, BadTime

DEFAULT_DATA = "./thirdrail-data"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_LIKE_A_DURATION = re.compile(r"-?\d+(?:\.\d+)?\s*[A-Za-z]+")
F = TypeVar("F", bound=Callable[..., Any])


def data_option(function: F) -> F:
    """Add ``--data``: the folder, else ``THIRDRAIL_DATA``, else ``./thirdrail-data``."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path),
        envvar="THIRDRAIL_DATA",
        default=DEFAULT_DATA,
        show_default=True,
        metavar="DIR",
        help="The data folder [env: THIRDRAIL_DATA].",
    )(function)


def config_option(function: F) -> F:
    """Add ``--config``: a TOML file; none is needed."""
    return click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Configuration (TOML); none is needed.",
    )(function)


def json_option(function: F) -> F:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="For machines: JSON on standard output.")(function)


def duration(text: str) -> timedelta:
    """Give the duration of ``90s``, ``15m``, ``24h`` or ``7d``.

    Raises:
        BadDuration: it is none of these.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise BadDuration(f"{text!r} is no duration", hint="a number and a unit: 90s, 15m, 24h, 7d")
    try:
        return timedelta(seconds=float(found[1]) * _UNITS[found[2]])
    except OverflowError:
        raise BadDuration(f"{text!r} is longer than time itself") from None


def since_us(text: str | None, now: datetime | None = None) -> int | None:
    """Give the instant (µs UTC) of an ISO time with zone, of a date (UTC), or of a duration before now.

    Raises:
        BadDuration: it looks like a duration and is none.
        BadTime: it is none of these.
    """
    if text is None:
        return None
    if _LIKE_A_DURATION.fullmatch(text.strip()):
        ago = duration(text)
        try:
            moment = (now or datetime.now(UTC)) - ago
        except OverflowError:
            raise BadDuration(f"{text!r} reaches back before the calendar") from None
    else:
        moment = _moment(text.strip())
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        hint = "ISO 8601 with a zone (2026-07-01T08:00-04:00), a date, or 24h"
        raise BadTime(f"{text!r} is no time", hint=hint) from None
    if moment.tzinfo is None:
        if len(text) > len("2026-07-01"):
            raise BadTime(f"{text!r} has no zone", hint="say which: 2026-07-01T08:00-04:00 or …Z")
        moment = moment.replace(tzinfo=UTC)
    return moment


def since_option(function: F) -> F:
    """Add ``--since``."""
    return click.option("--since", metavar="T", help="A time with zone, a date, or how long ago (24h).")(function)
