"""``maintain``: care for the tables by hand, beside a run or without one."""

from dataclasses import fields
from pathlib import Path

import click

from thirdrail import app
from thirdrail.app.caring import care_for
from thirdrail.cli.look import table_of
from thirdrail.cli.options import config_option, data_option, json_option
from thirdrail.cli.output import count, print_json, progress_bar, show, size
from thirdrail.config.reading import load
from thirdrail.maintenance.care import Report
from thirdrail.model.tables import ALL_TABLES
from thirdrail.observe.clock import SystemClock


@click.command()
@click.option("--table", "name", metavar="T", help="One table alone.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@data_option
@config_option
@json_option
def maintain(name: str | None, data: Path, config_path: Path | None, *, dry_run: bool, as_json: bool) -> int:
    """Merge small files, drop days and snapshots that are not kept, delete what nothing names and nobody waits for.

    `run` does the same by itself every five minutes; both may happen at once, and beside readers.
    """
    folder = app.DataFolder.existing(data)
    tables = ALL_TABLES if name is None else (table_of(name),)
    reports = []
    with progress_bar() as progress:
        task = progress.add_task("caring", total=len(tables))
        for report in care_for(folder, load(config_path), SystemClock(), tables, dry_run=dry_run):
            reports.append(report)
            progress.advance(task)
    if as_json:
        print_json([_facts(report) for report in reports])
    else:
        heads = ("files", "merged", "into", "rows", "days dropped", "expired", "deleted", "freed", "waiting")
        spare = ("waiting", "rows", "days dropped", "expired")
        show(("table", *heads, "trouble"), [_row(report) for report in reports], right=heads, spare=spare)
        if dry_run:
            click.echo("nothing was done: --dry-run")
    return 1 if any(report.trouble for report in reports) else 0


def _facts(report: Report) -> dict[str, object]:
    return {field.name: getattr(report, field.name) for field in fields(report) if field.name != "replaced"}


def _row(report: Report) -> tuple[str, ...]:
    numbers = (
        report.files,
        report.merged,
        report.into,
        report.rows,
        report.dropped_days,
        report.expired,
        report.deleted,
    )
    return (
        report.table,
        *(count(number) for number in numbers),
        size(report.deleted_bytes),
        count(report.waiting),
        report.trouble,
    )
