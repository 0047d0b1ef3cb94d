"""Which polls of a feed and origin a capture may depend on; one definition for every log."""

from collections.abc import Iterable

from thirdrail.model.records import Entry, Poll


def within_reach(newest_first: Iterable[Entry], seconds: int) -> list[Entry]:
    """Give the polls at most ``seconds`` older than the newest, oldest first.

    Ends where ``fetched_at`` steps back: what was fetched before a clock was corrected is another run.
    """
    found: list[Entry] = []
    newest = later = None
    for entry in newest_first:
        poll = entry.record
        if not isinstance(poll, Poll):
            continue
        if newest is None or later is None:
            newest = later = poll.fetched_at
        if poll.fetched_at > later or poll.fetched_at < newest - seconds * 1_000_000:
            break
        later = poll.fetched_at
        found.append(entry)
    return found[::-1]
