"""Records of a log → rows, each under the settings before it; the part of the loop that audit repeats."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from thirdrail.decode.formats import remembering
from thirdrail.model.feeds import Feed
from thirdrail.model.ports import CaptureLog
from thirdrail.model.records import Entry, Poll, Rejection, ReplayOrder, Settings
from thirdrail.pipeline.changes import Unknown
from thirdrail.pipeline.orders import rejected, restore
from thirdrail.pipeline.streams import Streams
from thirdrail.pipeline.transform import Context, Polls, Rows, feeds_under, transform

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
    ) -> None:
        self._log, self._partition, self._feeds, self._owns = log, partition, feeds, owns
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
            case Rejection() as rejection:
                rejected(entry.offset, rejection, self._context(), rows)

    def _entry(self, offset: int) -> Entry | None:
        found = self._log.read(self._partition, offset, 1)
        return found[0] if found and found[0].offset == offset else None

    def _context(self) -> Context:
        feeds = feeds_under(self._settings, self._feeds)
        return Context(self._log.log_id, self._settings, feeds, self._decoders, self._unknown)
