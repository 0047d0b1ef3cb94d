"""The other kinds of feeds, body → canonical Arrow rows, against the ordinary way: a dict per row, a loop per message.

The ordinary way of SIRI is orjson; of alerts the stock bindings; of outages orjson again. Both sides give Arrow tables.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import orjson
import polars as pl
import pyarrow as pa

from tests.oracle.alerts import alert_rows
from tests.oracle.siri import activities
from thirdrail.city.messages import body
from thirdrail.decode.formats import DECODERS
from thirdrail.model.feeds import BY_ID
from thirdrail.normalise.formats import NORMALISERS
from thirdrail.normalise.rows import Raw

AT = 1_790_000_000
ROUNDS = 5
_FEEDS = ("siri_vehicles", "alerts_all", "ene_current")


def kinds() -> None:
    """Print rows per CPU-second of each kind, ours and the ordinary way in turn, best of five."""
    print("\nother kinds, body to Arrow rows, best of five in turn:")
    for feed_id in _FEEDS:
        bodies = [body(0, feed_id, AT + 60 * number) for number in range(4)]
        best = {"ours": 0.0, "ordinary": 0.0}
        for _ in range(ROUNDS):
            for name, way in (("ours", _ours), ("ordinary", _ORDINARY[feed_id])):
                began = time.process_time()
                rows = sum(way(feed_id, each) for each in bodies)
                best[name] = max(best[name], rows / (time.process_time() - began))
        ratio = best["ours"] / best["ordinary"]
        size = sum(map(len, bodies)) / len(bodies) / 1e6
        print(
            f"  {feed_id:14s}{size:5.2f} MB {best['ours']:>10,.0f} rows/CPU-s, {ratio:.1f}x the ordinary way's "
            f"{best['ordinary']:,.0f}"
        )


def _ours(feed_id: str, content: bytes) -> int:
    feed = BY_ID[feed_id]
    captures = pl.DataFrame(
        {
            "cap": pl.Series([0], dtype=pl.Int32),
            "feed_id": [feed_id],
            "family": [feed.family],
            "timezone": [feed.timezone],
            "fetched_at": pl.Series([AT * 1_000_000]).cast(pl.Datetime("us", "UTC")),
        }
    )
    raw = Raw.of(DECODERS[feed.format].decode([content]))
    frames = NORMALISERS[feed.format](raw, captures).frames
    return sum(len(frame.to_arrow()) for frame in frames.values())


def _alerts(_feed_id: str, content: bytes) -> int:
    return sum(len(pa.Table.from_pylist(rows)) for rows in alert_rows(content).values() if rows)


def _siri(_feed_id: str, content: bytes) -> int:
    return len(pa.Table.from_pylist(activities(content, loads=orjson.loads)))


def _outages(_feed_id: str, content: bytes) -> int:
    rows = []
    for item in orjson.loads(content):
        local = datetime.strptime(item["outagedate"] + " -0400", "%m/%d/%Y %I:%M:%S %p %z")
        facts = {"outage_at": local.astimezone(UTC), "lines": item["trainno"].split("/"), "is_ada": item["ADA"] == "Y"}
        rows.append({**item, **facts})
    return len(pa.Table.from_pylist(rows))


_ORDINARY: dict[str, Callable[[str, bytes], int]] = {
    "siri_vehicles": _siri,
    "alerts_all": _alerts,
    "ene_current": _outages,
}
