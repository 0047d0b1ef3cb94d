"""Every metric, declared once: its name, what it says, and what to do when it moves.

Values are taken from the running program when somebody asks, so that observing costs the way of a record nothing.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Declared:
    """One metric. A counter's name ends in ``_total``; units come last."""

    name: str
    help: str
    look: str
    labels: tuple[str, ...] = ()

    @property
    def is_counter(self) -> bool:
        """Whether it only rises, until the process begins anew."""
        return self.name.endswith("_total")


class Buckets:
    """A histogram: how many values lay at or below each bound. One thread observes, any may read."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def cumulated(self) -> list[tuple[str, float]]:
        """Give, for each bound and +Inf, how many values lay at or below it."""
        counts = list(accumulate(self._counts))
        return [(str(bound), count) for bound, count in zip((*self._bounds, "+Inf"), counts, strict=True)]


class Sample(NamedTuple):
    """A value of a declared metric, its labels' values in the order of the declaration."""

    name: str
    value: float | Buckets
    labels: tuple[str, ...] = ()


METRICS: tuple[Declared, ...] = (
    Declared("thirdrail_build_info", "1; the version is a label", "Says which version runs.", ("version",)),
    Declared("thirdrail_up_seconds", "seconds since this run began", "Small again and again: who restarts it?"),
    Declared(
        "thirdrail_polls_total",
        "polls by feed and outcome (ok, duplicate, http_error, network_error, …)",
        "Outcomes other than ok and duplicate: `thirdrail feeds check FEED` says who is at fault.",
        ("feed", "outcome"),
    ),
    Declared(
        "thirdrail_last_poll_timestamp_seconds",
        "when a feed was last asked (POSIX seconds); absent before the first poll",
        "Older than a few intervals: the poller hangs, or polling pauses for want of space.",
        ("feed",),
    ),
    Declared(
        "thirdrail_feed_header_timestamp_seconds",
        "time in the header of a feed's newest message (POSIX seconds); absent while there is none",
        "Stands still while polls are ok: the feed is frozen at its source; nothing here can mend that.",
        ("feed",),
    ),
    Declared(
        "thirdrail_clock_offset_seconds", "this machine's clock ahead of the feeds' servers", "Mend the clock (NTP)."
    ),
    Declared(
        "thirdrail_polling_paused",
        "1 while nothing is taken in for want of disk space",
        "Free some space; all goes on by itself.",
    ),
    Declared(
        "thirdrail_captures_carried_total",
        "captures whose rows were made for a sink",
        "Stands still while polls go on: see the sink's lag and trouble.",
        ("sink",),
    ),
    Declared(
        "thirdrail_rows_written_total",
        "rows handed to a sink, by table",
        "A table that stands still while its feeds are ok: look into quarantine.",
        ("sink", "table"),
    ),
    Declared("thirdrail_rows_decoded_total", "rows that came in", "Falls with the feeds.", ("sink",)),
    Declared(
        "thirdrail_lag_captures",
        "records in the log that a sink does not durably have",
        "Grows: the sink is slower than the feeds, or stands still; /readyz says why.",
        ("sink",),
    ),
    Declared(
        "thirdrail_position",
        "the log's offset below which a sink durably has everything",
        "Must never go back.",
        ("sink",),
    ),
    Declared(
        "thirdrail_newest_committed_timestamp_seconds",
        "when the newest committed capture was fetched (POSIX seconds); freshness is time() minus this",
        "Older than 30 s: see lag, then the feeds.",
        ("sink",),
    ),
    Declared(
        "thirdrail_commit_seconds",
        "how long the newest batch took from begun to durable",
        "Grows over days: `thirdrail tables --detail`; Snowflake's is mostly Snowflake's.",
        ("sink",),
    ),
    Declared(
        "thirdrail_row_age_seconds",
        "histogram: polls by the time from their last byte to the commit that made their rows durable",
        "A share above 30 s: see lag and commit seconds of that sink.",
        ("sink",),
    ),
    Declared(
        "thirdrail_findings_total",
        "what rules found, by rule (docs/configuration.md)",
        "Above its usual rate: `thirdrail quarantine list`; a feed has changed, or is broken.",
        ("sink", "rule"),
    ),
    Declared(
        "thirdrail_quarantined_total",
        "messages, entities and rows that were refused",
        "Above its usual rate: `thirdrail quarantine list`.",
        ("sink",),
    ),
    Declared(
        "thirdrail_rejected_rows_total",
        "rows that a sink refused or would refuse although they had passed our checks (M039)",
        "Any: `thirdrail quarantine list --rule M039`, `thirdrail snowflake status`, and please report it.",
        ("sink",),
    ),
    Declared(
        "thirdrail_commits_total",
        "commits to Iceberg tables by outcome (ok, conflict, failed): tries, of rows and of maintenance",
        "Conflicts now and then are maintenance; many: does another program write there? Failed: disk or catalog.",
        ("outcome",),
    ),
    Declared(
        "thirdrail_table_files",
        "data files of a table at the last round of care",
        "Grows for days: maintenance stands still or gives up; `thirdrail tables --detail`.",
        ("table",),
    ),
    Declared("thirdrail_table_bytes", "bytes of them", "Follows the feeds; keep_days bounds it.", ("table",)),
    Declared("thirdrail_table_rows", "rows of a table at the last round of care", "Follows the feeds.", ("table",)),
    Declared(
        "thirdrail_table_snapshots",
        "snapshots that a table keeps",
        "About `maintenance.snapshots`; more: another program keeps them by branches or tags.",
        ("table",),
    ),
    Declared(
        "thirdrail_sink_failures_in_a_row",
        "failed tries since the last that succeeded",
        "Above 0 for minutes: /readyz has the reason.",
        ("sink",),
    ),
    Declared(
        "thirdrail_poller_restarts_total",
        "how often the poller hung and was begun anew by the watchdog",
        "Any: docs/runbooks/PartBegunAnew.md.",
    ),
    Declared(
        "thirdrail_sink_restarts_total",
        "how often a sink's call did not come back, and it was begun anew by the watchdog",
        "Any: docs/runbooks/PartBegunAnew.md.",
        ("sink",),
    ),
    Declared("thirdrail_maintenance_rounds_total", "rounds of care that went well", "Stands still: see what is said."),
    Declared("thirdrail_maintenance_merged_files_total", "small files that were merged", "Follows the commits."),
    Declared(
        "thirdrail_disk_free_bytes", "free space of the data folder's disk", "Falls steadily: retention, keep_days."
    ),
    Declared("thirdrail_disk_reserve_bytes", "free space below which polling pauses", "As configured."),
    Declared("thirdrail_resident_memory_bytes", "memory of this process", "Grows for days: please report it."),
    Declared("thirdrail_open_files", "open file descriptors of this process", "Grows for days: please report it."),
)
BY_NAME = {metric.name: metric for metric in METRICS}

Samples = Callable[[], Iterable[Sample]]


class Page:
    """What ``/metrics`` gives: the samples of the moment, under their declarations."""

    def __init__(self, samples: Samples) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Asking(samples))

    def render(self) -> bytes:
        """Give the page in Prometheus' text format."""
        return generate_latest(self._registry)


class _Asking(Collector):
    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked when the page is made."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Ask for all samples; one that is not declared is a KeyError."""
        families: dict[str, CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily] = {}
        for name, value, labels in self._samples():
            declared = BY_NAME[name]
            if name not in families:
                families[name] = _kind(declared, value)(
                    name.removesuffix("_total"), declared.help, labels=declared.labels
                )
            family = families[name]
            if isinstance(value, Buckets):
                assert isinstance(family, HistogramMetricFamily)  # noqa: S101 - the first sample made it one
                family.add_metric(labels, value.cumulated(), value.sum)
            else:
                family.add_metric(labels, value)  # type: ignore[call-arg, arg-type]
        yield from families.values()


def _kind(
    declared: Declared, value: float | Buckets
) -> type[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]:
    if isinstance(value, Buckets):
        return HistogramMetricFamily
    return CounterMetricFamily if declared.is_counter else GaugeMetricFamily


def reference() -> str:
    """Give the page of all metrics in Markdown."""
    lines = [
        "# Metrics",
        "",
        "`run` and `demo` serve them at `/metrics` of `observe.listen` (127.0.0.1:8001 by default), beside `/livez`",
        "(the threads of the process), `/readyz` (every stage has made progress within its bound; which has not, as",
        "JSON, with 503) and `/health` (both). Values are taken when asked for. Made by `thirdrail config metrics`.",
        "",
        "| metric | labels | what it says | when it moves |",
        "|---|---|---|---|",
    ]
    lines += [f"| `{m.name}` | {', '.join(m.labels)} | {m.help} | {m.look} |" for m in METRICS]
    return "\n".join([*lines, ""])
