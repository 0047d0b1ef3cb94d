"""Alive is not moving: every stage says when it last made progress, and a bound says when that is too long ago."""

from collections.abc import Iterable
from typing import NamedTuple


class Stage(NamedTuple):
    """One part of the way. ``moved_at`` and the moment of asking are of one clock, in seconds.

    ``trouble`` is what the stage itself says is wrong; it counts at once.
    """

    name: str
    moved_at: float
    bound_s: float
    trouble: str = ""


def standing(stages: Iterable[Stage], now: float) -> dict[str, str]:
    """Give each stage that is not well, and why."""
    found = {}
    for stage in stages:
        still = now - stage.moved_at
        if stage.trouble:
            found[stage.name] = stage.trouble
        elif still > stage.bound_s:
            found[stage.name] = f"no progress for {still:.0f} s, {stage.bound_s:.0f} s are allowed"
    return found
