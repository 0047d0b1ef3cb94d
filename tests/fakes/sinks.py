"""Sinks that fail in named ways."""

from random import Random

import pyarrow as pa

from thirdrail.model.ports import Writer
from thirdrail.model.records import Position, Span
from thirdrail.model.tables import Table
from thirdrail.sinks.memory import MemorySink


class Crashed(BaseException):
    """The process is gone; nothing in the program may catch this."""


class CrashingSink:
    """A sink in which the process dies before or after some commits; what was committed stays."""

    name = "memory"

    def __init__(self, sink: MemorySink, random: Random, rate: float) -> None:
        self._sink, self._random, self._rate = sink, random, rate

    def open(self, table: Table, log_id: str, partition: str) -> Writer:
        """Give a writer that may die."""
        return CrashingWriter(self._sink.open(table, log_id, partition), self._random, self._rate)


class CrashingWriter:
    """Dies before, or after, handing a commit on."""

    def __init__(self, writer: Writer, random: Random, rate: float) -> None:
        self._writer, self._random, self._rate = writer, random, rate

    @property
    def position(self) -> Position | None:
        """As the table says."""
        return self._writer.position

    def commit(self, rows: pa.Table, span: Span, offsets: pa.Array | None = None) -> None:
        """Commit, unless the process dies first."""
        fate = self._random.random()
        if fate < self._rate:
            raise Crashed
        self._writer.commit(rows, span, offsets)
        if fate > 1 - self._rate:
            raise Crashed

    def close(self) -> None:
        """Close."""
        self._writer.close()
