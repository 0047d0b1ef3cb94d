"""Captures → rows of ``feed_messages``: one per poll, whatever came of it."""

from dataclasses import dataclass, field
from typing import Protocol

import polars as pl
import pyarrow as pa

from thirdrail.model.records import Poll, Settings
from thirdrail.model.rules import FLAG, REJECT, action, rule_ids
from thirdrail.model.tables import FEED_MESSAGES, PICTURE_TABLES
from thirdrail.quality.message_rules import Verdict

_COUNTS = tuple(
    f"{table.name}_{what}" for table in PICTURE_TABLES for what in ("passed", "quarantined", "written", "removed")
)
_FROM_POLL = (
    "source_url",
    "received_at",
    "http_status",
    "error_class",
    "error_detail",
    "content_type",
    "content_encoding",
    "body_bytes",
    "wire_bytes",
    "body_sha256",
    "fetch_duration_ms",
    "attempt",
)
_FROM_HEADER = (
    "feed_timestamp",
    "gtfs_realtime_version",
    "incrementality",
    "feed_version",
    "entity_count",
    "trip_update_count",
    "stop_time_update_count",
    "vehicle_count",
    "alert_count",
    "other_entity_count",
)
ERROR_DETAIL_LIMIT = 500


class _Context(Protocol):
    @property
    def log_id(self) -> str: ...
    @property
    def settings(self) -> Settings: ...


@dataclass(slots=True)
class CaptureFacts:
    """What became of one poll."""

    cap: int
    offset: int
    poll: Poll
    findings: dict[str, int]
    bad_entities: int
    outcome: str = ""
    accepted: bool = False
    is_full: bool = False
    base_offset: int | None = None
    refused: int = 0
    run: int = 0
    rules: tuple[str, ...] = ()
    failure: str | None = None
    counts: dict[str, int] = field(default_factory=dict)

    def fail(self, reason: str | None) -> None:
        """Note that there is no message; ``reason`` when there was a body."""
        self.outcome = self.poll.outcome
        if reason is not None:
            self.failure, self.rules = reason, ("M009",)
            self.outcome = "decode_error" if self.poll.outcome in ("ok", "duplicate") else self.poll.outcome

    def take(self, verdict: Verdict) -> None:
        """Note the verdict on the message."""
        self.accepted, self.outcome, self.rules = verdict.accepted, verdict.outcome, verdict.rule_ids


def feed_message_rows(facts: list[CaptureFacts], messages: pl.DataFrame, context: _Context) -> pa.Table:
    """Give the rows, one per capture; a loop over captures, each of which holds thousands of rows."""
    headers = messages.select("family", "mta_version", "bits", *_FROM_HEADER).iter_rows(named=True)
    rows = [_row(fact, header, context) for fact, header in zip(facts, headers, strict=True)]
    return pa.Table.from_pylist(rows, schema=FEED_MESSAGES.arrow_schema)


def _row(fact: CaptureFacts, header: dict[str, object], context: _Context) -> dict[str, object]:
    poll, settings = fact.poll, context.settings
    findings = dict(fact.findings)
    for rule in (*fact.rules, *rule_ids(int(str(header["bits"])))):
        findings[rule] = findings.get(rule, 0) + 1
    if fact.bad_entities:
        findings["M009"] = findings.get("M009", 0) + fact.bad_entities
    actions = {rule: action(settings.severities, poll.feed_id, rule) for rule in findings}
    flags = {rule for rule in (*fact.rules, *rule_ids(int(str(header["bits"])))) if actions[rule] in (FLAG, REJECT)}
    header_at = header["feed_timestamp"]
    return {
        "feed_id": poll.feed_id,
        "capture_log": context.log_id,
        "capture_offset": fact.offset,
        "origin": poll.origin,
        "fetched_at": poll.fetched_at,
        "pipeline_version": settings.pipeline_version,
        "feed_family": header["family"],
        "outcome": fact.outcome,
        "duplicate_of_offset": poll.duplicate_of,
        "nyct_subway_version": header["mta_version"],
        "header_age_s": None if header_at is None else poll.fetched_at / 1e6 - header_at.timestamp(),  # type: ignore[attr-defined]
        "accepted": fact.accepted,
        "is_full_picture": fact.accepted and fact.is_full,
        "base_capture_offset": fact.base_offset,
        "quarantined_count": fact.refused,
        "finding_count": sum(count for rule, count in findings.items() if actions[rule] != REJECT),
        "rule_counts": [f"{rule}={count}" for rule, count in sorted(findings.items())],
        "dq_flags": sorted(flags),
        **{name: getattr(poll, name) for name in _FROM_POLL},
        **{name: header[name] for name in _FROM_HEADER},
        "error_detail": (poll.error_detail or fact.failure or "")[:ERROR_DETAIL_LIMIT] or None,
        **{name: fact.counts.get(name, 0) for name in _COUNTS},
    }
