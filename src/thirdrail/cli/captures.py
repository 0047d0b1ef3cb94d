"""``captures``: what the log holds."""

import re
from pathlib import Path

import click
import msgspec

from thirdrail import app
from thirdrail.capturelog.spool import PARTITION, Spool
from thirdrail.cli.options import config_option, data_option, json_option, since_option, since_us
from thirdrail.cli.output import count, iso, new_york, print_json, show, size, utc
from thirdrail.config import load
from thirdrail.decode.gtfs_realtime import decode
from thirdrail.errors import UsageError
from thirdrail.model.records import Entry, Poll
from thirdrail.observe.clock import SystemClock
from thirdrail.sources.recordings import as_text

PAGE = 1_000


@click.group()
def captures() -> None:
    """Look into the capture log: what was fetched, byte for byte."""


def _log(data: Path) -> Spool:
    return Spool.open(app.DataFolder.existing(data).spool, SystemClock(), writable=False)


@captures.command("list")
@click.option("--feed", "feed_id", metavar="ID", help="Of this feed alone.")
@click.option("--limit", default=20, show_default=True, help="The newest so many.")
@data_option
@json_option
def list_(feed_id: str | None, limit: int, data: Path, *, as_json: bool) -> int:
    """List captures, newest first."""
    log = _log(data)
    found: list[Entry] = []
    end = log.end(PARTITION)
    while end > log.first(PARTITION) and len(found) < limit:
        start = max(log.first(PARTITION), end - PAGE)
        page = [e for e in log.headers(start, PAGE) if e.offset < end and _matches(e, feed_id)]
        found += page[::-1]
        end = start
    found = found[:limit]
    if as_json:
        print_json([{"offset": entry.offset, **msgspec.to_builtins(entry.record)} for entry in found])
        return 0
    rows = []
    for entry in found:
        poll = entry.record
        if isinstance(poll, Poll):
            outcome = poll.outcome if poll.duplicate_of is None else f"same as {poll.duplicate_of}"
            body = "" if poll.body_bytes is None else size(poll.body_bytes)
            rows.append(
                (
                    entry.offset,
                    poll.feed_id,
                    utc(poll.fetched_at),
                    new_york(poll.fetched_at),
                    outcome,
                    body,
                    poll.origin,
                )
            )
        else:
            rows.append((entry.offset, f"({msgspec.to_builtins(poll)['type']})", "", "", "", "", ""))
    show(("offset", "feed", "fetched (UTC)", "New York", "outcome", "body", "origin"), rows, right=["offset", "body"])
    return 0


def _matches(entry: Entry, feed_id: str | None) -> bool:
    return feed_id is None or (isinstance(entry.record, Poll) and entry.record.feed_id == feed_id)


@captures.command("show")
@click.argument("offset", type=int)
@data_option
@json_option
def show_(offset: int, data: Path, *, as_json: bool) -> int:
    """Show one record, and what its body holds."""
    entry = _log(data).entry(offset)
    facts = {"offset": entry.offset, **msgspec.to_builtins(entry.record)}
    if entry.body is not None:
        decoded = decode([entry.body])
        if decoded.failed:
            facts["decodes"] = decoded.failed[0]
        else:
            header = decoded.headers.to_pylist()[0]
            stamp = header["timestamp"]
            facts["header_timestamp"] = iso(stamp * 1_000_000) if stamp else None
            facts["entities"] = len(decoded.entities)
            facts["trip_updates"] = len(decoded.trip_updates)
            facts["stop_time_updates"] = len(decoded.stop_time_updates)
            facts["vehicle_positions"] = len(decoded.vehicle_positions)
            facts["bad_entities"] = len(decoded.bad_entities)
    if as_json:
        print_json(facts)
    else:
        for name in ("fetched_at", "received_at", "ordered_at", "rejected_at"):
            if isinstance(facts.get(name), int):
                facts[name] = f"{utc(facts[name])} ({new_york(facts[name])} New York)"
        show(("", ""), [(name, value) for name, value in facts.items() if value not in (None, "")])
    return 0


@captures.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--feed", "feed_id", metavar="ID", help="Of this feed alone.")
@since_option
@click.option("--until", metavar="T", help="Fetched before this time.")
@data_option
def export(directory: Path, feed_id: str | None, since: str | None, until: str | None, data: Path) -> int:
    """Write bodies to files that `replay` reads back; the names carry feed, offset and time."""
    log = _log(data)
    low, high = since_us(since), since_us(until)
    if directory.is_file():
        raise UsageError(f"{directory} is a file")
    directory.mkdir(parents=True, exist_ok=True)
    position, written = log.first(PARTITION), 0
    while entries := log.read(PARTITION, position, PAGE, 32 << 20):
        for entry in entries:
            poll = entry.record
            if (
                not isinstance(poll, Poll)
                or entry.body is None
                or poll.duplicate_of is not None
                or not _matches(entry, feed_id)
            ):
                continue
            if (low is not None and poll.fetched_at < low) or (high is not None and poll.fetched_at >= high):
                continue
            feed_name = re.sub(r"[^A-Za-z0-9_-]", "_", poll.feed_id)
            (directory / f"{feed_name}.{entry.offset:012d}.{as_text(poll.fetched_at)}.pb").write_bytes(entry.body)
            written += 1
        position = entries[-1].offset + 1
    click.echo(f"{count(written)} bodies written to {directory}")
    return 0


@captures.command()
@data_option
@config_option
def skip(data: Path, config_path: Path | None) -> int:
    """Let the log go on a million offsets above everything that the tables have seen.

    For when the log was lost or restored from an older copy, or no longer holds what a table wants: no offset is
    ever given twice, and what is lost is said.
    """
    ahead, gaps = app.skip_ahead(data, load(config_path))
    click.echo(f"the log goes on at offset {ahead:,}")
    for table, (start, end) in gaps.items():
        click.echo(f"{table} goes on at {end:,}: captures {start:,} to {end - 1:,} are lost to it")
    return 0
