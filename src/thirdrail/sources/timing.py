"""When a feed is polled next. Pure: the jitter is a parameter."""

from http import HTTPStatus

from thirdrail.sources.answers import HTTP_ERROR

LONGEST_WAIT_S = 60.0
"""After network failures and 5xx: what was cut for two minutes is back a minute later at most."""

LONGEST_WAIT_REFUSED_S = 300.0
"""After 4xx, which waiting does not cure."""

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
