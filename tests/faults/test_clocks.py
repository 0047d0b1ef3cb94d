"""A shifted clock is wrong about the wall time alone."""

from tests.fakes.clock import FakeClock
from tests.faults.clocks import ShiftedClock
from thirdrail.model.ports import Clock


def test_the_wall_clock_is_shifted_at_once_and_adds_up() -> None:
    base = FakeClock(now=1_000_000_000)
    clock = ShiftedClock(base, 2.5)
    assert clock.now() == 1_002_500_000
    clock.shift(-4)
    assert clock.now() == 998_500_000
    base.advance(1)
    assert clock.now() == 999_500_000


def test_the_monotonic_clock_never_is() -> None:
    base = FakeClock()
    clock: Clock = ShiftedClock(base, 3_600)
    assert clock.monotonic() == base.monotonic() == 0
    clock.sleep(3)
    assert clock.monotonic() == base.monotonic() == 3
