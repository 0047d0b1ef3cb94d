"""What a batch has to tell about itself: findings, refusals, and when its bodies came."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa


@dataclass(slots=True)
class Told:
    """Counts of findings by rule and of refusals; ``received`` are instants (µs UTC), one per poll."""

    findings: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    received: list[int] = field(default_factory=list)

    def add(self, other: "Told") -> None:
        """Add what another part tells."""
        self.findings.update(other.findings)
        self.refused += other.refused
        self.received += other.received


def told(messages: Iterable[pa.Table]) -> Told:
    """Give what rows of ``feed_messages`` tell: a few for thousands of others."""
    found = Told()
    for part in messages:
        frame = pl.DataFrame(part.select(["rule_counts", "quarantined_count", "received_at", "fetched_at"]))
        found.refused += int(frame["quarantined_count"].sum())
        found.received += frame.select(pl.coalesce("received_at", "fetched_at").dt.epoch("us")).to_series().to_list()
        for text in frame["rule_counts"].explode().drop_nulls():
            rule, _, count = text.rpartition("=")
            found.findings[rule] += int(count)
    return found
