"""A wall clock that is wrong."""

from thirdrail.model.ports import Clock


class ShiftedClock:
    """Shows another clock's wall time some seconds ahead (or, below zero, behind), as after a bad correction.

    ``monotonic`` and ``sleep`` are the other clock's, unchanged.
    """

    def __init__(self, base: Clock, offset_seconds: float = 0.0) -> None:
        self._base = base
        self.offset_seconds = offset_seconds

    def shift(self, seconds: float) -> None:
        """Move the wall clock on (or, below zero, back) by that much more, at once."""
        self.offset_seconds += seconds

    def now(self) -> int:
        """Microseconds since 1970 UTC, shifted."""
        return self._base.now() + round(self.offset_seconds * 1_000_000)

    def monotonic(self) -> float:
        """Seconds that never go back; never shifted."""
        return self._base.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block as the other clock does."""
        self._base.sleep(seconds)
