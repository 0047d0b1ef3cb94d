"""SIRI's whole fleet is asked for at most once in 30 s, whatever the configuration or the number of restarts."""

import asyncio

import pytest

from thirdrail.model.feeds import BY_ID, SIRI_JSON, Feed
from thirdrail.sources.timing import WHOLE_FLEET_S, Turns


class Time:
    """Seconds that pass only by waiting."""

    def __init__(self) -> None:
        self.now = 1_000.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def taken(turns: Turns, time: Time, number: int) -> list[float]:
    async def take() -> list[float]:
        found = []
        for _ in range(number):
            await turns.take()
            found.append(time.now)
        return found

    return asyncio.run(take())


def test_turns_are_apart_and_the_first_comes_a_whole_time_after_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time()
    monkeypatch.setattr("thirdrail.sources.timing.asyncio.sleep", time.sleep)
    assert taken(Turns(WHOLE_FLEET_S, lambda: time.now), time, 3) == [1_030.0, 1_060.0, 1_090.0]
    # A restart at any moment: the process before asked at 1,090 at the latest.
    time.now = 1_095.0
    assert taken(Turns(WHOLE_FLEET_S, lambda: time.now), time, 1) == [1_125.0]


@pytest.mark.parametrize(
    ("url", "is_whole"),
    [
        (BY_ID["siri_vehicles"].url, True),
        ("https://x/api/siri/vehicle-monitoring.json?LineRef=MTA%20NYCT_B63", False),
        ("https://x/api/siri/vehicle-monitoring.json?vehicleref=MTA%20NYCT_1&version=2", False),
        ("https://x/api/siri/stop-monitoring.json?MonitoringRef=308214", False),
    ],
)
def test_only_the_whole_fleet_is_held_back(url: str, *, is_whole: bool) -> None:
    assert Feed(id="x", family="siri", url=url, meaning="", format=SIRI_JSON).is_whole_fleet is is_whole
