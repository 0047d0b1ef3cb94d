"""Records of a log → rows, each under the settings before it; the part of the loop that audit repeats."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import pyarrow as pa

from thirdrail.decode.formats import remembering
from thirdrail.model.feeds import Feed
from thirdrail.model.ports import CaptureLog
from thirdrail.model.records import Entry, Poll, Rejection, ReplayOrder, Settings, Span
from thirdrail.pipeline.changes import Unknown
from thirdrail.pipeline.orders import rejected, restore, send_again, settle
from thirdrail.pipeline.streams import Streams
from thirdrail.pipeline.transform import Context, Polls, Rows, feeds_under, transform

_PAGE_ENTRIES, _PAGE_BYTES = 128, 4 << 20

Owns = Callable[[str | None], bool]
"""Whether the rows of a feed are wanted; asked with None, those of replay orders and rejections."""


def all_feeds(_feed_id: str | None) -> bool:
    """Want all rows."""
    return True


class Processor:
    """Turns the records of one partition into rows, from a position on, in order; of some feeds alone, if so asked."""

    def __init__(
        self,
        log: CaptureLog,
        partition: str,
        position: int,
        feeds: Mapping[str, Feed],
        owns: Owns = all_feeds,
        unknown: Unknown = MappingProxyType({}),
        *,
        sink: str = "",
    ) -> None:
        """``sink`` is the one that the rows are for: it alone gets what it had refused again."""
        self._log, self._partition, self._feeds, self._owns = log, partition, feeds, owns
        self._sink = sink
        self._streams, self._unknown = Streams(log, partition, feeds, unknown), unknown
        self._settings = log.settings_before(partition, position) or Settings()
        self._decoders = remembering()

    def process(self, entries: list[Entry], rows: Rows) -> int:
        """Add the rows of these entries; give how many captures they held."""
        polls: Polls = []
        captures = 0
        for entry in entries:
            if isinstance(entry.record, Poll):
                if not self._owns(entry.record.feed_id):
                    continue
                polls.append((entry.offset, entry.record, entry.body))
                captures += 1
                continue
            transform(polls, self._context(), self._streams, rows)
            polls = []
            if isinstance(entry.record, Settings):
                self._settings = entry.record
            elif self._owns(None):
                self._process_order(entry, rows)
        transform(polls, self._context(), self._streams, rows)
        return captures

    def _process_order(self, entry: Entry, rows: Rows) -> None:
        match entry.record:
            case ReplayOrder() as order:
                captures = {offset: found for offset in order.captures if (found := self._entry(offset)) is not None}
                restore(entry.offset, order, captures, self._context(), rows)
                settle(entry.offset, order, self._context(), rows)
                send_again(entry.offset, order, self._sink, self._log.log_id, self._again, rows)
            case Rejection() as rejection:
                rejected(entry.offset, rejection, self._context(), rows)

    def _again(self, table: str, records: Span) -> Iterator[tuple[pa.Table, pa.Array]]:
        """Make a table's rows of some records as they were made the first time."""
        processor = Processor(
            self._log, self._partition, records.start, self._feeds, unknown=self._unknown, sink=self._sink
        )
        position = records.start
        while position < records.end:
            found = self._log.read(self._partition, position, _PAGE_ENTRIES, _PAGE_BYTES)
            entries = [entry for entry in found if entry.offset < records.end]
            if not entries:
                return
            rows = Rows()
            processor.process(entries, rows)
            yield from zip(rows.tables.get(table, ()), rows.offsets.get(table, ()), strict=True)
            position = entries[-1].offset + 1

    def _entry(self, offset: int) -> Entry | None:
        found = self._log.read(self._partition, offset, 1)
        return found[0] if found and found[0].offset == offset else None

    def _context(self) -> Context:
        feeds = feeds_under(self._settings, self._feeds)
        return Context(self._log.log_id, self._settings, feeds, self._decoders, self._unknown)
