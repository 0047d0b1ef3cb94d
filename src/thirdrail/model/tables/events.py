"""What is no picture: one row per refusal and one per poll."""

from collections.abc import Iterable

from thirdrail.model.tables.declaration import ENVELOPE, FLAGS, Column, Table, identity

QUARANTINE = Table(
    "quarantine",
    "what was refused, whole, with the reason and where it came from",
    (
        *ENVELOPE,
        identity("quarantine_id", "string", "stable: the same refusal always has the same id"),
        identity("level", "string", "message, entity or row"),
        identity("target_table", "string", "the table the row would have gone to", required=False),
        identity("entity_ordinal", "int", "place of the entity in its message", required=False),
        identity("place", "int", "place in the entity", required=False),
        identity("entity_id", "string", "as sent", required=False),
        Column("row_key", "string", "the key that the row would have had"),
        Column("rule_ids", "list<string>", "every rule that refuses it", required=True),
        Column("primary_rule_id", "string", "the first of them", required=True),
        Column("reason", "string", "for a person", required=True),
        Column("payload_format", "string", "json (the row) or base64 (the bytes)"),
        Column("payload", "string", "at most 16 kB of it"),
        Column("payload_truncated", "boolean", "more than that was there", required=True),
        identity("body_sha256", "string", "digest of the capture's body", required=False),
        identity("restored_by_offset", "long", "the replay order that judged it again and let it pass", required=False),
    ),
    key=(),
    sort=("feed_id", "primary_rule_id", "capture_offset"),
    is_picture=False,
)


def _counts(tables: Iterable[Table]) -> tuple[Column, ...]:
    columns: list[Column] = []
    for table in tables:
        for what, meaning in (
            ("passed", "rows of the picture that passed the gate"),
            ("quarantined", "rows that the gate refused"),
            ("written", "rows written for this capture, removal markers left out"),
            ("removed", "removal markers written"),
        ):
            name, is_known = f"{table.name}_{what}", not table.came_later
            columns.append(Column(name, "int", f"{table.name}: {meaning}", required=is_known))
    return tuple(columns)


def feed_messages(pictures: Iterable[Table]) -> Table:
    """Give ``feed_messages``, which counts the rows of every picture table."""
    return Table(
        "feed_messages",
        "one row per poll, whatever came of it; committed last, so a capture listed here is complete everywhere",
        (
            *ENVELOPE,
            Column("feed_family", "string", "subway, lirr, mnr, bus, …", required=True),
            Column("source_url", "string", "key redacted", required=True),
            Column("received_at", "timestamptz", "last byte"),
            Column("http_status", "int", "none on a network error"),
            Column(
                "outcome",
                "string",
                "ok, duplicate, hollow, rejected, decode_error, bad_body, http_error, …",
                required=True,
            ),
            Column("error_class", "string", "what failed"),
            Column("error_detail", "string", "redacted, at most 500 characters"),
            Column("content_type", "string", "as sent"),
            Column("content_encoding", "string", "as sent"),
            Column("body_bytes", "long", "decompressed"),
            Column("wire_bytes", "long", "as transferred"),
            Column("body_sha256", "string", "digest of the body"),
            Column("duplicate_of_offset", "long", "the capture whose body was received again"),
            Column("fetch_duration_ms", "int", "request to last byte"),
            Column("attempt", "int", "1-based", required=True),
            Column("gtfs_realtime_version", "string", "as sent", wire="header.gtfs_realtime_version"),
            Column("incrementality", "string", "effective", wire="header.incrementality"),
            Column("feed_version", "string", "as sent", wire="header.feed_version"),
            Column("nyct_subway_version", "string", "as sent", wire="header.nyct_feed_header.nyct_subway_version"),
            Column("entity_count", "int", "entities in the message"),
            Column("trip_update_count", "int", "of them with a trip update"),
            Column("stop_time_update_count", "int", "stop time updates in them"),
            Column("vehicle_count", "int", "with a vehicle position"),
            Column("alert_count", "int", "with an alert"),
            Column("other_entity_count", "int", "with none of these, or deleted"),
            Column("header_age_s", "double", "fetched_at minus the header's time"),
            Column(
                "accepted", "boolean", "its picture counts: not hollow, not older than one already seen", required=True
            ),
            Column("is_full_picture", "boolean", "every row of the picture was written", required=True),
            Column("base_capture_offset", "long", "the capture whose picture this one was compared with"),
            Column("quarantined_count", "int", "messages, entities and rows refused", required=True),
            Column("finding_count", "int", "findings that refused nothing", required=True),
            Column("rule_counts", "list<string>", "RULE=findings, sorted", required=True),
            *_counts(pictures),
            FLAGS,
        ),
        key=(),
        sort=("feed_id", "capture_offset"),
        is_picture=False,
    )
