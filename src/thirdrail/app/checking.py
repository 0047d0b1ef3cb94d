"""`feeds check`: one poll of a feed, carried through decode, normalise and gate in memory, and explained."""

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from thirdrail.capturelog.memory import MemoryLog
from thirdrail.config.settings import Config
from thirdrail.model.feeds import BY_ID, Feed
from thirdrail.model.ports import Clock
from thirdrail.model.records import Poll, Settings
from thirdrail.model.rules import BY_ID as RULES
from thirdrail.model.tables import FEED_MESSAGES, PICTURE_TABLES, QUARANTINE
from thirdrail.pipeline.processor import Processor
from thirdrail.pipeline.transform import Rows
from thirdrail.sources.answers import HTTP_ERROR, NETWORK_ERROR, OK, Answer, judged
from thirdrail.sources.http import HttpFetcher

_PARTITION = "0"
_CLOCK_OFF_S = 60
_ONE_LINE = "MTA%20NYCT_M15"


class Check(msgspec.Struct, kw_only=True):
    """What one poll of a feed gave. Ages in seconds, sizes in bytes; ``fault`` names who is at fault, if anybody."""

    feed: str
    url: str
    outcome: str
    fault: str = ""
    detail: str = ""
    http_status: int | None = None
    duration_ms: int = 0
    body_bytes: int | None = None
    wire_bytes: int | None = None
    header_age_s: float | None = None
    clock_offset_s: float | None = None
    entities: int | None = None
    rows: dict[str, int] = {}
    quarantined: int = 0
    findings: dict[str, int] = {}


def check(feeds: Sequence[Feed], config: Config, clock: Clock, environment: Mapping[str, str]) -> list[Check]:
    """Poll each feed once, side by side; blocks until all have answered or failed."""
    feeds = [_narrowed(feed) for feed in feeds]

    async def ask() -> list[tuple[Feed, str, Answer]]:
        async with HttpFetcher.open(clock, config.poller, trust_environment=True) as fetcher:
            keys = [environment.get(feed.key_env, "") if feed.key_env else "" for feed in feeds]
            asked = (fetcher.fetch(feed, key) for feed, key in zip(feeds, keys, strict=True))
            return list(zip(feeds, keys, await asyncio.gather(*asked), strict=True))

    return [_explained(feed, key, answer, config) for feed, key, answer in asyncio.run(ask())]


def _narrowed(feed: Feed) -> Feed:
    """Give the feed; in place of SIRI's whole fleet, which may be asked once in 30 s, one line of it."""
    joint = "&" if "?" in feed.url else "?"
    return msgspec.structs.replace(feed, url=f"{feed.url}{joint}LineRef={_ONE_LINE}") if feed.is_whole_fleet else feed


def _explained(feed: Feed, key: str, answer: Answer, config: Config) -> Check:
    poll, body = judged(feed, answer, attempt=1, key=key)
    found = Check(
        feed=feed.id,
        url=poll.source_url,
        outcome=poll.outcome,
        detail=poll.error_detail or "",
        http_status=poll.http_status,
        duration_ms=answer.duration_ms,
        body_bytes=None if body is None else len(body),
        wire_bytes=poll.wire_bytes,
    )
    if answer.date_us is not None:
        found.clock_offset_s = (answer.received_at - answer.date_us) / 1e6
    if body is not None:
        _judge(found, feed, poll, body, config)
    found.fault = _fault(found, feed)
    return found


def _judge(found: Check, feed: Feed, poll: Poll, body: bytes, config: Config) -> None:
    """Carry the body through the pipeline's own functions and note what the gate would do."""
    log, rows = MemoryLog(), Rows()
    settings = Settings(severities={name: dict(actions) for name, actions in config.severities.items()})
    log.append(_PARTITION, [(settings, None), (poll, body)])
    Processor(log, _PARTITION, 0, BY_ID | {feed.id: feed}).process(log.read(_PARTITION, 0, 2), rows)
    (message,) = rows.tables[FEED_MESSAGES.name][0].to_pylist()
    found.outcome = message["outcome"]
    found.detail = found.detail or message["error_detail"] or ""
    found.entities = message["entity_count"]
    if message["feed_timestamp"] is not None:
        found.header_age_s = (poll.fetched_at / 1e6) - message["feed_timestamp"].timestamp()
    found.rows = {table.name: sum(map(len, rows.tables.get(table.name, []))) for table in PICTURE_TABLES}
    found.quarantined = sum(map(len, rows.tables.get(QUARANTINE.name, [])))
    found.findings = _findings(message)


def _findings(message: Mapping[str, object]) -> dict[str, int]:
    """Give rule → rows, from ``RULE=rows``."""
    pairs = (text.rpartition("=") for text in message["rule_counts"] or [])  # type: ignore[attr-defined]
    return {rule: int(number) for rule, _, number in pairs}


def _fault(found: Check, feed: Feed) -> str:
    """Give who or what is at fault, in plain words; empty when all is well."""
    if found.outcome == NETWORK_ERROR:
        return "network"
    if found.outcome == HTTP_ERROR:
        is_refused = found.http_status in (401, 403) and "no feed at this path" not in found.detail
        return "key" if is_refused and feed.key_env else "feed"
    if found.clock_offset_s is not None and abs(found.clock_offset_s) > _CLOCK_OFF_S:
        return "clock"
    return "" if found.outcome == OK else "feed"


def meaning(rule_id: str) -> str:
    """Give what a rule finds."""
    return RULES[rule_id].meaning if rule_id in RULES else ""
