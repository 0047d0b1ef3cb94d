"""``quarantine``: what was refused, and having it judged again."""

from datetime import datetime
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.compute as pc

from thirdrail import app
from thirdrail.app.data_folder import LIVE, SIMULATED
from thirdrail.cli.options import config_option, data_option, json_option, since_option, since_us
from thirdrail.cli.output import count, counted, facts, new_york, print_json, show, utc
from thirdrail.config.reading import load
from thirdrail.errors import NoInput, UsageError
from thirdrail.model.feeds import feed
from thirdrail.model.rules import BY_ID as RULES
from thirdrail.model.tables import QUARANTINE
from thirdrail.pipeline.orders import REJECTED


@click.group()
def quarantine() -> None:
    """Look at what was refused, and have it judged again."""


def _rows(data: Path, columns: list[str]) -> pa.Table:
    """Give the refusals that no replay order has settled, in order of offset, with these columns."""
    needed = list(dict.fromkeys([*columns, "quarantine_id", "restored_by_offset", "capture_offset"]))
    pinned = app.pinned(app.DataFolder.existing(data), QUARANTINE)
    empty = QUARANTINE.arrow_schema.empty_table().select(needed)
    rows = pa.concat_tables([empty, *pinned.scan(needed, None, None)])
    is_settled = pc.is_valid(rows.column("restored_by_offset"))
    settled = rows.filter(is_settled).column("quarantine_id").combine_chunks()
    is_open = pc.and_not(pc.invert(is_settled), pc.is_in(rows.column("quarantine_id"), value_set=settled))
    return rows.filter(is_open).sort_by("capture_offset")


def _refused_by(rows: pa.Table, rule: str) -> pa.Table:
    """Give the rows that a rule refused, alone or among others.

    Raises:
        UsageError: there is no such rule.
    """
    if rule not in RULES:
        raise UsageError(f"no rule is called {rule!r}", hint=f"rules: {', '.join(RULES)}")
    lists = rows.column("rule_ids").combine_chunks()
    hits = pc.list_parent_indices(lists).filter(pc.equal(pc.list_flatten(lists), rule))
    return rows.take(pc.unique(hits))


@quarantine.command("list")
@click.option("--rule", metavar="ID", help="Refused by this rule.")
@click.option("--feed", "feed_id", metavar="ID", help="Of this feed.")
@since_option
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="The newest so many.")
@data_option
@json_option
def list_(rule: str | None, feed_id: str | None, since: str | None, limit: int, data: Path, *, as_json: bool) -> int:
    """List what was refused and is not settled, newest first."""
    wanted, start = None if feed_id is None else feed(feed_id).id, since_us(since)
    rows = _rows(data, [name for name in QUARANTINE.names() if name != "payload"])
    if rule is not None:
        rows = _refused_by(rows, rule)
    if wanted is not None:
        rows = rows.filter(pc.equal(rows.column("feed_id"), wanted))
    if start is not None:
        rows = rows.filter(pc.greater_equal(rows.column("fetched_at").cast(pa.int64()), start))
    newest = rows.slice(max(0, len(rows) - limit)).to_pylist()[::-1]
    if as_json:
        print_json(newest)
        return 0
    if not newest:
        click.echo("nothing that fits is in quarantine")
        return 0
    show(
        ("id", "rule", "of", "key", "reason"),
        [
            (r["quarantine_id"], r["primary_rule_id"], r["target_table"] or r["level"], r["row_key"], r["reason"])
            for r in newest
        ],
        prose=["reason"],
        spare=("key", "of"),
    )
    click.echo(f"({count(len(newest))} of {count(len(rows))})", err=True)
    return 0


@quarantine.command("show")
@click.argument("quarantine_id")
@data_option
@json_option
def show_(quarantine_id: str, data: Path, *, as_json: bool) -> int:
    """Show one refusal whole."""
    rows = _rows(data, QUARANTINE.names())
    found = rows.filter(pc.equal(rows.column("quarantine_id"), quarantine_id)).to_pylist()
    if not found:
        raise _unknown(quarantine_id)
    if as_json:
        print_json(found[-1])
    else:
        facts((name, _readable(value)) for name, value in found[-1].items() if value is not None)
    return 0


def _rejections(data: Path, quarantine_ids: tuple[str, ...], rule: str | None) -> dict[str, app.OpenRejection]:
    """Give those of the named that a sink refused and nobody has settled."""
    found = app.open_rejections(app.DataFolder.existing(data))
    return {name: each for name, each in found.items() if name in quarantine_ids or rule == REJECTED}


def _text(path: Path) -> str:
    if not path.is_file():
        raise NoInput(f"there is no file {path}")
    return path.read_text()


def _unknown(quarantine_id: str) -> NoInput:
    return NoInput(
        f"nothing in quarantine that is not settled has the id {quarantine_id!r}",
        hint="thirdrail quarantine list shows them",
    )


def _readable(value: object) -> object:
    if isinstance(value, datetime):
        at = int(value.timestamp() * 1_000_000)
        return f"{utc(at)}, {new_york(at)} in New York"
    return ", ".join(value) if isinstance(value, list) else value


@quarantine.command()
@click.argument("quarantine_ids", nargs=-1)
@click.option("--rule", metavar="ID", help="Everything that this rule refused.")
@click.option(
    "--refused",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Rows that Snowflake's error table keeps: where it did not say which of many it refused.",
)
@data_option
@config_option
def replay(
    quarantine_ids: tuple[str, ...], rule: str | None, refused: Path | None, data: Path, config_path: Path | None
) -> int:
    """Judge refused rows again under today's rules.

    Those that pass now enter the tables as `restored`. Rows that a sink refused (M039) are sent to it again, as they
    were, each once.
    """
    if not quarantine_ids and rule is None:
        raise UsageError("nothing was named", hint="give ids, or --rule")
    settings = load(config_path)
    rejections = _rejections(data, quarantine_ids, rule)
    if rejections:
        payloads = None if refused is None else _text(refused)
        with app.writing(data, settings, kinds=(LIVE, SIMULATED)) as work:
            orders = app.sent_again(work.log, rejections.values(), payloads)
            app.order_replay(work, [], orders)
        click.echo(f"{count(len(orders))} of {REJECTED}: their rows are sent again, to the sink that refused them")
    quarantine_ids = tuple(each for each in quarantine_ids if each not in rejections)
    if rejections and not quarantine_ids:
        return 0
    rows = _rows(data, ["rule_ids"])
    known = set(rows.column("quarantine_id").to_pylist())
    for each in quarantine_ids:
        if each not in known:
            raise _unknown(each)
    chosen = list(quarantine_ids)
    if rule is not None:
        chosen += _refused_by(rows, rule).column("quarantine_id").to_pylist()
    if not chosen:
        click.echo("nothing that fits is in quarantine")
        return 0
    with app.writing(data, settings, kinds=(LIVE, SIMULATED)) as work:
        totals = app.order_replay(work, list(dict.fromkeys(chosen)))
    settled = totals.written.get(QUARANTINE.name, 0)
    restored = sum(number for name, number in totals.written.items() if name != QUARANTINE.name)
    click.echo(f"{count(len(chosen))} judged again: {count(settled)} pass now and gave {counted(restored, 'row')}")
    return 0


@quarantine.command()
@click.argument("quarantine_ids", nargs=-1, required=True)
@data_option
@config_option
def accept(quarantine_ids: tuple[str, ...], data: Path, config_path: Path | None) -> int:
    """Give up rows that a sink refused (M039): it stays without them, and `audit` no longer asks.

    Nothing else can be given up: what our own rules refuse never was a row.
    """
    found = _rejections(data, quarantine_ids, None)
    for each in quarantine_ids:
        if each not in found:
            raise NoInput(
                f"no rejection that is not settled has the id {each!r}",
                hint=f"thirdrail quarantine list --rule {REJECTED}, or thirdrail snowflake status, shows them",
            )
    with app.writing(data, load(config_path), kinds=(LIVE, SIMULATED)) as work:
        app.order_replay(work, [], app.given_up(found.values()))
    click.echo(f"{count(len(found))} accepted as lost")
    return 0
