"""What each feed said before an offset, read back from the log when it is first needed.

A capture's rows depend on captures at most 40 minutes older (30 to its base, 10 more for whether the base
was accepted), so no state of ours survives a process and none needs to.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import polars as pl

from thirdrail.decode.formats import DECODERS, format_name
from thirdrail.model.feeds import Feed
from thirdrail.model.ports import CaptureLog
from thirdrail.model.records import Entry, Poll, Settings
from thirdrail.model.tables import BY_NAME
from thirdrail.normalise.formats import header_times
from thirdrail.normalise.times import instants
from thirdrail.pipeline.changes import Picture, Unknown, with_content_hash
from thirdrail.pipeline.transform import Context, Judged, Stream, feeds_under, judge_rows
from thirdrail.quality.message_rules import Header, judge

READ_BACK_SECONDS = 2_400


class Streams:
    """The streams of one partition; call it with feed id, origin and an offset to get the one below it."""

    read_back_seconds = READ_BACK_SECONDS

    def __init__(
        self, log: CaptureLog, partition: str, feeds: Mapping[str, Feed], unknown: Unknown = MappingProxyType({})
    ) -> None:
        self._log, self._partition, self._feeds, self._unknown = log, partition, feeds, unknown
        self._streams: dict[tuple[str, str], Stream] = {}

    def __call__(self, feed_id: str, origin: str, below: int) -> Stream:
        """Give the stream; the first call for it reads the log below ``below``, later ones do not."""
        name = (feed_id, origin)
        if name not in self._streams:
            entries = self._log.read_back(self._partition, feed_id, origin, below, self.read_back_seconds)
            settings = self._log.settings_before(self._partition, below) or Settings()
            declared = feeds_under(settings, self._feeds).get(feed_id)
            self._streams[name] = self._rebuild(entries, format_name(declared))
        return self._streams[name]

    def _rebuild(self, entries: Iterable[Entry], form: str) -> Stream:
        """Judge the headers in order; decode whole only the last accepted capture."""
        stream = Stream()
        last: tuple[Entry, int] | None = None
        for entry in entries:
            poll = entry.record
            assert isinstance(poll, Poll)  # noqa: S101 - the log's promise, for the type checker
            stream.recent.arrive(poll.fetched_at)
            seen = None if entry.body is None else _header(entry.body, form)
            if seen is None:
                continue
            header = Header(poll.fetched_at, *seen, poll.body_sha256)
            if judge(header, stream.recent, family="", outcome=poll.outcome).accepted:
                last = (entry, stream.recent.run)
        if last is not None:
            entry, run = last
            judged = self._judged(entry)
            passed = judged.gated.passed.items()
            frames = {
                name: with_content_hash(BY_NAME[name], frame, self._unknown) for name, frame in passed if len(frame)
            }
            stream.picture = Picture(entry.offset, entry.record.fetched_at, run, frames)  # type: ignore[union-attr]
            stream.refused = frozenset(refusal.content() for refusal in judged.refusals)
        return stream

    def _judged(self, entry: Entry) -> Judged:
        settings = self._log.settings_before(self._partition, entry.offset) or Settings()
        context = Context(self._log.log_id, settings, feeds_under(settings, self._feeds))
        return judge_rows([(entry.offset, entry.record, entry.body)], context)  # type: ignore[list-item]


def _header(body: bytes, form: str) -> tuple[int | None, int] | None:
    """Give header time (µs) and entity count of a body; None when it does not decode."""
    peeked = DECODERS[form].peek(body)
    if peeked is not None:
        seconds = pl.Series([peeked[0]], dtype=pl.UInt64)
        return instants(seconds).values.dt.timestamp("us").to_list()[0], peeked[1]
    decoded = DECODERS[form].decode([body])
    if decoded.failed:
        return None
    headers: pl.DataFrame = pl.from_arrow(decoded.headers)  # type: ignore[assignment]
    at = header_times(form, headers).dt.timestamp("us").to_list()[0]
    return at, len(decoded.entities) + len(decoded.bad_entities)
