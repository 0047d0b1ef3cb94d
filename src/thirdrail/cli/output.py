"""What a person sees: tables that fit the terminal, sizes and times that can be read."""

import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click
import msgspec
from rich.console import Console
from rich.table import Table

NEW_YORK = ZoneInfo("America/New_York")
PIPED_WIDTH = 10_000
_KILO = 1_000


def console(*, to_stderr: bool = False) -> Console:
    """Give a console that honours NO_COLOR and COLUMNS, and never wraps in a pipe."""
    stream = sys.stderr if to_stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def show(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = (), title: str = ""
) -> None:
    """Print a table; columns named in ``right`` hold numbers, which are never cut."""
    numbers = set(right)
    table = Table(box=None, pad_edge=False, title=title or None, title_justify="left", header_style="bold")
    for place, column in enumerate(columns):
        is_number = column in numbers
        table.add_column(
            column, justify="right" if is_number else "left", no_wrap=is_number or place == 0, overflow="fold"
        )
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    console().print(table)


def print_json(value: object) -> None:
    """Print one JSON value."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def size(number: int) -> str:
    """Give bytes as a person says them."""
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < _KILO:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= _KILO
    return f"{amount:.1f} TB"


def count(number: int | None) -> str:
    """Give a number with separators."""
    return "" if number is None else f"{number:,}"


def utc(microseconds: int | None) -> str:
    """Give an instant in UTC."""
    return "" if microseconds is None else _moment(microseconds).strftime("%Y-%m-%d %H:%M:%SZ")


def iso(microseconds: int | None) -> str | None:
    """Give an instant as ISO 8601 for machines."""
    return None if microseconds is None else _moment(microseconds).isoformat().replace("+00:00", "Z")


def new_york(microseconds: int | None) -> str:
    """Give an instant in New York."""
    return "" if microseconds is None else _moment(microseconds).astimezone(NEW_YORK).strftime("%a %H:%M:%S")


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)
