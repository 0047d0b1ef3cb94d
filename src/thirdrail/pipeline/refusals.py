"""Refused messages, entities and rows → rows of ``quarantine``.

An id is the place of what was refused (``log/offset/table/entity/place``), so the same refusal always has
the same id and a replay order can find it again without a look-up.
"""

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import polars as pl
import pyarrow as pa

from thirdrail.model.records import Poll
from thirdrail.model.rules import BY_ID, REJECT, action, rule_ids
from thirdrail.model.tables import BY_NAME, PICTURE_TABLES, QUARANTINE, TRIP_REPLACEMENT_PERIODS
from thirdrail.normalise.rows import Raw

PAYLOAD_LIMIT = 16_384
_WHOLE = "-"
_ALWAYS_LISTED = "stop_time_updates"
_TRIP_KEY = ("start_date", "trip_id", "train_id", "stop_id", "vehicle_id")
_OTHER_KEYS = ("entity_id", "route_id", "stop_id", "equipment_id", "vehicle_ref", "situation_number")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing refused; ``table`` None for a message or an entity that did not parse."""

    cap: int
    level: str
    rules: tuple[str, ...]
    payload: str
    payload_format: str
    reason: str = ""
    table: str | None = None
    entity_ordinal: int | None = None
    place: int | None = None
    entity_id: str | None = None
    row_key: str | None = None

    def content(self) -> tuple[object, ...]:
        """What change keeping compares: everything but the place in the message."""
        return (self.level, self.table, self.rules, self.row_key, self.payload)


def quarantine_id(log_id: str, offset: int, table: str | None, ordinal: int | None, place: int | None) -> str:
    """Give the id of a place."""
    parts = (table, ordinal, place)
    return "/".join([log_id, str(offset), *(_WHOLE if part is None else str(part) for part in parts)])


def parse_quarantine_id(text: str) -> tuple[str, int, str | None, int | None, int | None]:
    """Give log id, offset, table, entity ordinal and place of an id.

    Raises:
        ValueError: the text is no such id.
    """
    log_id, offset, table, ordinal, place = text.split("/")
    number = [None if part == _WHOLE else int(part) for part in (ordinal, place)]
    return log_id, int(offset), None if table == _WHOLE else table, number[0], number[1]


def unparsed(cap: int, ordinal: int | None, data: bytes, reason: str) -> Refusal:
    """Give the refusal (M009) of a message (``ordinal`` None) or of one entity, with its bytes."""
    return Refusal(
        cap=cap,
        level="message" if ordinal is None else "entity",
        rules=("M009",),
        payload=b64encode(data[: PAYLOAD_LIMIT * 3 // 4]).decode(),
        payload_format="base64",
        reason=reason,
        entity_ordinal=ordinal,
    )


def refused_rows(
    raw: Raw, refused: dict[str, pl.DataFrame], severities: dict[str, dict[str, str]], feed_ids: list[str]
) -> list[Refusal]:
    """Give one refusal per refused row; a refused parent takes its parts along in its payload.

    Loops over refused rows alone.
    """
    found: list[Refusal] = []
    for name, frame in refused.items():
        if frame.is_empty():
            continue
        parent = BY_NAME[name].parent
        gone = set(refused[parent]["row"]) if parent else set()
        sent = raw.tables[name][frame["row"]]
        for judged, row in zip(frame.iter_rows(named=True), sent.iter_rows(named=True), strict=True):
            if parent and row["parent"] in gone:
                continue
            rules = [
                rule for rule in rule_ids(judged["bits"]) if action(severities, feed_ids[judged["cap"]], rule) == REJECT
            ]
            found.append(_refused_row(name, judged, row, tuple(rules), raw))
    return found


def _refused_row(
    name: str, judged: dict[str, int], row: dict[str, object], rules: tuple[str, ...], raw: Raw
) -> Refusal:
    table = BY_NAME[name]
    payload = _sent(row)
    for part in PICTURE_TABLES:
        if part.parent == name and part.name in raw.tables:
            listed = raw.tables[part.name].filter(pl.col("parent") == judged["row"])
            if len(listed) or part.name == _ALWAYS_LISTED:
                payload[part.name] = [_sent(each) for each in listed.iter_rows(named=True)]
    is_row = bool(table.parent) or table is TRIP_REPLACEMENT_PERIODS
    return Refusal(
        cap=judged["cap"],
        level="row" if is_row else "entity",
        rules=rules,
        payload=msgspec.json.encode(payload).decode(),
        payload_format="json",
        reason="; ".join(BY_ID[rule].meaning for rule in rules),
        table=name,
        entity_ordinal=row["entity_ordinal"],  # type: ignore[arg-type]
        place=row.get(table.place),  # type: ignore[arg-type]
        entity_id=row.get("entity_id"),  # type: ignore[arg-type]
        row_key="|".join(str(row.get(key) or "") for key in _named_by(row)),
    )


def _sent(row: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in row.items() if value is not None and key not in ("message_index", "parent")}


def _named_by(row: dict[str, object]) -> tuple[str, ...]:
    """Give the fields by which a person knows the row."""
    return _TRIP_KEY if "trip_id" in row and "start_date" in row else tuple(key for key in _OTHER_KEYS if key in row)


def quarantine_rows(
    refusals: Iterable[Refusal],
    polls: list[tuple[int, Poll]],
    header_times: list[object],
    log_id: str,
    version: int,
    restored_by: int | None = None,
) -> pa.Table:
    """Give the rows of ``quarantine``; ``polls`` and ``header_times`` are indexed by ``cap``."""
    rows = [
        _row(refusal, *polls[refusal.cap], header_times[refusal.cap], log_id, version, restored_by)
        for refusal in refusals
    ]
    return pa.Table.from_pylist(rows, schema=QUARANTINE.arrow_schema)


def _row(
    refusal: Refusal, offset: int, poll: Poll, header_at: object, log_id: str, version: int, restored_by: int | None
) -> dict[str, object]:
    place = (refusal.table, refusal.entity_ordinal, refusal.place)
    return {
        "feed_id": poll.feed_id,
        "capture_log": log_id,
        "capture_offset": offset,
        "origin": poll.origin,
        "fetched_at": poll.fetched_at,
        "feed_timestamp": header_at,
        "pipeline_version": version,
        "quarantine_id": quarantine_id(log_id, offset, *place),
        "level": refusal.level,
        "target_table": refusal.table,
        "entity_ordinal": refusal.entity_ordinal,
        "place": refusal.place,
        "entity_id": refusal.entity_id,
        "row_key": refusal.row_key,
        "rule_ids": list(refusal.rules),
        "primary_rule_id": refusal.rules[0],
        "reason": refusal.reason,
        "payload_format": refusal.payload_format,
        "payload": refusal.payload[:PAYLOAD_LIMIT],
        "payload_truncated": len(refusal.payload) > PAYLOAD_LIMIT,
        "body_sha256": poll.body_sha256,
        "restored_by_offset": restored_by,
    }
