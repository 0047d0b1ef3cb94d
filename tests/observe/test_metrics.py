"""Metrics: declared once, named as Prometheus wants it, and none that is not declared."""

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from thirdrail.observe.metrics import METRICS, Buckets, Page, Sample

LABELS = {"feed", "table", "sink", "partition", "rule", "outcome", "version"}


def test_every_metric_says_what_it_means_and_what_to_do() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert re.fullmatch(r"thirdrail_[a-z_]+", metric.name), metric.name
        assert metric.help
        assert metric.look.endswith((".", "it.", "?"))
        assert set(metric.labels) <= LABELS


def ages() -> Buckets:
    found = Buckets((1.0, 5.0))
    for age in (0.5, 1.5, 4.5, 100.0):
        found.observe(age)
    return found


def test_a_page_is_read_by_prometheus_own_parser_with_its_values() -> None:
    page = Page(
        lambda: [
            Sample("thirdrail_polls_total", 3, ("subway_l", "ok")),
            Sample("thirdrail_polls_total", 1, ("subway_l", "http_error")),
            Sample("thirdrail_lag_captures", 7, ("iceberg",)),
            Sample("thirdrail_row_age_seconds", ages(), ("iceberg",)),
        ]
    ).render()
    families = {family.name: family for family in text_string_to_metric_families(page.decode())}
    assert families["thirdrail_polls"].type == "counter"
    assert {(s.labels["outcome"], s.value) for s in families["thirdrail_polls"].samples} == {
        ("ok", 3),
        ("http_error", 1),
    }
    assert families["thirdrail_lag_captures"].samples[0].value == 7
    assert families["thirdrail_row_age_seconds"].type == "histogram"
    assert [(s.labels.get("le"), s.value) for s in families["thirdrail_row_age_seconds"].samples] == [
        *(("1.0", 1), ("5.0", 3), ("+Inf", 4)),
        *((None, 4), (None, 106.5)),
    ]


def test_a_metric_that_is_not_declared_is_an_error() -> None:
    with pytest.raises(KeyError, match="thirdrail_guess"):
        Page(lambda: [Sample("thirdrail_guess", 1)]).render()
