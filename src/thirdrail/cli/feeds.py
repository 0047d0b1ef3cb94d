"""``feeds``: what there is to take in, and whether it answers."""

import os
from pathlib import Path

import click

from thirdrail.app.checking import Check, check
from thirdrail.cli.options import config_option, json_option
from thirdrail.cli.output import count, facts, print_json, show, size
from thirdrail.config.feeds import feed_of, known_feeds, polled, why_left_out
from thirdrail.config.reading import load
from thirdrail.config.settings import Config
from thirdrail.model.feeds import Feed
from thirdrail.model.rules import BY_ID as RULES
from thirdrail.observe.clock import SystemClock

_ADVICE = {
    "network": "the network is at fault: the server was not reached",
    "key": "the key is at fault",
    "clock": "this machine's clock is at fault",
    "feed": "the feed is at fault: the server was reached and did not give a good message",
}


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def feeds(context: click.Context, *, as_json: bool) -> int:
    """List the feeds, or ask one and explain the answer."""
    return 0 if context.invoked_subcommand else _list_feeds(Config(), as_json=as_json)


@feeds.command("list")
@config_option
@json_option
def list_(config_path: Path | None, *, as_json: bool) -> int:
    """List every declared feed: how often it is asked, and why some are off."""
    return _list_feeds(load(config_path), as_json=as_json)


def _list_feeds(config: Config, *, as_json: bool) -> int:
    on = {each.id for each in polled(config, environment=os.environ)}
    configured = known_feeds(config).values()
    if as_json:
        print_json([_as_json(each, config, is_on=each.id in on) for each in configured])
        return 0
    rows = [
        (
            each.id,
            f"{each.interval_seconds:g} s" if each.id in on else "off",
            f"{each.meaning}{_why_off(each, config, on)}",
        )
        for each in configured
    ]
    show(("feed", "asked every", "what it carries"), rows, right=["asked every"], prose=["what it carries"])
    return 0


def _why_off(each: Feed, config: Config, on: set[str]) -> str:
    reason = "" if each.id in on else why_left_out(each, config, os.environ)
    return f" ({reason})" if reason else ""


def _as_json(each: Feed, config: Config, *, is_on: bool) -> dict[str, object]:
    return {
        "id": each.id,
        "family": each.family,
        "url": each.url,
        "meaning": each.meaning,
        "format": each.format,
        "interval_seconds": each.interval_seconds,
        "key_env": each.key_env or None,
        "static_gtfs": each.static_gtfs or None,
        "on": is_on,
        "why_off": None if is_on else why_left_out(each, config, os.environ) or None,
    }


@feeds.command("check")
@click.argument("feed_id", required=False, metavar="[ID]")
@config_option
@json_option
def check_(feed_id: str | None, config_path: Path | None, *, as_json: bool) -> int:
    """Ask a feed once, or every feed, and explain the answer; nothing is kept.

    Tells whether the network, a key, the clock or the feed is at fault. Exit code 1 when one is.
    """
    config = load(config_path)
    wanted = polled(config, environment=os.environ) if feed_id is None else (feed_of(config, feed_id),)
    found = check(wanted, config, SystemClock(), os.environ)
    if as_json:
        print_json(found if feed_id is None else found[0])
    elif feed_id is None:
        _show_all(found)
    else:
        _show_one(found[0], wanted[0])
    return 1 if any(each.fault for each in found) else 0


def _show_all(found: list[Check]) -> None:
    rows = [
        (each.feed, each.outcome, _age(each), count(each.entities), count(sum(each.rows.values())), _verdict(each))
        for each in found
    ]
    show(
        ("feed", "outcome", "header age", "entities", "rows", "verdict"),
        rows,
        right=["header age", "entities", "rows"],
        spare=("rows", "entities"),
        prose=["verdict"],
    )


def _show_one(found: Check, declared: Feed) -> None:
    rows: list[tuple[str, object]] = [("asked", found.url), ("outcome", found.outcome)]
    if found.http_status is not None:
        rows.append(("answer", f"status {found.http_status} after {found.duration_ms:,} ms"))
    if found.body_bytes is not None:
        wire = f", {size(found.wire_bytes)} on the wire" if found.wire_bytes is not None else ""
        rows.append(("size", f"{size(found.body_bytes)}{wire}"))
    if found.header_age_s is not None:
        rows.append(("header age", _age(found)))
    if found.clock_offset_s is not None and abs(found.clock_offset_s) > 1:
        side = "ahead of" if found.clock_offset_s > 0 else "behind"
        rows.append(("clock", f"this machine's is {abs(found.clock_offset_s):,.0f} s {side} the server's"))
    if found.entities is not None:
        carried = ", ".join(f"{number:,} {table}" for table, number in found.rows.items() if number)
        rows += [("entities", count(found.entities)), ("rows", carried or "none")]
        rows.append(("refused", f"{found.quarantined:,} would go to quarantine"))
        for rule, number in found.findings.items():
            rows.append((f"rule {rule}", f"{number:,} × {RULES[rule].meaning}" if rule in RULES else count(number)))
    if declared.is_whole_fleet:
        rows.append(("note", "one line was asked for: the whole fleet may be asked once in 30 s"))
    rows.append(("verdict", _verdict(found)))
    facts(rows)


def _age(found: Check) -> str:
    return "" if found.header_age_s is None else f"{found.header_age_s:,.0f} s"


def _verdict(found: Check) -> str:
    if not found.fault:
        return "well"
    detail = f" ({found.detail})" if found.detail else ""
    return f"{_ADVICE[found.fault]}{detail}"
