"""``tables``, ``sql`` and ``audit``: what came out, and whether it is right."""

import csv
import io
from pathlib import Path

import click
import pyarrow as pa

from thirdrail import app
from thirdrail.cli.options import data_option, json_option, since_option, since_us
from thirdrail.cli.output import console, count, iso, print_json, show, size, utc
from thirdrail.errors import QueryError, UsageError
from thirdrail.model.tables import BY_NAME, TABLES, Table
from thirdrail.query.warehouse import open_warehouse
from thirdrail.sinks.iceberg.catalog import open_catalog

SHOWN_ROWS = 1_000
NARROW = 84
"""Columns of a terminal below which `tables` shows only the first three."""

NOTHING_VERIFIED = 2


@click.command()
@click.argument("name", required=False)
@data_option
@json_option
def tables(name: str | None, data: Path, *, as_json: bool) -> int:
    """List the tables, or with NAME a table's columns, their meaning and where they come from."""
    if name is not None:
        return _columns(name, as_json=as_json)
    folder = app.DataFolder.existing(data)
    pinned = [app.pinned(folder, table) for table in TABLES]
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
            len(each.files),
            each.snapshots,
            utc(each.newest_fetched_at),
        )
        for each in pinned
    ]
    columns = ("table", "rows", "size", "files", "snapshots", "newest")
    shown = 3 if console().width < NARROW else len(columns)
    show(columns[:shown], [row[:shown] for row in rows], right=["rows", "size", "files", "snapshots"])
    return 0


def _columns(name: str, *, as_json: bool) -> int:
    table = _table(name)
    columns = [(c.name, c.type, c.role.value, c.required, c.meaning, c.wire) for c in table.columns]
    if as_json:
        keys = ("name", "type", "role", "required", "meaning", "wire")
        print_json(
            {
                "table": table.name,
                "meaning": table.meaning,
                "columns": [dict(zip(keys, c, strict=True)) for c in columns],
            }
        )
        return 0
    click.echo(f"{table.name}: {table.meaning}\n")
    show(("column", "type", "meaning", "on the wire"), [(c[0], c[1], c[4], c[5]) for c in columns])
    return 0


def _table(name: str) -> Table:
    if name not in BY_NAME:
        raise UsageError(f"no table is called {name!r}", hint=f"tables: {', '.join(BY_NAME)}")
    return BY_NAME[name]


@click.command()
@click.argument("query", required=False)
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@data_option
def sql(query: str | None, form: str, data: Path) -> int:
    """Run one SQL query (DuckDB) over the tables and views; works while something writes."""
    if not query:
        raise QueryError(
            "no query was given",
            hint="thirdrail sql 'SELECT * FROM predictions_now LIMIT 10'; `thirdrail tables` lists what there is",
        )
    folder = app.DataFolder.existing(data)
    result = open_warehouse(open_catalog(folder.path, create=False)).sql(query)
    if form == "json":
        print_json([{key: _plain(value) for key, value in row.items()} for row in result.to_pylist()])
    elif form == "csv":
        _csv(result)
    else:
        _shown(result)
    return 0


def _plain(value: object) -> object:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _csv(result: pa.Table) -> None:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(result.column_names)
    writer.writerows([[_plain(value) for value in row.values()] for row in result.to_pylist()])
    click.echo(out.getvalue(), nl=False)


def _shown(result: pa.Table) -> None:
    numbers = [
        field.name for field in result.schema if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
    ]
    rows = result.slice(0, SHOWN_ROWS).to_pylist()
    show(result.column_names, [[_cell(value) for value in row.values()] for row in rows], right=numbers)
    more = len(result) - len(rows)
    click.echo(f"({count(len(result))} rows{f', {count(more)} not shown' if more else ''})", err=True)


def _cell(value: object) -> object:
    if hasattr(value, "strftime"):
        return str(value).replace("+00:00", "Z")
    return value


@click.command()
@data_option
@since_option
@json_option
def audit(data: Path, since: str | None, *, as_json: bool) -> int:
    """Recompute every row from the capture log and compare it with the tables.

    Exit 0: all is as it must be. 1: rows are missing, doubled, altered or nobody's. 2: nothing could be verified.
    """
    folder = app.DataFolder.existing(data)
    report = app.audit(folder, since_us(since))
    if as_json:
        print_json(report.as_dict())
    else:
        names = ("captures", "rows_expected", "rows_found", "missing", "duplicated", "unexpected", "altered")
        more = ("pending", "unverifiable", "restored")
        show(
            ("", "count"),
            [(name.replace("_", " "), count(getattr(report, name))) for name in (*names, *more)],
            right=["count"],
        )
        for table, faults in report.faults_by_table.items():
            click.echo(f"{table}: " + ", ".join(f"{number:,} {fault}" for fault, number in faults.items()))
        word = "[green]ok[/]: the tables hold exactly what the log says" if report.ok else "[red]not ok[/]"
        console().print(word if report.captures else "nothing could be verified")
    if report.captures == 0 and report.faults == 0:
        return NOTHING_VERIFIED
    return 0 if report.ok else 1
