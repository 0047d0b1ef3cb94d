"""A stage and its pipes in memory that a seed drives: loads late and in any order, and its callers die at any call."""

import datetime as dt
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

from tests.fakes.clock import FakeClock
from tests.fakes.sinks import Crashed
from thirdrail.errors import SnowflakeUnavailable
from thirdrail.model.tables import Table
from thirdrail.sinks.snowpipe.ports import FAILED, LOADED, Outcome, Staged


class FakeSnowpipe:
    """All stages and pipes. ``crash_rate`` and ``lost_rate`` are chances, of each call, of a death or a lost answer.

    ``load_rate`` is the chance of each waiting file to be loaded at a call. ``remembers`` is off for the mutant that
    loads a name as often as it is submitted.
    """

    def __init__(
        self,
        random: Random,
        clock: FakeClock,
        *,
        crash_rate: float = 0.0,
        lost_rate: float = 0.0,
        remembers: bool = True,
    ) -> None:
        self.random, self.clock, self.crash_rate, self.lost_rate = random, clock, crash_rate, lost_rate
        self.load_rate, self.remembers = 0.1, remembers
        self.files: dict[str, dict[str, tuple[bytes, dt.datetime]]] = {}
        self.waiting: dict[str, list[str]] = {}
        self.fates: dict[str, dict[str, Outcome]] = {}
        self.rows: dict[str, list[pa.Table]] = {}

    def place(self, table: Table) -> tuple["FakePlace", "FakePlace"]:
        """Give a table's stage and pipe."""
        place = FakePlace(self, table.name)
        return place, place

    def happen(self) -> None:
        """Let a call's process die, or its answer be lost."""
        if self.random.random() < self.crash_rate:
            raise Crashed
        if self.random.random() < self.lost_rate:
            raise SnowflakeUnavailable("lost")

    def load(self, table: str) -> None:
        """Load some of what waits."""
        waiting = self.waiting.setdefault(table, [])
        for path in [path for path in waiting if self.random.random() < self.load_rate]:
            waiting.remove(path)
            file = self.files[table].get(path)
            if file is None:
                self.fates[table][path] = Outcome(FAILED, 0, 1, "no such file")
                continue
            found = pq.read_table(io.BytesIO(file[0]))
            self.rows.setdefault(table, []).append(found)
            self.fates[table][path] = Outcome(LOADED, len(found), 0, "")


class FakePlace:
    """One table's stage and pipe; every call may be its caller's last, before or after it has had its effect."""

    def __init__(self, server: FakeSnowpipe, table: str) -> None:
        self._server, self._table = server, table
        self._files = server.files.setdefault(table, {})
        self._waiting = server.waiting.setdefault(table, [])
        self._fates = server.fates.setdefault(table, {})

    def put(self, file: Path, path: str) -> None:
        """As Stage."""
        self._server.happen()
        now = dt.datetime.fromtimestamp(self._server.clock.now() / 1e6, dt.UTC)
        self._files[path] = (file.read_bytes(), now)
        self._server.happen()

    def files(self) -> Sequence[Staged]:
        """As Stage."""
        self._server.load(self._table)
        self._server.happen()
        return [Staged(path, len(data), modified) for path, (data, modified) in self._files.items()]

    def remove(self, path: str) -> None:
        """As Stage."""
        self._server.happen()
        self._files.pop(path, None)
        self._server.happen()

    def submit(self, files: Sequence[tuple[str, int]]) -> None:
        """As Loading."""
        self._server.happen()
        for path, _ in files:
            if not self._server.remembers or (path not in self._waiting and path not in self._fates):
                self._waiting.append(path)
        self._server.happen()

    def recent(self) -> Mapping[str, Outcome]:
        """As Loading; now and then it has nothing to tell."""
        self._server.load(self._table)
        self._server.happen()
        return {} if self._server.random.random() < 0.2 else dict(self._fates)

    def history(self, since: dt.datetime) -> Mapping[str, Outcome]:
        """As Loading."""
        del since
        self._server.load(self._table)
        self._server.happen()
        return dict(self._fates)
