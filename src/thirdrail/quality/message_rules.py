"""Whether a capture's picture is believed, and what is odd about its header.

A capture is *accepted* when it decodes, its header is not over 300 s in the future, and among the captures
of the same feed, log and origin at lower offsets and at most 10 minutes older (those that decode and are
not that far in the future) none has a higher header and it has at least 30 % of their highest entity
count. So any change, even to nothing, is believed after 10 minutes.

When ``fetched_at`` steps back (a clock was corrected) a new run begins: nothing before it counts.
"""

from dataclasses import dataclass, field

SECOND_US = 1_000_000
WINDOW_US = 600 * SECOND_US
FUTURE_LIMIT_US = 300 * SECOND_US
FUTURE_FLAG_US = 5 * SECOND_US
HOLLOW_SHARE_PERCENT = 30
STALE_AFTER_US = {"mnr": 360 * SECOND_US, "lirr": 360 * SECOND_US, "alerts": 600 * SECOND_US}
STALE_AFTER_DEFAULT_US = 90 * SECOND_US


@dataclass(frozen=True, slots=True)
class Header:
    """What the rules look at of one decoded capture; times in µs UTC."""

    fetched_at: int
    header_at: int | None
    entity_count: int
    digest: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the picture counts, the outcome for ``feed_messages``, and the findings."""

    accepted: bool
    outcome: str
    rule_ids: tuple[str, ...]


@dataclass(slots=True)
class Recent:
    """The believable captures of the last 10 minutes of one feed, log and origin.

    ``run`` counts how often the clock stepped back; what belongs to another run is no base.
    """

    headers: list[Header] = field(default_factory=list)
    last: Header | None = None
    polled_at: int | None = None
    run: int = 0

    def arrive(self, fetched_at: int) -> None:
        """Move on to the next poll, whatever came of it: drop what no longer counts."""
        if self.polled_at is not None and fetched_at < self.polled_at:
            self.headers, self.last = [], None
            self.run += 1
        self.polled_at = fetched_at
        oldest = fetched_at - WINDOW_US
        self.headers = [header for header in self.headers if header.fetched_at >= oldest]
        if self.last is not None and self.last.fetched_at < oldest:
            self.last = None


def judge(header: Header, recent: Recent, *, family: str, outcome: str) -> Verdict:
    """Give the verdict on a decoded capture and remember it in ``recent``.

    ``outcome`` is what the poll said (``ok`` or ``duplicate``). The caller has called
    :meth:`Recent.arrive` for this capture.
    """
    rules: list[str] = []
    ahead = None if header.header_at is None else header.header_at - header.fetched_at
    if ahead is not None and -ahead > STALE_AFTER_US.get(family, STALE_AFTER_DEFAULT_US):
        rules.append("M001")
    if ahead is not None and ahead > FUTURE_FLAG_US:
        rules.append("M002")
    if outcome == "duplicate":
        rules.append("M005")
    believable = ahead is None or ahead <= FUTURE_LIMIT_US
    times = [seen.header_at for seen in recent.headers if seen.header_at is not None]
    regressed = header.header_at is not None and bool(times) and header.header_at < max(times)
    most = max((seen.entity_count for seen in recent.headers), default=0)
    thin = header.entity_count * 100 < most * HOLLOW_SHARE_PERCENT
    if regressed:
        rules.append("M003")
    if _same_time_other_body(header, recent.last):
        rules.append("M004")
    if thin or header.entity_count == 0:
        rules.append("M006")
    if believable:
        recent.headers.append(header)
    recent.last = header
    if not believable:
        outcome = "rejected"
    elif thin or header.entity_count == 0:
        outcome = "hollow"
    return Verdict(believable and not regressed and not thin, outcome, tuple(rules))


def _same_time_other_body(header: Header, before: Header | None) -> bool:
    return (
        before is not None
        and header.header_at is not None
        and header.header_at == before.header_at
        and header.digest != before.digest
    )
