"""``captures``: what the log holds."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click
import msgspec

from thirdrail import app
from thirdrail.capturelog.day_files import PARTITION
from thirdrail.capturelog.spool import Spool
from thirdrail.cli.options import config_option, data_option, json_option, since_option, since_us
from thirdrail.cli.output import count, facts, iso, new_york, print_json, show, size, utc
from thirdrail.config.reading import load
from thirdrail.decode.formats import DECODERS, format_name
from thirdrail.errors import UsageError
from thirdrail.model.feeds import BY_ID, feed
from thirdrail.model.records import Entry, Poll, Record
from thirdrail.observe.clock import SystemClock
from thirdrail.sources.recordings import name_for

PAGE = 1_000
INSTANTS = ("fetched_at", "received_at", "ordered_at", "rejected_at")


@click.group()
def captures() -> None:
    """Look into the capture log."""


def _log(data: Path) -> Spool:
    return Spool.open(app.DataFolder.existing(data).spool, SystemClock(), writable=False)


@captures.command("list")
@click.option("--feed", "feed_id", metavar="ID", help="Of this feed alone.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="The newest so many.")
@data_option
@json_option
def list_(feed_id: str | None, limit: int, data: Path, *, as_json: bool) -> int:
    """List captures, newest first."""
    wanted = None if feed_id is None else feed(feed_id).id
    found = list(islice(_newest_first(_log(data), wanted), limit))
    if as_json:
        print_json([{"offset": entry.offset, **_facts(entry.record)} for entry in found])
        return 0
    show(
        ("offset", "feed", "fetched (UTC)", "New York", "outcome", "body", "origin"),
        [_listed(entry) for entry in found],
        right=["offset", "body"],
        spare=("origin", "New York", "body"),
    )
    return 0


def _newest_first(log: Spool, feed_id: str | None) -> Iterator[Entry]:
    """Give the log's records without bodies, a page at a time, from its end."""
    first, end = log.first(PARTITION), log.end(PARTITION)
    while end > first:
        start = max(first, end - PAGE)
        page = [entry for entry in log.headers(start, PAGE) if entry.offset < end]
        yield from (entry for entry in reversed(page) if _matches(entry, feed_id))
        end = start


def _matches(entry: Entry, feed_id: str | None) -> bool:
    return feed_id is None or (isinstance(entry.record, Poll) and entry.record.feed_id == feed_id)


def _listed(entry: Entry) -> tuple[str, ...]:
    poll = entry.record
    if not isinstance(poll, Poll):
        return (str(entry.offset), f"({_facts(poll)['type']})", "", "", "", "", "")
    outcome = poll.outcome if poll.duplicate_of is None else f"same as {poll.duplicate_of}"
    body = "" if poll.body_bytes is None else size(poll.body_bytes)
    at = poll.fetched_at
    return (str(entry.offset), poll.feed_id, utc(at), new_york(at), outcome, body, poll.origin)


def _facts(record: Record) -> dict[str, object]:
    """Give a record's fields, instants as ISO 8601; of a poll also those at their default."""
    fields: dict[str, object] = msgspec.to_builtins(record)
    if isinstance(record, Poll):
        fields |= msgspec.structs.asdict(record)
    return {
        name: iso(value) if isinstance(value, int) and name in INSTANTS else value for name, value in fields.items()
    }


@captures.command("show")
@click.argument("offset", type=int)
@data_option
@json_option
def show_(offset: int, data: Path, *, as_json: bool) -> int:
    """Show one record, and what its body holds."""
    entry = _log(data).entry(offset)
    known = {"offset": entry.offset, **_facts(entry.record)}
    if entry.body is not None:
        known |= _held(getattr(entry.record, "feed_id", ""), entry.body)
    if as_json:
        print_json(known)
        return 0
    for name in INSTANTS:
        at = getattr(entry.record, name, None)
        if isinstance(at, int):
            known[name] = f"{utc(at)}, {new_york(at)} in New York"
    facts(
        (name, count(value) if isinstance(value, int) and not isinstance(value, bool) else value)
        for name, value in known.items()
        if value not in (None, "")
    )
    return 0


def _held(feed_id: str, body: bytes) -> dict[str, object]:
    """Give what a body decodes to, in numbers."""
    decoded = DECODERS[format_name(BY_ID.get(feed_id))].decode([body])
    if decoded.failed:
        return {"decodes": f"no: {decoded.failed[0]}"}
    stamps = decoded.headers.column("timestamp") if "timestamp" in decoded.headers.column_names else [None]
    stamp = stamps[0].as_py() if stamps[0] is not None else None
    return {
        "decodes": "yes" if not decoded.bad_entities else "in part",
        "header_timestamp": iso(stamp * 1_000_000) if stamp else None,
        "entities": len(decoded.entities),
        **{name: len(table) for name, table in decoded.tables.items() if len(table)},
        "bad_entities": len(decoded.bad_entities),
    }


@captures.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--feed", "feed_id", metavar="ID", help="Of this feed alone.")
@since_option
@click.option("--until", metavar="T", help="Fetched before this time.")
@data_option
def export(directory: Path, feed_id: str | None, since: str | None, until: str | None, data: Path) -> int:
    """Write bodies to files that `replay` reads back.

    The names carry feed, offset and time of fetching.
    """
    wanted = None if feed_id is None else feed(feed_id).id
    low, high = since_us(since), since_us(until)
    log = _log(data)
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory} is a file, not a folder")
    directory.mkdir(parents=True, exist_ok=True)
    position, written = log.first(PARTITION), 0
    while entries := log.read(PARTITION, position, PAGE, 32 << 20):
        for entry in entries:
            poll, body = entry.record, entry.body
            if not isinstance(poll, Poll) or body is None or poll.duplicate_of is not None:
                continue
            is_inside = (low is None or poll.fetched_at >= low) and (high is None or poll.fetched_at < high)
            if is_inside and _matches(entry, wanted):
                (directory / name_for(poll.feed_id, entry.offset, poll.fetched_at)).write_bytes(body)
                written += 1
        position = entries[-1].offset + 1
    click.echo(f"{count(written)} {'body' if written == 1 else 'bodies'} written to {directory}")
    return 0


@captures.command()
@data_option
@config_option
def skip(data: Path, config_path: Path | None) -> int:
    """Let the log go on a million offsets higher.

    That is above everything that the tables have seen. For when the log was lost or restored from an older copy,
    or no longer holds what a table wants; the error then names this command. No offset is ever given twice, no
    row is touched, and what is lost is said. Snowflake's tables, when they are a sink, go on with what the log holds
    when they are opened next. Otherwise there is no need: the log goes on by itself.
    """
    config = load(config_path)
    ahead, gaps = app.skip_ahead(data, config)
    click.echo(f"the log goes on at offset {ahead:,}")
    for table, (start, end) in ((table, span) for table, spans in gaps.items() for span in spans):
        click.echo(f"{table} goes on at {end:,}: captures {start:,} to {end - 1:,} are lost to it")
    if "snowflake" in config.sinks:
        click.echo("Snowflake's tables go on with what the log holds: what they lack of captures below is lost to them")
    return 0
