"""A sink in memory: for tests and simulations; same contract as Iceberg."""

import pyarrow as pa

from thirdrail.model.records import Position, Span
from thirdrail.model.tables import Table
from thirdrail.sinks.spans import record_offsets, still_wanted


class MemorySink:
    """Tables that live as long as the object; writers come and go."""

    name = "memory"

    def __init__(self) -> None:
        self.tables: dict[str, list[pa.Table]] = {}
        self.positions: dict[tuple[str, str, str], Position] = {}

    def open(self, table: Table, log_id: str, partition: str) -> "MemoryWriter":
        """Give the writer of a table."""
        self.tables.setdefault(table.name, [])
        return MemoryWriter(self, table, (table.name, log_id, partition))

    def rows(self, table: Table) -> pa.Table:
        """Give everything that was committed."""
        return pa.concat_tables([table.arrow_schema.empty_table(), *self.tables.get(table.name, [])])


class MemoryWriter:
    """Commits at once; the sink holds rows and position."""

    def __init__(self, sink: MemorySink, table: Table, name: tuple[str, str, str]) -> None:
        self._sink, self._table, self._name = sink, table, name

    @property
    def position(self) -> Position | None:
        """How far the table is."""
        return self._sink.positions.get(self._name)

    def commit(self, rows: pa.Table, span: Span, offsets: pa.Array | None = None) -> None:
        """Add the rows that are wanted and move the position."""
        position = self.position
        if position is not None and span.end <= position and span.end > span.start:
            return
        wanted = still_wanted(rows, record_offsets(rows, offsets), span, position, self._table.name)
        if len(wanted):
            self._sink.tables[self._table.name].append(wanted)
        self._sink.positions[self._name] = max(span.end, position or 0)

    def close(self) -> None:
        """Nothing to release."""
