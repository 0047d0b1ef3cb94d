"""When a feed is polled next: time and jitter are parameters."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from thirdrail.sources.answers import HTTP_ERROR

LONGEST_WAIT_S = 60.0
"""After network failures and 5xx: what was cut for two minutes is back a minute later at most."""

LONGEST_WAIT_REFUSED_S = 300.0
"""After 4xx, which waiting does not cure."""

WHOLE_FLEET_S = 30.0
"""SIRI's whole fleet may be asked once in this time; keys that ask more often are cut off."""

_JITTER = 0.1
_DOUBLINGS = 12


def wait_seconds(interval: float, failures: int, *, outcome: str, status: int | None, chance: float) -> float:
    """Give the seconds from the start of one poll to the next.

    ``failures`` counts failed polls in a row; ``chance`` is uniform in [0, 1). The wait doubles with each
    failure up to a cap, and varies by a tenth so that feeds and processes do not fall into step.
    """
    is_refused = outcome == HTTP_ERROR and status is not None and status < HTTPStatus.INTERNAL_SERVER_ERROR
    cap = max(interval, LONGEST_WAIT_REFUSED_S if is_refused else LONGEST_WAIT_S)
    doublings = max(0, min(failures, _DOUBLINGS) - 1)
    return min(cap, interval * 2.0**doublings) * (1 + _JITTER * (2 * chance - 1))


class Turns:
    """Turns at something that may be asked once in a time, at least that long apart.

    The first comes a whole time after the process began to ask: whoever asked before it, under the same key, cannot
    have done so later than that. For one event loop; ``now`` gives its seconds.
    """

    def __init__(self, apart_s: float, now: Callable[[], float]) -> None:
        self._apart_s, self._now = apart_s, now
        self._next = now() + apart_s

    async def take(self) -> None:
        """Wait for the next turn and take it."""
        turn = max(self._next, self._now())
        self._next = turn + self._apart_s
        await asyncio.sleep(max(0.0, turn - self._now()))
