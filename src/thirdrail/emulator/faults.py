"""Faults on demand: answers of another status, resets, thefts, frozen commits, refused rows; and two mutants.

Set from Python (``server.faults``) or with ``POST /emulator/faults``. A mutant breaks the emulator's own promise
(an append applied twice, an accepted row lost): a test of exactly-once that it does not fail proves nothing.
"""

import threading
from collections import deque

import msgspec

CALLS = (
    *("hostname", "token", "pipe_info", "open", "rows", "filebuffer", "status", "drop", "s3"),
    *("login", "query", "abort", "insert_files", "insert_report", "load_history"),
)


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happens to the next answers of a call.

    ``reset`` cuts the connection ``before`` the request is applied or ``after``; otherwise an answer of ``status`` is
    given, before the request is applied, or after it with ``applied``. ``delay_s`` waits first.
    """

    call: str
    status: int = 0
    code: str = "INJECTED"
    body: str = ""
    times: int = 1
    reset: str = ""
    applied: bool = False
    delay_s: float = 0.0


class Faults:
    """What is to go wrong. Any thread may ask and set."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next: dict[str, deque[Fault]] = {}
        self.is_frozen = False
        self.doubles = False
        self.loses = False
        self.spoil: dict[str, bytes] = {}
        """Table → text; a line that holds it is refused."""
        self.happened: dict[str, int] = {}

    def add(self, fault: Fault) -> None:
        """Let a fault happen to the next answers of its call."""
        with self._lock:
            self._next.setdefault(fault.call, deque()).extend([fault] * fault.times)

    def next(self, call: str) -> Fault | None:
        """Give what happens to this answer; None for nothing."""
        with self._lock:
            waiting = self._next.get(call)
            if not waiting:
                return None
            self.happened[call] = self.happened.get(call, 0) + 1
            return waiting.popleft()
