"""A clock that tests own."""


class FakeClock:
    """Stands still until told: ``advance`` moves both clocks, ``jump`` the wall clock alone."""

    def __init__(self, now: int = 1_780_000_000_000_000) -> None:
        self._now, self._monotonic = now, 0.0

    def now(self) -> int:
        """Microseconds since 1970 UTC."""
        return self._now

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        """Pass the time at once."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._monotonic += seconds
        self._now += int(seconds * 1_000_000)

    def jump(self, seconds: float) -> None:
        """Correct the wall clock, forward or back."""
        self._now += int(seconds * 1_000_000)
