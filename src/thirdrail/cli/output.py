"""What a person sees: tables that fit the terminal, sizes and times that can be read."""

import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click
import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

NEW_YORK = ZoneInfo("America/New_York")
PIPED_WIDTH = 10_000
PROSE_WIDTH = 20
"""Characters below which a sentence in a column is no longer readable."""
_GAP = 2
_KILO = 1_000
# A feed's text must not steer the terminal: control characters show as the replacement character.
_CONTROL = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def console(*, to_stderr: bool = False) -> Console:
    """Give a console that honours NO_COLOR and COLUMNS, and never wraps in a pipe."""
    stream = sys.stderr if to_stderr else sys.stdout
    is_sized = stream.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return Console(file=stream, width=None if is_sized else PIPED_WIDTH, highlight=False, markup=False, emoji=False)


def show(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Iterable[str] = (),
    prose: Iterable[str] = (),
    spare: Sequence[str] = (),
) -> None:
    """Print a table that fits the terminal; numbers are never cut.

    ``right`` names columns of numbers, ``prose`` columns that may wrap, ``spare`` columns that are left out in
    this order while the terminal is too narrow (said on stderr). When even that does not fit, every row becomes
    a block of lines.
    """
    numbers, wrapping, out = set(right), set(prose), console()
    cells = [[_printable(value) for value in row] for row in rows]
    widths = {name: _width(name, [row[place] for row in cells]) for place, name in enumerate(columns)}
    needed = {name: min(width, PROSE_WIDTH) if name in wrapping else width for name, width in widths.items()}
    left_out: list[str] = []
    for name in spare:
        if _total(needed) <= out.width:
            break
        left_out.append(name)
        del needed[name]
    if _total(needed) > out.width:
        _print_blocks(out, columns, cells)
        return
    table = grid()
    for name in needed:
        align = "right" if name in numbers else "left"
        table.add_column(name, justify=align, no_wrap=name not in wrapping, overflow="fold")  # type: ignore[arg-type]
    kept = [place for place, name in enumerate(columns) if name in needed]
    for row in cells:
        table.add_row(*(Text(row[place]) for place in kept))
    _print(out, table)
    if left_out:
        click.echo(f"({', '.join(left_out)}: not shown in {out.width} columns; --json has all)", err=True)


def facts(rows: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one a line; long values wrap."""
    out = console()
    _print_facts(out, [(name, _printable(value)) for name, value in rows])


def _print_blocks(out: Console, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    for place, row in enumerate(cells):
        if place:
            click.echo("")
        _print_facts(out, list(zip(columns, row, strict=True)))


def _print_facts(out: Console, rows: Sequence[tuple[str, str]]) -> None:
    table = grid(with_header=False)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), Text(value))
    _print(out, table)


def grid(*, with_header: bool = True) -> Table:
    """Give an empty table in this program's style."""
    return Table(box=None, pad_edge=False, show_header=with_header, header_style="bold")


def _print(out: Console, table: Table) -> None:
    """Print without the blanks that would fill each line: they harm pipes and copying."""
    with out.capture() as captured:
        out.print(table)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()), color=True)


def _printable(value: object) -> str:
    return "" if value is None else str(value).translate(_CONTROL)


def _width(name: str, cells: Iterable[str]) -> int:
    lines = (line for cell in cells for line in cell.split("\n"))
    return max(cell_len(name), max((cell_len(line) for line in lines), default=0))


def _total(widths: dict[str, int]) -> int:
    return sum(widths.values()) + _GAP * max(0, len(widths) - 1)


def progress_bar() -> Progress:
    """Give a progress bar on stderr, for a terminal alone; it vanishes when done."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console(to_stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def print_json(value: object) -> None:
    """Print one JSON value."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def size(number: int) -> str:
    """Give bytes as a person says them."""
    if number < _KILO:
        return f"{number} B"
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if round(amount, 1) < _KILO:
            return f"{amount:.1f} {unit}"
        amount /= _KILO
    return f"{amount:,.1f} TB"


def count(number: int | None) -> str:
    """Give a number with separators."""
    return "" if number is None else f"{number:,}"


def counted(number: int, noun: str) -> str:
    """Give a number and its noun: ``1 file``, ``1,000 files``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


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
