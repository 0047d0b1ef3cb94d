"""What hangs is begun anew: a part that does not come back from what it does, not one that meets errors or has no work.

A part that errs says so and tries again by itself, and one whose source is silent or frozen comes back from every
call. So neither is restarted, whatever the feeds do (decision 18).
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from thirdrail.errors import ThirdRailError
from thirdrail.observe.logs import Event, Say

IN_A_ROW = 3
"""Restarts in vain; then only a new process may help, and ``/livez`` says so. Each leaves a thread behind."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something that can be begun anew.

    ``stuck_s`` gives how long it has not come back (s), 0 while it does. It is restarted beyond ``bound_s``;
    ``restart`` may block. ``moves`` gives whether all of it has come back at least once since it was begun.
    """

    name: str
    bound_s: float
    stuck_s: Callable[[], float]
    restart: Callable[[], None]
    moves: Callable[[], bool]


@dataclass(slots=True)
class _Watched:
    part: Part
    restarts: int = 0
    """In a row."""
    all_restarts: int = 0
    is_warned: bool = False
    thread: threading.Thread | None = None


class Watchdog:
    """Looks when it is told to; restarts happen in threads of their own, for what they ask may hang as well."""

    def __init__(self, parts: Iterable[Part], say: Say) -> None:
        self._say = say
        self._watched = {part.name: _Watched(part) for part in parts}

    def look(self) -> None:
        """Warn of what takes long, begin anew what takes too long, say what moves again."""
        for watched in self._watched.values():
            if watched.thread is None or not watched.thread.is_alive():
                self._look(watched)

    def _look(self, watched: _Watched) -> None:
        part, stuck = watched.part, watched.part.stuck_s()
        if stuck > part.bound_s:
            if watched.restarts < IN_A_ROW:
                self._restart(watched, stuck)
        elif stuck > part.bound_s / 2:
            if not watched.is_warned:
                watched.is_warned = True
                text = f"{part.name} has not come back for {stuck:.0f} s; after {part.bound_s:.0f} s it is restarted"
                self._say(Event("part_late", text, part=part.name, seconds=stuck))
        elif not stuck and part.moves():
            if watched.restarts:
                text = f"{part.name} moves again, restarts: {watched.restarts}"
                self._say(Event("part_recovered", text, part=part.name, restarts=watched.restarts))
            watched.restarts, watched.is_warned = 0, False

    def _restart(self, watched: _Watched, stuck: float) -> None:
        part = watched.part
        watched.restarts += 1
        watched.all_restarts += 1
        last = "" if watched.restarts < IN_A_ROW else "; if that is in vain, only a new process may help"
        text = f"{part.name} has not come back for {stuck:.0f} s: it is restarted, nothing is lost{last}"
        self._say(Event("part_restarted", text, part=part.name, seconds=stuck, restarts=watched.restarts))
        watched.thread = threading.Thread(target=self._begun_anew, args=(part,), name="restart", daemon=True)
        watched.thread.start()

    def _begun_anew(self, part: Part) -> None:
        try:
            part.restart()
        except ThirdRailError as error:
            text = f"{part.name} cannot be restarted: {error}" + (f" ({error.hint})" if error.hint else "")
            self._say(Event("part_not_restarted", text, part=part.name, reason=str(error), hint=error.hint))
        except Exception as error:  # noqa: BLE001 - a thread's top: it is tried again
            text = f"{part.name} cannot be restarted: unexpected {type(error).__name__}: {error}"
            self._say(Event("part_not_restarted", text, part=part.name, reason=str(error), exc_info=error))

    def restarts(self, name: str) -> int:
        """Give how often a part was restarted since the run began."""
        return self._watched[name].all_restarts

    def hopeless(self) -> dict[str, str]:
        """Give the parts that restarts did not help, and why only a new process may."""
        return {
            name: f"it has not come back for {stuck:.0f} s, after {IN_A_ROW} restarts"
            for name, watched in self._watched.items()
            if watched.restarts >= IN_A_ROW and (stuck := watched.part.stuck_s()) > watched.part.bound_s
        }
