"""Views that say how the tables fare, over the tables alone: no account usage, no extra rights."""

from thirdrail.model.tables import PICTURE_TABLES
from thirdrail.sinks.snowflake.statements import Names, Statement

_MESSAGE_REFUSED = "outcome IN ('decode_error', 'bad_body', 'rejected')"


def _sum(what: str) -> str:
    """Give the sum of one count over all picture tables."""
    return "\n         + ".join(
        f"COALESCE({table.name}_{what}, 0)" if table.came_later else f"{table.name}_{what}" for table in PICTURE_TABLES
    )


def views(names: Names) -> list[Statement]:
    """Give the views; they hold no data, so they are replaced."""
    messages = names.of("FEED_MESSAGES")
    return [
        _throughput(names, messages),
        _freshness(names, messages),
        _delays(names, messages),
        _quality(names, messages),
    ]


def _view(names: Names, name: str, comment: str, query: str, why: str = "") -> Statement:
    head = f"CREATE OR REPLACE VIEW {names.of(name)}\n  COMMENT = '{comment}'\nAS\n"
    return Statement(head + query, why)


def view_names() -> tuple[str, ...]:
    """Give the names of all views."""
    return ("THIRDRAIL_THROUGHPUT", "THIRDRAIL_FRESHNESS", "THIRDRAIL_DELAYS", "THIRDRAIL_QUALITY")


def view_grants(names: Names) -> list[Statement]:
    """Give the reader's grants on the views."""
    return [Statement(f"GRANT SELECT ON VIEW {names.of(name)} TO ROLE {names.reader}") for name in view_names()]


def _throughput(names: Names, messages: str) -> Statement:
    return _view(
        names,
        "THIRDRAIL_THROUGHPUT",
        "polls, rows and bytes by minute and feed family",
        f"""SELECT
  DATE_TRUNC('MINUTE', fetched_at) AS minute,
  feed_family,
  COUNT(*) AS polls,
  SUM({_sum("passed")}) AS rows_in_pictures,
  SUM({_sum("written")}) AS rows_written,
  SUM({_sum("removed")}) AS removals_written,
  SUM(wire_bytes) AS wire_bytes
FROM {messages}
GROUP BY DATE_TRUNC('MINUTE', fetched_at), feed_family""",  # noqa: S608 - plain identifiers
        "rows_written counts what went into the tables; rows_in_pictures what the feeds said, most of it unchanged.",
    )


def _freshness(names: Names, messages: str) -> Statement:
    return _view(
        names,
        "THIRDRAIL_FRESHNESS",
        "per feed: age of the newest poll that a query sees at this moment",
        f"""SELECT
  feed_id,
  MAX(fetched_at) AS newest_fetched_at,
  DATEDIFF('SECOND', MAX(fetched_at), CURRENT_TIMESTAMP()) AS age_s
FROM {messages}
GROUP BY feed_id""",  # noqa: S608 - plain identifiers
        "How old the newest row is that you can see now: the time since the last poll plus the time on the way. No\n"
        "column tells when a row became visible (it would have to be known before it is), so the time on the way\n"
        "alone is measured from outside: `thirdrail snowflake doctor`, and the commit latency in our metrics.",
    )


def _delays(names: Names, messages: str) -> Statement:
    return _view(
        names,
        "THIRDRAIL_DELAYS",
        "by minute and feed family: how late the source is, and how long fetching takes",
        f"""SELECT
  DATE_TRUNC('MINUTE', fetched_at) AS minute,
  feed_family,
  APPROX_PERCENTILE(header_age_s, 0.5) AS source_age_p50_s,
  APPROX_PERCENTILE(header_age_s, 0.99) AS source_age_p99_s,
  APPROX_PERCENTILE(fetch_duration_ms, 0.5) AS fetch_p50_ms,
  APPROX_PERCENTILE(fetch_duration_ms, 0.99) AS fetch_p99_ms
FROM {messages}
GROUP BY DATE_TRUNC('MINUTE', fetched_at), feed_family""",  # noqa: S608 - plain identifiers
    )


def _quality(names: Names, messages: str) -> Statement:
    passed, refused = _sum("passed"), _sum("quarantined")
    return _view(
        names,
        "THIRDRAIL_QUALITY",
        "by hour and feed: share of decoded rows that were not refused, and of messages",
        f"""SELECT
  DATE_TRUNC('HOUR', fetched_at) AS hour,
  feed_id,
  SUM({passed}) AS rows_passed,
  SUM({refused}) AS rows_refused,
  SUM({passed}) / NULLIF(SUM({passed}) + SUM({refused}), 0) AS row_score,
  COUNT_IF(body_sha256 IS NOT NULL) AS messages,
  COUNT_IF({_MESSAGE_REFUSED}) AS messages_refused,
  1 - COUNT_IF({_MESSAGE_REFUSED}) / NULLIF(COUNT_IF(body_sha256 IS NOT NULL), 0) AS message_score
FROM {messages}
GROUP BY DATE_TRUNC('HOUR', fetched_at), feed_id""",  # noqa: S608 - plain identifiers
        "row_score: rows of pictures that passed, of those decoded; a refused row is whole in QUARANTINE with its\n"
        "rules. A message that could not be decoded has no rows, hence message_score beside it. Null: nothing came.",
    )
