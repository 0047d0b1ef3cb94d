"""``quarantine``: what was refused, and having it judged again."""

from pathlib import Path

import click
import pyarrow as pa
import pyarrow.compute as pc

from thirdrail import app
from thirdrail.cli.options import config_option, data_option, json_option, since_option, since_us
from thirdrail.cli.output import count, print_json, show
from thirdrail.config import load
from thirdrail.errors import NoInput, UsageError
from thirdrail.model.tables import QUARANTINE


@click.group()
def quarantine() -> None:
    """Look at what was refused, and have it judged again."""


def _rows(data: Path, feed_id: str | None = None, rule: str | None = None, since: int | None = None) -> pa.Table:
    """Give the refusals that no replay order has settled, newest last."""
    pinned = app.pinned(app.DataFolder.existing(data), QUARANTINE)
    rows = pa.concat_tables([QUARANTINE.arrow_schema.empty_table(), *pinned.scan(QUARANTINE.names(), None, None)])
    settled = rows.filter(pc.is_valid(rows.column("restored_by_offset"))).column("quarantine_id")
    rows = rows.filter(pc.is_null(rows.column("restored_by_offset")))
    rows = rows.filter(pc.invert(pc.is_in(rows.column("quarantine_id"), value_set=settled.combine_chunks())))
    if feed_id is not None:
        rows = rows.filter(pc.equal(rows.column("feed_id"), feed_id))
    if rule is not None:
        rows = rows.filter(pc.equal(rows.column("primary_rule_id"), rule))
    if since is not None:
        rows = rows.filter(pc.greater_equal(rows.column("fetched_at").cast(pa.int64()), since))
    return rows.sort_by("capture_offset")


@quarantine.command("list")
@click.option("--rule", metavar="ID", help="Refused by this rule.")
@click.option("--feed", "feed_id", metavar="ID", help="Of this feed.")
@since_option
@click.option("--limit", default=50, show_default=True)
@data_option
@json_option
def list_(rule: str | None, feed_id: str | None, since: str | None, limit: int, data: Path, *, as_json: bool) -> int:
    """List what was refused and is not settled, newest first."""
    rows = _rows(data, feed_id, rule, since_us(since)).to_pylist()[::-1]
    if as_json:
        print_json([_for_json(row) for row in rows[:limit]])
        return 0
    shown = [
        (
            row["quarantine_id"],
            row["primary_rule_id"],
            row["target_table"] or row["level"],
            row["row_key"] or "",
            row["reason"],
        )
        for row in rows[:limit]
    ]
    if not rows:
        click.echo("nothing is in quarantine")
        return 0
    show(("id", "rule", "of", "key", "reason"), shown)
    click.echo(f"({count(len(shown))} of {count(len(rows))})", err=True)
    return 0


def _for_json(row: dict[str, object]) -> dict[str, object]:
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in row.items()}


@quarantine.command("show")
@click.argument("quarantine_id")
@data_option
@json_option
def show_(quarantine_id: str, data: Path, *, as_json: bool) -> int:
    """Show one refusal whole."""
    found = [row for row in _rows(data).to_pylist() if row["quarantine_id"] == quarantine_id]
    if not found:
        raise NoInput(
            f"nothing in quarantine has the id {quarantine_id!r}", hint="thirdrail quarantine list shows them"
        )
    if as_json:
        print_json(_for_json(found[-1]))
    else:
        show(("", ""), [(name, value) for name, value in found[-1].items() if value is not None])
    return 0


@quarantine.command()
@click.argument("quarantine_ids", nargs=-1)
@click.option("--rule", metavar="ID", help="Everything that this rule refused.")
@data_option
@config_option
def replay(quarantine_ids: tuple[str, ...], rule: str | None, data: Path, config_path: Path | None) -> int:
    """Judge refused rows again under today's rules; those that pass now enter the tables as `restored`."""
    if not quarantine_ids and rule is None:
        raise UsageError("nothing was named", hint="give ids, or --rule")
    chosen = list(quarantine_ids)
    if rule is not None:
        chosen += [row["quarantine_id"] for row in _rows(data, rule=rule).to_pylist()]
    if not chosen:
        click.echo("nothing in quarantine fits")
        return 0
    with app.writing(data, load(config_path)) as work:
        totals = app.order_replay(work, chosen)
    settled = totals.written.get(QUARANTINE.name, 0)
    rows = sum(number for name, number in totals.written.items() if name != QUARANTINE.name)
    click.echo(f"{count(len(chosen))} judged again: {count(settled)} pass now and gave {count(rows)} rows")
    return 0
