"""Does every table hold exactly what the log says it must? Recomputed, row by row.

Span by span, in bounded memory: the same pure functions make the rows again under the settings recorded in
the log, and identity and content columns are compared with what the table holds up to its position.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Protocol

import polars as pl
import pyarrow as pa

from thirdrail.model import feeds as declared
from thirdrail.model.feeds import Feed
from thirdrail.model.ports import CaptureLog
from thirdrail.model.records import Entry, Poll
from thirdrail.model.tables import FEED_MESSAGES, QUARANTINE, TABLES, Role, Table
from thirdrail.pipeline.changes import Unknown
from thirdrail.pipeline.columns import NEVER, ColumnsSince
from thirdrail.pipeline.orders import REJECTED
from thirdrail.pipeline.processor import Processor
from thirdrail.pipeline.streams import READ_BACK_SECONDS
from thirdrail.pipeline.transform import Rows
from thirdrail.quality.keys import row_hashes

READ_ENTRIES, READ_BYTES = 128, 4 << 20
_IDENTITY_SEED, _CONTENT_SEED = 11, 5_000


class TableReader(Protocol):
    """One snapshot of a table, pinned."""

    @property
    def positions(self) -> Mapping[tuple[str, str], int]:
        """Log id and partition → position."""
        ...

    @property
    def since(self) -> Mapping[str, Mapping[tuple[str, str], int]]:
        """Column → the positions at which it came to the table; rows below them have no value for it."""
        ...

    @property
    def lacks(self) -> frozenset[str]:
        """Declared columns that the table has not got yet: a writer's first commit brings them."""
        ...

    @property
    def begun(self) -> Mapping[tuple[str, str], int]:
        """Where the table began in each log; a capture below gave it no rows. One that is not in began with the log."""
        ...

    @property
    def kept_from(self) -> int | None:
        """The instant (µs UTC) from which on rows are kept; those fetched before it were dropped on purpose."""
        ...

    def scan(self, columns: list[str], start: int | None, end: int | None) -> Iterator[pa.Table]:
        """Rows with ``start <= capture_offset < end``."""
        ...


@dataclass(slots=True)
class AuditReport:
    """What an audit found.

    ``ok`` when the first four faults are 0, counts agree, something was verified, and no rejection waits to be settled.
    """

    captures: int = 0
    rows_expected: int = 0
    rows_found: int = 0
    missing: int = 0
    duplicated: int = 0
    unexpected: int = 0
    altered: int = 0
    pending: int = 0
    unverifiable: int = 0
    restored: int = 0
    window: dict[str, object] = field(default_factory=dict)
    faults_by_table: dict[str, dict[str, int]] = field(default_factory=dict)
    rejected: list[dict[str, object]] = field(default_factory=list)
    """Rows that another sink refused and that nobody has settled: where they lie, and why."""
    ok: bool = False

    @property
    def faults(self) -> int:
        """Rows that are not as they must be."""
        return self.missing + self.duplicated + self.unexpected + self.altered

    def note(self, table: str, **counts: int) -> None:
        """Add counts of faults of one table."""
        for name, count in counts.items():
            if count:
                setattr(self, name, getattr(self, name) + count)
                by_fault = self.faults_by_table.setdefault(table, {})
                by_fault[name] = by_fault.get(name, 0) + count

    def as_dict(self) -> dict[str, object]:
        """Give the report for ``--json``."""
        return asdict(self)


def identity_columns(table: Table) -> list[str]:
    """Give the columns that name a row's place; a removal marker borrows its base's, so its kind counts too."""
    if table is QUARANTINE:
        return ["quarantine_id", "restored_by_offset", "capture_offset"]
    if table is FEED_MESSAGES:
        return ["capture_offset"]
    place = [table.place] if table.place else []
    return ["capture_offset", "entity_ordinal", *place, "is_removed", "restored_by_offset"]


def _hashed(table: Table, rows: pa.Table, unknown: Unknown) -> pl.DataFrame:
    """Give ``capture_offset``, ``identity`` and ``content`` hashes of each row, unknown columns left out."""
    compared = [name for name in _compared(table) if name not in unknown.get(table.name, ())]
    frame: pl.DataFrame = pl.from_arrow(rows.select(compared))  # type: ignore[assignment]
    lists = [name for name, kind in frame.schema.items() if isinstance(kind, pl.List)]
    frame = frame.with_columns(pl.col(lists).list.join("\x1f"))
    if "change_kind" in frame.columns:
        frame = frame.with_columns(is_removed=pl.col("change_kind") == "removed")
    names = identity_columns(table)
    others = [name for name in frame.columns if name not in names]
    return pl.DataFrame(
        {
            "capture_offset": frame["capture_offset"],
            "identity": row_hashes(frame, names, _IDENTITY_SEED),
            "content": row_hashes(frame, others, _CONTENT_SEED),
        }
    )


def _compared(table: Table) -> list[str]:
    return table.names(Role.IDENTITY, Role.CONTENT)


class Audit:
    """One audit: ``run`` walks the log from a start to its end and gives the report."""

    def __init__(
        self,
        log: CaptureLog,
        partition: str,
        readers: Mapping[str, TableReader],
        feeds: Mapping[str, Feed] = declared.BY_ID,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._log, self._partition, self._readers, self._feeds = log, partition, readers, feeds
        self._progress = progress or (lambda _done, _total: None)
        self._positions = {name: reader.positions.get((log.log_id, partition), 0) for name, reader in readers.items()}
        self._restored: dict[str, list[pa.Table]] = {}
        self._report = AuditReport()
        self._edges: dict[tuple[str, str], int] = {}
        self._unknown: Unknown = {}
        source = (log.log_id, partition)
        since = {
            name: {**reader.since, **{column: {source: NEVER} for column in reader.lacks}}
            for name, reader in readers.items()
        }
        self._columns = ColumnsSince.of(since, source)

    def run(self, since: int | None = None) -> AuditReport:
        """Audit every capture fetched at or after ``since`` (µs UTC; None for all that the log holds)."""
        first, end = self._log.first(self._partition), self._log.end(self._partition)
        committed = self._positions[FEED_MESSAGES.name]
        start = first if since is None else self._start_at(since, first)
        self._report.window = {"start": start, "end": committed, "log_first": first, "log_end": end}
        self._report.pending = self._log.count(self._partition, committed)
        position, until = start, start
        while position < committed:
            if position >= until:
                # Columns came to some table here: what wrote the rows from here on compared them too.
                self._unknown = self._columns.unknown_at(position)
                until = self._columns.next_step(position, committed)
                processor = Processor(self._log, self._partition, position, self._feeds, unknown=self._unknown)
            found = self._log.read(self._partition, position, READ_ENTRIES, READ_BYTES)
            entries = [entry for entry in found if entry.offset < min(until, committed)]
            if not entries:
                if not found or found[0].offset >= committed:
                    break
                position = until
                continue
            self._span(processor, entries, position, entries[-1].offset + 1, is_log_whole=first == 0)
            position = entries[-1].offset + 1
            self._progress(position - start, committed - start)
        self._beyond(position if position > start else committed)
        self._compare_restored(start)
        self._foreign()
        self._report.rejected = self._open_rejections()
        self._report.ok = self._report.faults == 0 and self._report.captures > 0 and not self._report.rejected
        return self._report

    def _start_at(self, since: int, first: int) -> int:
        position = first
        while entries := self._log.read(self._partition, position, READ_ENTRIES, READ_BYTES):
            for entry in entries:
                if isinstance(entry.record, Poll) and entry.record.fetched_at >= since:
                    return entry.offset
            position = entries[-1].offset + 1
        return position

    def _span(self, processor: Processor, entries: list[Entry], start: int, end: int, *, is_log_whole: bool) -> None:
        """Compare one span of every table."""
        rows = Rows()
        captures = processor.process(entries, rows)
        skipped = set() if is_log_whole else self._unverifiable(entries)
        self._report.captures += captures - len(skipped)
        self._report.unverifiable += len(skipped)
        for table in TABLES:
            position = self._positions[table.name]
            expected = self._expected(table, rows, position, skipped)
            found = self._found(table, start, min(end, position) if position > start else start, skipped)
            self._compare(table, expected, found)

    def _unverifiable(self, entries: list[Entry]) -> set[int]:
        """Give the captures so near the log's first day that what decided their rows may be gone."""
        near: set[int] = set()
        for entry in entries:
            poll = entry.record
            if isinstance(poll, Poll):
                edge = self._edges.setdefault((poll.feed_id, poll.origin), poll.fetched_at)
                if poll.fetched_at < edge + READ_BACK_SECONDS * 1_000_000:
                    near.add(entry.offset)
        return near

    def _expected(self, table: Table, rows: Rows, position: int, skipped: set[int]) -> pl.DataFrame:
        """Give the hashes of the rows that must be there; rows of replay orders are put aside."""
        parts = []
        for part, offsets in zip(rows.tables.get(table.name, []), rows.offsets.get(table.name, []), strict=True):
            if "restored_by_offset" in part.column_names and part.column("restored_by_offset").null_count < len(part):
                kept = part.filter(pa.compute.less(offsets, position))
                self._restored.setdefault(table.name, []).append(kept)
                continue
            parts.append(part)
        whole = pa.concat_tables([*parts, table.arrow_schema.empty_table()])
        hashed = _hashed(table, self._kept(table, whole), self._unknown)
        begun = self._readers[table.name].begun.get((self._log.log_id, self._partition), 0)
        hashed = hashed.filter((pl.col("capture_offset") < position) & (pl.col("capture_offset") >= begun))
        return hashed.filter(~pl.col("capture_offset").is_in(list(skipped))) if skipped else hashed

    def _found(self, table: Table, start: int, end: int, skipped: set[int]) -> pl.DataFrame:
        """Give the hashes of this log's rows in a span, those of replay orders left out."""
        batches = [self._ours(batch) for batch in self._readers[table.name].scan(table.names(), start, end)]
        whole = pa.concat_tables([*batches, table.arrow_schema.empty_table().select(table.names())])
        if "restored_by_offset" in whole.column_names:
            whole = whole.filter(pa.compute.is_null(whole.column("restored_by_offset")))
        hashed = _hashed(table, self._kept(table, whole), self._unknown)
        return hashed.filter(~pl.col("capture_offset").is_in(list(skipped))) if skipped else hashed

    def _kept(self, table: Table, rows: pa.Table) -> pa.Table:
        """Give the rows of days that the table keeps."""
        first = self._readers[table.name].kept_from
        if first is None:
            return rows
        fetched = rows.column("fetched_at")
        return rows.filter(pa.compute.greater_equal(fetched, pa.scalar(first, fetched.type)))

    def _ours(self, batch: pa.Table) -> pa.Table:
        return batch.filter(pa.compute.equal(batch.column("capture_log"), self._log.log_id))

    def _compare(self, table: Table, expected: pl.DataFrame, found: pl.DataFrame) -> None:
        self._report.rows_expected += len(expected)
        self._report.rows_found += len(found)
        distinct = found.unique("identity", keep="first")
        both = expected.join(distinct, on="identity", how="left", suffix="_found")
        self._report.note(
            table.name,
            missing=int(both["content_found"].is_null().sum()),
            altered=int((both["content"] != both["content_found"]).fill_null(value=False).sum()),
            duplicated=len(found) - len(distinct),
            unexpected=int((~distinct["identity"].is_in(expected["identity"].implode())).sum()),
        )

    def _beyond(self, position: int) -> None:
        """Rows of this log above what was committed are nobody's."""
        for table in TABLES:
            above = max(position, self._positions[table.name])
            for batch in self._readers[table.name].scan(["capture_log", "capture_offset"], above, None):
                self._report.note(table.name, unexpected=len(self._ours(batch)))

    def _compare_restored(self, start: int) -> None:
        """Compare the rows that replay orders brought back, over the whole window at once: they are few."""
        unknown = self._columns.unknown_at(start)
        for table in TABLES:
            if "restored_by_offset" not in table.names():
                continue
            parts = self._restored.get(table.name, [])
            expected = pa.concat_tables([*parts, table.arrow_schema.empty_table()])
            batches = []
            for batch in self._readers[table.name].scan(table.names(), None, None):
                ours = self._ours(batch)
                batches.append(ours.filter(pa.compute.greater_equal(ours.column("restored_by_offset"), start)))
            found = pa.concat_tables([*batches, table.arrow_schema.empty_table()])
            self._report.restored += len(expected)
            expected, found = (_hashed(table, self._kept(table, rows), unknown) for rows in (expected, found))
            self._compare(table, expected, found)

    def _open_rejections(self) -> list[dict[str, object]]:
        """Give the rejections that no order has settled, of the whole table: they do not grow old."""
        names = ["quarantine_id", "restored_by_offset", "primary_rule_id", "capture_log", "capture_offset"]
        names += ["origin", "target_table", "row_key", "reason"]
        batches = [self._ours(batch) for batch in self._readers[QUARANTINE.name].scan(names, None, None)]
        whole = pl.DataFrame(pa.concat_tables([QUARANTINE.arrow_schema.empty_table().select(names), *batches]))
        settled = whole.filter(pl.col("restored_by_offset").is_not_null())["quarantine_id"].implode()
        is_open = (pl.col("primary_rule_id") == REJECTED) & ~pl.col("quarantine_id").is_in(settled)
        found = whole.filter(is_open).sort("capture_offset")
        return found.select("quarantine_id", "target_table", "row_key", "reason", sink="origin").to_dicts()

    def _foreign(self) -> None:
        """Rows of a log that this table was never fed from are unexpected; of an earlier log, unverifiable."""
        for table in TABLES:
            reader = self._readers[table.name]
            known = [log_id for log_id, _ in reader.positions]
            for batch in reader.scan(["capture_log", "capture_offset"], None, None):
                logs = batch.column("capture_log")
                foreign = pa.compute.invert(pa.compute.is_in(logs, value_set=pa.array(known, logs.type)))
                self._report.note(table.name, unexpected=int(pa.compute.sum(foreign).as_py() or 0))
                earlier = pa.compute.and_not(pa.compute.invert(foreign), pa.compute.equal(logs, self._log.log_id))
                self._report.unverifiable += int(pa.compute.sum(earlier).as_py() or 0)
