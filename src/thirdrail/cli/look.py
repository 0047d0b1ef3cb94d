"""``tables``, ``sql`` and ``audit``: what came out, and whether it is right."""

import csv
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import click
import msgspec
import pyarrow as pa

from thirdrail import app
from thirdrail.app.caring import Detail, details
from thirdrail.cli.options import config_option, data_option, json_option, since_option, since_us
from thirdrail.cli.output import console, count, counted, iso, print_json, progress_bar, show, size, utc
from thirdrail.config.reading import load
from thirdrail.errors import UsageError
from thirdrail.maintenance.audit import AuditReport
from thirdrail.maintenance.care import Report
from thirdrail.model.tables import BY_NAME, Table
from thirdrail.observe.clock import SystemClock
from thirdrail.query.warehouse import open_warehouse
from thirdrail.sinks.iceberg.catalog import open_catalog

EXAMPLE_QUERY = "SELECT * FROM predictions_now LIMIT 10"
SHOWN_ROWS = 1_000
"""Of a query's result in a terminal's table; csv and json give every row."""

NOTHING_VERIFIED = 2
_LISTED = 10


@click.command()
@click.argument("name", required=False)
@click.option("--detail", is_flag=True, help="Files by size, snapshots, and what `maintain` would do.")
@data_option
@config_option
@json_option
def tables(name: str | None, data: Path, config_path: Path | None, *, detail: bool, as_json: bool) -> int:
    """List the tables, or one table's columns.

    With NAME: its columns, what they mean, and where they come from.
    """
    if name is not None:
        return _columns(table_of(name), as_json=as_json)
    folder = app.DataFolder.existing(data)
    if detail:
        return _details(list(details(folder, load(config_path), SystemClock())), as_json=as_json)
    pinned = app.pinned_all(folder)
    if as_json:
        print_json(
            [
                {
                    "table": each.table.name,
                    "rows": each.rows,
                    "data_files": len(each.files),
                    "snapshots": each.snapshots,
                    "bytes": each.bytes,
                    "newest_fetched_at": iso(each.newest_fetched_at),
                }
                for each in pinned
            ]
        )
        return 0
    rows = [
        (
            each.table.name,
            count(each.rows),
            size(each.bytes),
            count(len(each.files)),
            count(each.snapshots),
            utc(each.newest_fetched_at),
        )
        for each in pinned
    ]
    numbers = ("rows", "size", "files", "snapshots")
    fetched = "newest fetch (UTC)"
    show(("table", *numbers, fetched), rows, right=numbers, spare=("snapshots", "files", "size", fetched))
    return 0


def _details(found: Sequence[Detail], *, as_json: bool) -> int:
    """Show how tables lie on the disk."""
    if as_json:
        todo = ("merged", "into", "dropped_days", "deleted", "deleted_bytes", "waiting")
        keys = ("table", "days", "files", "bytes", "snapshots", "metadata_bytes")
        print_json(
            [
                {key: getattr(each, key) for key in keys}
                | {"looked_at": iso(each.looked_at), "would": {key: getattr(each.would, key) for key in todo}}
                for each in found
            ]
        )
        return 0
    rows = [
        (
            each.table,
            count(each.days),
            *(count(number) for number in each.files.values()),
            size(each.bytes),
            count(each.snapshots),
            size(each.metadata_bytes),
            utc(each.looked_at),
            _would(each.would),
        )
        for each in found
    ]
    numbers = ("days", "small", "medium", "full", "size", "snapshots", "metadata")
    cleaned = "cleaned (UTC)"
    spare = ("metadata", "snapshots", cleaned, "size")
    show(("table", *numbers, cleaned, "maintain would"), rows, right=numbers, spare=spare)
    return 0


def _would(report: Report) -> str:
    """Say what a round of care would do."""
    parts = []
    if report.merged:
        parts.append(f"merge {counted(report.merged, 'file')} into {count(report.into)}")
    if report.dropped_days:
        parts.append(f"drop {counted(report.dropped_days, 'day')}")
    if report.deleted:
        parts.append(f"delete {counted(report.deleted, 'file')} ({size(report.deleted_bytes)})")
    return report.trouble or ", ".join(parts) or "do nothing"


def _columns(table: Table, *, as_json: bool) -> int:
    columns = [(c.name, c.type, c.role.value, c.required, c.meaning, c.wire) for c in table.columns]
    if as_json:
        keys = ("name", "type", "role", "required", "meaning", "wire")
        described = [dict(zip(keys, c, strict=True)) for c in columns]
        print_json({"table": table.name, "meaning": table.meaning, "columns": described})
        return 0
    click.echo(f"{table.name}: {table.meaning}\n")
    show(
        ("column", "type", "meaning", "on the wire"),
        [(name, kind, meaning, wire) for name, kind, _, _, meaning, wire in columns],
        prose=["meaning"],
        spare=("on the wire", "type"),
    )
    return 0


def table_of(name: str) -> Table:
    """Give the table of a name that a person wrote."""
    if name not in BY_NAME:
        raise UsageError(f"no table is called {name!r}", hint=f"tables: {', '.join(BY_NAME)}")
    return BY_NAME[name]


@click.command()
@click.argument("query", required=False)
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@data_option
def sql(query: str | None, form: str, data: Path) -> int:
    """Run one SQL query over the tables and views.

    The SQL is DuckDB's. It reads only, and works while something else writes.
    """
    if not query or not query.strip():
        hint = f'thirdrail sql "{EXAMPLE_QUERY}"; `thirdrail tables` lists what there is'
        raise UsageError("no query was given", hint=hint)
    folder = app.DataFolder.existing(data)
    print_result(open_warehouse(open_catalog(folder.path, create=False)).sql(query), form)
    return 0


def print_result(result: pa.Table, form: str) -> None:
    """Print what a query gave: ``table``, ``csv`` or ``json``."""
    if form == "json":
        names = _distinct(result.column_names)
        print_json([dict(zip(names, row, strict=True)) for row in _rows(result)])
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(result.column_names)
        writer.writerows([_text(value) for value in row] for row in _rows(result))
    else:
        _show_result(result)


def _rows(result: pa.Table) -> Iterator[tuple[object, ...]]:
    """Give rows by place: a query may name two columns alike, which a dict would merge."""
    for batch in result.to_batches():
        yield from zip(*(map(_plain, column.to_pylist()) for column in batch.columns), strict=True)


def _plain(value: object) -> object:
    """Give Arrow's interval as a duration where it is one; anything else as it is."""
    if isinstance(value, pa.MonthDayNano):
        months, days, nanoseconds = value
        return timedelta(days=days, microseconds=nanoseconds / 1_000) if not months else str(value)
    return value


def _distinct(names: Sequence[str]) -> list[str]:
    """Give names for JSON, where two alike would be one: ``a``, ``a_1``."""
    given: list[str] = []
    for name in names:
        number, free = 0, name
        while free in given:
            number += 1
            free = f"{name}_{number}"
        given.append(free)
    return given


def _text(value: object) -> str:
    """Give a value as in JSON, strings without their quotes; nothing for null."""
    if value is None:
        return ""
    encoded = msgspec.to_builtins(value)
    return encoded if isinstance(encoded, str) else msgspec.json.encode(encoded).decode()


def _show_result(result: pa.Table) -> None:
    numbers = [field.name for field in result.schema if _is_number(field.type)]
    rows = list(_rows(result.slice(0, SHOWN_ROWS)))
    show(result.column_names, [[_cell(value) for value in row] for row in rows], right=numbers)
    more = len(result) - len(rows)
    unseen = f", {count(more)} of them not shown: --format csv gives all" if more else ""
    click.echo(f"({counted(len(result), 'row')}{unseen})", err=True)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _cell(value: object) -> str:
    return str(value).replace("+00:00", "Z") if hasattr(value, "strftime") else _text(value)


@click.command()
@data_option
@since_option
@json_option
def audit(data: Path, since: str | None, *, as_json: bool) -> int:
    """Recompute every row from the log and compare.

    Exit 0: all is as it must be. 1: rows are missing, doubled, altered or nobody's, or a sink has refused rows and
    nobody has settled that. 2: nothing could be verified.
    """
    start = since_us(since)
    folder = app.DataFolder.existing(data)
    with progress_bar() as bar:
        task = bar.add_task("audit", total=None)
        report = app.audit(folder, start, lambda done, total: bar.update(task, completed=done, total=total))
    if as_json:
        print_json(report.as_dict())
    else:
        _print_report(report)
    if report.captures == 0 and report.faults == 0 and not report.rejected:
        return NOTHING_VERIFIED
    return 0 if report.ok else 1


def _print_report(report: AuditReport) -> None:
    names = ("captures", "rows_expected", "rows_found", "missing", "duplicated", "unexpected", "altered")
    more = ("pending", "unverifiable", "restored")
    rows = [(name.replace("_", " "), count(getattr(report, name))) for name in (*names, *more)]
    show(("", "count"), rows, right=["count"])
    for table, faults in report.faults_by_table.items():
        click.echo(f"{table}: " + ", ".join(f"{number:,} {fault}" for fault, number in faults.items()))
    for each in report.rejected[:_LISTED]:
        click.echo(f"{each['target_table']}: {each['sink']} refused {each['row_key'] or 'rows'}: {each['reason']}")
    if report.rejected:
        click.echo(
            f"{count(len(report.rejected))} not settled (thirdrail quarantine list --rule M039): mend the cause and "
            "have the rows sent again (thirdrail quarantine replay), or give them up (thirdrail quarantine accept)"
        )
    if report.ok:
        console().print("ok: the tables hold exactly what the log says", style="green")
    elif report.rejected and not report.faults:
        console().print("not ok: a sink lacks rows that it refused; these tables hold what the log says", style="red")
    elif report.faults:
        console().print("not ok: the tables do not hold what the log says", style="red")
    else:
        click.echo("nothing could be verified: no capture in this window is both in the log and in the tables")
