"""The Grafana dashboards as code: ``python scripts/dashboards.py`` writes deploy/grafana/dashboards/*.json anew.

A dashboard is rows of panels, a panel is queries with legends. The data source is a variable, so that the files import
into any Grafana; panels of what is not configured say so.
"""

import json
import sys
from pathlib import Path
from typing import NamedTuple

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableHide,
)

OUT = Path(__file__).parents[1] / "deploy" / "grafana" / "dashboards"
SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
NOT_CONFIGURED = "not configured"


class Panel(NamedTuple):
    """Queries with their legends. ``bound`` is drawn as a threshold; ``now`` shows the newest value alone."""

    title: str
    help: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    bound: float | None = None
    now: bool = False
    optional: bool = False


FRESH = "time() - thirdrail_newest_committed_timestamp_seconds"
WITHIN = (
    'sum by (sink) (rate(thirdrail_row_age_seconds_bucket{le="30.0"}[$__rate_interval]))'
    " / sum by (sink) (rate(thirdrail_row_age_seconds_count[$__rate_interval]))"
)


FAILED = 'sum by (feed, outcome) (rate(thirdrail_polls_total{outcome!~"ok|duplicate"}[$__rate_interval]))'
DECODED = "sum by (sink) (rate(thirdrail_rows_decoded_total[$__rate_interval]))"
REFUSED = "sum by (sink) (rate(thirdrail_quarantined_total[$__rate_interval]))"


def age(quantile: float) -> str:
    """Give how old rows are when they can be read, a quantile over sinks."""
    buckets = "sum by (sink, le) (rate(thirdrail_row_age_seconds_bucket[$__rate_interval]))"
    return f"histogram_quantile({quantile}, {buckets})"


DASHBOARDS: dict[str, tuple[str, dict[str, tuple[Panel, ...]]]] = {
    "overview": (
        "Third Rail: overview",
        {
            "The promises": (
                Panel(
                    "Freshness",
                    "Age of the newest committed capture; promised: under 30 s",
                    ((FRESH, "{{sink}}"),),
                    "s",
                    30,
                    now=True,
                ),
                Panel(
                    "Within 30 s",
                    "Share of polls whose rows were durable within 30 s of their last byte",
                    ((WITHIN, "{{sink}}"),),
                    "percentunit",
                    now=True,
                ),
                Panel(
                    "Records a minute",
                    "Rows decoded; promised: 10,000",
                    (("sum by (sink) (rate(thirdrail_rows_decoded_total[$__rate_interval])) * 60", "{{sink}}"),),
                    now=True,
                ),
                Panel(
                    "Feeds that answer",
                    "Feeds whose newest poll is younger than five minutes",
                    (("count(time() - thirdrail_last_poll_timestamp_seconds < 300)", "feeds"),),
                    now=True,
                ),
            ),
            "How it goes": (
                Panel(
                    "From body to durable row",
                    "Half and 99 % of polls",
                    ((age(0.5), "{{sink}} half"), (age(0.99), "{{sink}} 99 %")),
                    "s",
                    30,
                ),
                Panel(
                    "Rows written a second",
                    "By table",
                    (("sum by (table) (rate(thirdrail_rows_written_total[$__rate_interval]))", "{{table}}"),),
                    "rowsps",
                ),
                Panel("Lag", "Captures in the log that a sink has not", (("thirdrail_lag_captures", "{{sink}}"),)),
                Panel(
                    "Polls by outcome",
                    "Other than ok and duplicate: `thirdrail feeds check FEED`",
                    (("sum by (outcome) (rate(thirdrail_polls_total[$__rate_interval]))", "{{outcome}}"),),
                    "reqps",
                ),
            ),
        },
    ),
    "feeds": (
        "Third Rail: feeds",
        {
            "Freshness at the source": (
                Panel(
                    "Age of a feed's header",
                    "Stands and grows while polls are ok: the feed is frozen at its source",
                    (("time() - thirdrail_feed_header_timestamp_seconds", "{{feed}}"),),
                    "s",
                ),
                Panel(
                    "Since the last poll",
                    "Grows: the poller waits, or polling is paused",
                    (("time() - thirdrail_last_poll_timestamp_seconds", "{{feed}}"),),
                    "s",
                ),
            ),
            "Polls": (
                Panel(
                    "Polls a second by feed",
                    "All outcomes",
                    (("sum by (feed) (rate(thirdrail_polls_total[$__rate_interval]))", "{{feed}}"),),
                    "reqps",
                ),
                Panel(
                    "Polls that failed",
                    "No body came",
                    (
                        (
                            f"{FAILED} or vector(0)",
                            "{{feed}} {{outcome}}",
                        ),
                    ),
                    "reqps",
                ),
                Panel(
                    "Clock",
                    "This machine's clock ahead of the feeds' servers",
                    (("thirdrail_clock_offset_seconds", "ahead"),),
                    "s",
                ),
                Panel(
                    "Polling paused",
                    "1 while nothing is taken in for want of disk space",
                    (("thirdrail_polling_paused", "paused"),),
                ),
            ),
        },
    ),
    "pipeline": (
        "Third Rail: pipeline and commits",
        {
            "Through the pipeline": (
                Panel(
                    "Rows decoded a second",
                    "By sink, each decodes for itself",
                    (("sum by (sink) (rate(thirdrail_rows_decoded_total[$__rate_interval]))", "{{sink}}"),),
                    "rowsps",
                ),
                Panel(
                    "Captures carried a second",
                    "By sink",
                    (("sum by (sink) (rate(thirdrail_captures_carried_total[$__rate_interval]))", "{{sink}}"),),
                ),
                Panel(
                    "Position",
                    "The log's offset below which a sink durably has everything; never goes back",
                    (("thirdrail_position", "{{sink}}"),),
                ),
                Panel("Lag", "Captures in the log that a sink has not", (("thirdrail_lag_captures", "{{sink}}"),)),
            ),
            "Commits": (
                Panel(
                    "Seconds of the newest batch",
                    "From begun to durable",
                    (("thirdrail_commit_seconds", "{{sink}}"),),
                    "s",
                ),
                Panel(
                    "Commits by outcome",
                    "Tries; conflicts now and then are maintenance",
                    (("sum by (outcome) (rate(thirdrail_commits_total[$__rate_interval]))", "{{outcome}}"),),
                    "ops",
                ),
                Panel(
                    "Failures in a row",
                    "Above 0 for minutes: /readyz has the reason",
                    (("thirdrail_sink_failures_in_a_row", "{{sink}}"),),
                ),
            ),
            "The process": (
                Panel(
                    "Begun anew",
                    "What hung, since the start; any: docs/runbooks/PartBegunAnew.md",
                    (
                        ("thirdrail_poller_restarts_total", "the poller"),
                        ("thirdrail_sink_restarts_total", "{{sink}}"),
                    ),
                ),
                Panel(
                    "Memory",
                    "Grows for days: please report it",
                    (("thirdrail_resident_memory_bytes", "resident"),),
                    "bytes",
                ),
                Panel("Open files", "Grows for days: please report it", (("thirdrail_open_files", "open"),)),
                Panel(
                    "Up",
                    "Small again and again: who restarts it?",
                    (("thirdrail_up_seconds", "up"), ("thirdrail_build_info", "version {{version}}")),
                    "s",
                ),
            ),
        },
    ),
    "tables": (
        "Third Rail: tables and maintenance",
        {
            "Tables": (
                Panel("Data files", "At the last round of care", (("thirdrail_table_files", "{{table}}"),)),
                Panel("Bytes", "Of data files", (("thirdrail_table_bytes", "{{table}}"),), "bytes"),
                Panel("Rows", "Of a table", (("thirdrail_table_rows", "{{table}}"),)),
                Panel("Snapshots", "About fifty", (("thirdrail_table_snapshots", "{{table}}"),)),
            ),
            "Maintenance": (
                Panel("Rounds", "Of care, since the start", (("thirdrail_maintenance_rounds_total", "rounds"),)),
                Panel(
                    "Files merged",
                    "Small ones, since the start",
                    (("thirdrail_maintenance_merged_files_total", "files"),),
                ),
                Panel(
                    "Disk",
                    "Free space and the reserve below which polling pauses",
                    (("thirdrail_disk_free_bytes", "free"), ("thirdrail_disk_reserve_bytes", "reserve")),
                    "bytes",
                ),
            ),
        },
    ),
    "snowflake": (
        "Third Rail: Snowflake",
        {
            "Rows on their way": (
                Panel(
                    "Freshness",
                    "Age of the newest committed capture",
                    ((f'({FRESH}) and on (sink) thirdrail_position{{sink="snowflake"}}', "age"),),
                    "s",
                    30,
                    optional=True,
                ),
                Panel(
                    "From body to durable row",
                    "Half and 99 % of polls",
                    (
                        (f'{age(0.5)} and on (sink) thirdrail_position{{sink="snowflake"}}', "half"),
                        (f'{age(0.99)} and on (sink) thirdrail_position{{sink="snowflake"}}', "99 %"),
                    ),
                    "s",
                    30,
                    optional=True,
                ),
                Panel(
                    "Lag",
                    "Captures that Snowflake has not",
                    (('thirdrail_lag_captures{sink="snowflake"}', "lag"),),
                    optional=True,
                ),
                Panel(
                    "Rows handed over a second",
                    "By table",
                    (
                        (
                            'sum by (table) (rate(thirdrail_rows_written_total{sink="snowflake"}[$__rate_interval]))',
                            "{{table}}",
                        ),
                    ),
                    "rowsps",
                    optional=True,
                ),
                Panel(
                    "Failures in a row",
                    "/readyz has the reason",
                    (('thirdrail_sink_failures_in_a_row{sink="snowflake"}', "failures"),),
                    optional=True,
                ),
                Panel(
                    "Rows refused",
                    "By Snowflake, or by our look before; the log has each",
                    (('thirdrail_rejected_rows_total{sink="snowflake"}', "refused"),),
                    optional=True,
                ),
            ),
        },
    ),
    "quality": (
        "Third Rail: quality",
        {
            "Quarantine and findings": (
                Panel(
                    "Refused a minute",
                    "Messages, entities and rows: `thirdrail quarantine list`",
                    (("sum by (sink) (rate(thirdrail_quarantined_total[$__rate_interval])) * 60", "{{sink}}"),),
                ),
                Panel(
                    "Findings a minute by rule",
                    "What each rule means: docs/configuration.md",
                    (
                        (
                            "sum by (rule) (rate(thirdrail_findings_total[$__rate_interval])) * 60 or vector(0)",
                            "{{rule}}",
                        ),
                    ),
                ),
                Panel(
                    "Share refused",
                    "Of all that was decoded or could not be",
                    (
                        (
                            f"{REFUSED} / ({DECODED} + {REFUSED})",
                            "{{sink}}",
                        ),
                    ),
                    "percentunit",
                    0.01,
                ),
            ),
        },
    ),
}


def built(name: str) -> str:
    """Give a dashboard as JSON."""
    title, rows = DASHBOARDS[name]
    made = (
        dashboard.Dashboard(title)
        .uid(f"thirdrail-{name}")
        .tags(["thirdrail"])
        .refresh("15s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(
            dashboard.DatasourceVariable("source").label("Prometheus").type("prometheus").hide(VariableHide.DONT_HIDE)
        )
    )
    for row, panels in rows.items():
        made = made.with_row(dashboard.Row(row))
        for panel in panels:
            made = made.with_panel(_panel(panel))
    return JSONEncoder(sort_keys=True, indent=1).encode(made.build()) + "\n"


def _panel(panel: Panel) -> stat.Panel | timeseries.Panel:
    made = stat.Panel() if panel.now else timeseries.Panel()
    made = made.title(panel.title).description(panel.help).unit(panel.unit).datasource(SOURCE)
    made = made.height(4 if panel.now else 8).span(6 if panel.now else 12)
    if panel.optional:
        made = made.no_value(NOT_CONFIGURED)
    if panel.bound is not None:
        steps = [Threshold(value=None, color="green"), Threshold(value=panel.bound, color="red")]
        made = made.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    for place, (expression, legend) in enumerate(panel.queries):
        query = prometheus.Dataquery().ref_id(chr(ord("A") + place)).expr(expression).legend_format(legend)
        made = made.with_target(query.datasource(SOURCE))
    return made


def main() -> int:
    """Write every dashboard."""
    OUT.mkdir(parents=True, exist_ok=True)
    for name in DASHBOARDS:
        (OUT / f"{name}.json").write_text(built(name))
        json.loads(built(name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
