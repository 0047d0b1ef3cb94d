"""Snowflake's documented limits, per channel and request; any of them can be switched off (None)."""

import time
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """As documented in November 2026; older pages name others."""

    body_bytes: int | None = 4 << 20
    """of a request on the wire, compressed"""
    requests_per_second: int | None = 10
    """of a channel"""
    bytes_per_second: int | None = 12 << 20
    """of a channel, uncompressed"""
    channels_per_pipe: int | None = 2_000
    files_per_call: int = 5_000
    """of insertFiles"""


class Rate:
    """What one channel was sent within the last second."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._seen: deque[tuple[float, int]] = deque()

    def is_over(self, size: int) -> bool:
        """Count a request of so many bytes; tell whether it is one too many, and then it does not count."""
        now = time.monotonic()
        while self._seen and now - self._seen[0][0] > 1.0:
            self._seen.popleft()
        too_often = self._limits.requests_per_second is not None and len(self._seen) >= self._limits.requests_per_second
        sent = sum(each for _, each in self._seen)
        too_much = (
            self._limits.bytes_per_second is not None and sent > 0 and sent + size > self._limits.bytes_per_second
        )
        if too_often or too_much:
            return True
        self._seen.append((now, size))
        return False
