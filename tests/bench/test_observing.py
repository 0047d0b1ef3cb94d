"""Observing costs at most three hundredths of the CPU of what is observed."""

import statistics

from benchmarks.observing import shares


def test_what_a_batch_tells_and_metrics_every_five_seconds_cost_under_three_percent() -> None:
    """1.9 and 2.0 % on two cores with a load of 8."""
    assert 0 < statistics.median(shares(12)) < 0.03
