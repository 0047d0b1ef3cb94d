"""What observing costs of the CPU of carrying into Iceberg.

``python -m benchmarks.observing [BATCHES]``. A batch is what five seconds bring of the subway: messages of two of its
eight feeds. What it tells of itself (findings, refusals, ages) and one `/metrics`, asked and answered, are taken apart
by their own CPU time: batches with and without, in turn, differ by 15 % anyhow, which says nothing of 3 %.
"""

import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

from thirdrail import app
from thirdrail.app.data_folder import SIMULATED
from thirdrail.app.measuring import not_live, not_ready, samples
from thirdrail.app.running import Run
from thirdrail.city.lines import ROUTES
from thirdrail.city.messages import body
from thirdrail.config.feeds import polled
from thirdrail.config.settings import Config
from thirdrail.model.records import Poll
from thirdrail.observe.clock import SystemClock
from thirdrail.observe.health import Health
from thirdrail.observe.metrics import Buckets, Page
from thirdrail.pipeline.told import told

AT = 1_790_000_000
INTERVAL_S = 5
FEEDS_A_BATCH = 2
WARM = 3
BATCHES = 30


class Apart:
    """CPU seconds of some calls, in the thread that makes them."""

    seconds = 0.0

    def of(self, call: Callable[..., object]) -> Callable[..., object]:
        """Give the call, its time taken."""

        def timed(*arguments: object) -> object:
            began = time.thread_time()
            try:
                return call(*arguments)
            finally:
                self.seconds += time.thread_time() - began

        return timed


def shares(batches: int) -> list[float]:
    """Give, for each batch, the CPU of observing as a share of that of carrying it."""
    config, clock, apart, feeds = Config(), SystemClock(), Apart(), tuple(ROUTES)
    found = []
    with (
        patch("thirdrail.pipeline.loop.told", apart.of(told)),
        patch.object(Buckets, "observe", apart.of(Buckets.observe)),
        tempfile.TemporaryDirectory() as folder,
        app.writing(Path(folder) / "d", config, clock, (SIMULATED,)) as work,
    ):
        work.note_settings()
        run = Run(work, polled(config, environment={}), clock, lambda _text: None)
        (carrier,) = run.carriers
        page = Page(lambda: samples(run))
        with Health(("127.0.0.1", 0), page, lambda: not_live(run), lambda: not_ready(run)) as health:
            for number in range(batches + WARM):
                at, first = AT + INTERVAL_S * number, FEEDS_A_BATCH * number
                polled_now = [feeds[(first + place) % len(feeds)] for place in range(FEEDS_A_BATCH)]
                work.append([(Poll(feed_id=f, fetched_at=at * 1_000_000), body(0, f, at)) for f in polled_now])
                apart.seconds, began = 0.0, time.process_time()
                carrier.carry()
                carried = time.process_time()
                if carrier.failures or run.lag(carrier):
                    raise RuntimeError(carrier.state.trouble)
                with urllib.request.urlopen(f"{health.url}/metrics") as answer:  # noqa: S310 - our own
                    answer.read()
                observed = apart.seconds + time.process_time() - carried
                if number >= WARM:
                    found.append(observed / (carried - began - apart.seconds))
    return found


if __name__ == "__main__":
    count = int(sys.argv[1]) if sys.argv[1:] else BATCHES
    low, middle, high = statistics.quantiles(shares(count), n=4)
    print(f"observing: {middle:.1%} of the CPU of carrying ({count} batches; median; quartiles {low:.1%}, {high:.1%})")
