"""The other kinds of feeds, body → canonical Arrow rows, against the ordinary way: a dict per row, a loop per message.

The ordinary way of SIRI is orjson; of alerts the stock bindings; of outages orjson again. Both sides give Arrow tables.
"""

import gc
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
MANY = 32
_FEEDS = ("siri_vehicles", "alerts_all", "ene_current")


def kinds() -> None:
    """Print rows per CPU-second of each kind, ours and the ordinary way in turn, best of five."""
    print(
        "\nother kinds, body to Arrow rows, best of five in turn (a live feed brings one body a call, a replay many):"
    )
    for feed_id in _FEEDS:
        bodies = [body(0, feed_id, AT + 60 * number) for number in range(MANY if feed_id != "siri_vehicles" else 4)]
        gc.collect()
        gc.freeze()  # the simulated city's objects are nobody's garbage
        best = {"ours": 0.0, "many": 0.0, "ordinary": 0.0}
        for _ in range(ROUNDS):
            for name, before in best.items():
                began = time.process_time()
                rows = _rows(name, feed_id, bodies)
                best[name] = max(before, rows / (time.process_time() - began))
        size = sum(map(len, bodies)) / len(bodies) / 1e6
        ours, many, ordinary = best.values()
        print(
            f"  {feed_id:14s}{size:5.2f} MB {ours:>8,.0f} rows/CPU-s a body at a time ({ours / ordinary:.1f}x the "
            f"ordinary way's {ordinary:,.0f}), {many:>8,.0f} with {len(bodies)} a call ({many / ordinary:.1f}x)"
        )


def _rows(name: str, feed_id: str, bodies: list[bytes]) -> int:
    if name == "many":
        return _ours(feed_id, bodies)
    if name == "ours":
        return sum(_ours(feed_id, [each]) for each in bodies)
    return sum(_ORDINARY[feed_id](feed_id, each) for each in bodies)


def _ours(feed_id: str, bodies: list[bytes]) -> int:
    feed, count = BY_ID[feed_id], len(bodies)
    captures = pl.DataFrame(
        {
            "cap": pl.int_range(count, dtype=pl.Int32, eager=True),
            "feed_id": [feed_id] * count,
            "family": [feed.family] * count,
            "timezone": [feed.timezone] * count,
            "fetched_at": pl.Series([AT * 1_000_000] * count).cast(pl.Datetime("us", "UTC")),
        }
    )
    raw = Raw.of(DECODERS[feed.format].decode(bodies))
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
