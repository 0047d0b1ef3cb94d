"""Replay orders and rejections: records that are not polls and yet give rows."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import msgspec
import polars as pl
import pyarrow as pa

from thirdrail.model.records import Entry, Poll, Refused, Rejection, ReplayOrder, Span
from thirdrail.model.tables import BY_NAME, QUARANTINE, Table
from thirdrail.model.tokens import Token, in_order, parsed, within
from thirdrail.pipeline.changes import RESTORED
from thirdrail.pipeline.refusals import PAYLOAD_LIMIT, Refusal, parse_quarantine_id, quarantine_id, quarantine_rows
from thirdrail.pipeline.transform import Context, Judged, Rows, judge_rows
from thirdrail.pipeline.written import to_arrow

REJECTED = "M039"
Made = Callable[[str, Span], Iterator[tuple[pa.Table, pa.Array]]]
"""Makes a table's rows of some records again, a page at a time, with the record of each."""

Place = tuple[str | None, int | None, int | None]
"""Table, entity ordinal and place in the entity; None means all of them."""


def restore(order_offset: int, order: ReplayOrder, captures: dict[int, Entry], context: Context, rows: Rows) -> None:
    """Add what now passes of the rows that an order names, as ``restored``, and say so in ``quarantine``.

    ``captures`` holds the entries that the order lists; one that the log has lost restores nothing.
    """
    wanted: dict[int, list[Place]] = defaultdict(list)
    for text in order.quarantine_ids:
        log_id, offset, table, ordinal, place = parse_quarantine_id(text)
        if log_id == context.log_id and offset in captures:
            wanted[offset].append((table, ordinal, place))
    for offset, places in sorted(wanted.items()):
        entry = captures[offset]
        if isinstance(entry.record, Poll):
            judged = judge_rows([(offset, entry.record, entry.body)], context)
            _restore_one(order_offset, judged, places, context, rows)


def _restore_one(order_offset: int, judged: Judged, places: list[Place], context: Context, rows: Rows) -> None:
    offset, poll, _ = judged.polls[0]
    envelope = judged.messages.select(
        "feed_id",
        "fetched_at",
        "feed_timestamp",
        capture_offset=pl.lit(offset, pl.Int64),
        origin=pl.lit(poll.origin, pl.String),
    )
    settled: set[Place] = set()
    for name, passed in judged.gated.passed.items():
        table = BY_NAME[name]
        for place in places:
            chosen = passed.filter(_named(table, place))
            if chosen.is_empty():
                continue
            settled.add(place)
            marked = chosen.with_columns(
                change_kind=pl.lit(RESTORED),
                removed_reason=pl.lit(None, pl.String),
                restored_by_offset=pl.lit(order_offset, pl.Int64),
            )
            arrow = to_arrow(table, marked, envelope, context.log_id, context.settings.pipeline_version)
            rows.add(table.name, arrow, pa.repeat(pa.scalar(order_offset, pa.int64()), len(arrow)))
    if settled:
        rows.add(QUARANTINE.name, *_settled_rows(order_offset, judged, settled, context))


def _named(table: Table, place: Place) -> pl.Expr:
    """Give the filter that picks the rows of a place; a parent brings its parts."""
    target, ordinal, within = place
    if target is not None and target not in (table.name, table.parent):
        return pl.lit(value=False)
    chosen = pl.lit(value=True) if ordinal is None else pl.col("entity_ordinal") == ordinal
    if within is not None and table.place:
        chosen = chosen & (pl.col(table.place) == within)
    return chosen


def _settled_rows(
    order_offset: int, judged: Judged, settled: set[Place], context: Context
) -> tuple[pa.Table, pa.Array]:
    offset, poll, _ = judged.polls[0]
    refusals = [
        Refusal(
            cap=0,
            level="message" if ordinal is None else ("row" if place is not None else "entity"),
            rules=("M009",) if table is None else ("restored",),
            payload="",
            payload_format="none",
            reason="judged again by a replay order: passes now",
            table=table,
            entity_ordinal=ordinal,
            place=place,
        )
        for table, ordinal, place in sorted(settled, key=str)
    ]
    version = context.settings.pipeline_version
    times = judged.messages["feed_timestamp"].to_list()
    found = quarantine_rows(refusals, [(offset, poll)], times, context.log_id, version, restored_by=order_offset)
    return found, pa.repeat(pa.scalar(order_offset, pa.int64()), len(found))


def where(place: Refused) -> str:
    """Give a place for a person."""
    if place.first == place.last:
        return place.first
    if place.file and not place.rows:
        return f"file {place.file}, all its rows, {place.first} to {place.last}"
    return f"{place.count:,} of {'?' if place.rows is None else f'{place.rows:,}'} rows, {place.first} to {place.last}"


def settle(order_offset: int, order: ReplayOrder, context: Context, rows: Rows) -> None:
    """Add one quarantine row per rejection that an order settles, for every sink."""
    found = []
    for each in order.settled:
        _, offset, table, _, place = parse_quarantine_id(each.quarantine_id)
        found.append(
            {
                "feed_id": each.feed_id,
                "capture_log": context.log_id,
                "capture_offset": offset,
                "origin": each.sink,
                "fetched_at": order.ordered_at,
                "pipeline_version": context.settings.pipeline_version,
                "quarantine_id": each.quarantine_id,
                "level": "row",
                "target_table": table,
                "place": place,
                "rule_ids": ["restored" if each.spans else "lost"],
                "primary_rule_id": "restored" if each.spans else "lost",
                "reason": "sent again by a replay order" if each.spans else "accepted as lost by a person",
                "payload_format": "none",
                "payload": "",
                "payload_truncated": False,
                "restored_by_offset": order_offset,
            }
        )
    if found:
        made = pa.Table.from_pylist(found, schema=QUARANTINE.arrow_schema)
        rows.add(QUARANTINE.name, made, pa.repeat(pa.scalar(order_offset, pa.int64()), len(made)))


def send_again(order_offset: int, order: ReplayOrder, sink: str, log_id: str, made: Made, rows: Rows) -> None:
    """Add the rows that an order brings back to the sink that refused them, as they were, each once."""
    wanted: dict[str, list[tuple[Token, Token]]] = defaultdict(list)
    but: dict[str, set[Token]] = defaultdict(set)
    for each in order.settled:
        name = parse_quarantine_id(each.quarantine_id)[2] or ""
        if each.sink == sink:
            wanted[name] += [(parsed(first, log_id, name), parsed(last, log_id, name)) for first, last in each.spans]
            but[name].update(parsed(text, log_id, name) for text in each.but)
    for name, spans in wanted.items():
        table = BY_NAME[name]
        for records in records_of(spans):
            near = [each for each in spans if records.start <= each[0].offset < records.end]
            for part, offsets in made(name, records):
                chosen = within(in_order(table, part, offsets), near, but[name]).select(table.names())
                arrow = chosen.to_arrow().cast(table.arrow_schema)
                rows.add(name, arrow, pa.repeat(pa.scalar(order_offset, pa.int64()), len(arrow)))


def records_of(spans: Sequence[tuple[Token, Token]]) -> list[Span]:
    """Give the records that spans of rows lie in, those that touch as one."""
    found: list[Span] = []
    for first, last in sorted(spans):
        end = last.offset if last.is_complete else last.offset + 1
        if found and first.offset <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, end))
        else:
            found.append(Span(first.offset, end))
    return found


def rejected(offset: int, rejection: Rejection, context: Context, rows: Rows) -> None:
    """Add one quarantine row (M039) per row that a destination refused."""
    found = []
    keys: dict[int, str] = {place: where(each) for place, each in enumerate(rejection.places)}
    for place, row in enumerate(rejection.rows):
        payload = msgspec.json.encode(row).decode()
        found.append(
            {
                "feed_id": rejection.feed_id,
                "capture_log": context.log_id,
                "capture_offset": offset,
                "origin": rejection.sink,
                "fetched_at": rejection.rejected_at,
                "pipeline_version": context.settings.pipeline_version,
                "quarantine_id": quarantine_id(context.log_id, offset, rejection.table, None, place),
                "level": "row",
                "target_table": rejection.table,
                "place": place,
                "row_key": keys.get(place),
                "rule_ids": [REJECTED],
                "primary_rule_id": REJECTED,
                "reason": rejection.reason,
                "payload_format": "json",
                "payload": payload[:PAYLOAD_LIMIT],
                "payload_truncated": len(payload) > PAYLOAD_LIMIT,
            }
        )
    if found:
        rows.add(QUARANTINE.name, pa.Table.from_pylist(found, schema=QUARANTINE.arrow_schema))
