"""Polls of a span → the rows that they give, under one settings record.

A function of the polls, the settings and the streams' earlier captures, which the log gives back
(:class:`Streams`). It knows no position, clock or acknowledgement.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import msgspec
import polars as pl
import pyarrow as pa

from thirdrail.decode.formats import DECODERS, Decoder, format_name
from thirdrail.model.feeds import Feed
from thirdrail.model.ports import Prepared
from thirdrail.model.records import Poll, Position, Settings
from thirdrail.model.tables import PICTURE_TABLES, QUARANTINE
from thirdrail.normalise.formats import NORMALISERS
from thirdrail.normalise.rows import Raw
from thirdrail.normalise.times import INSTANT
from thirdrail.pipeline.changes import (
    BASE_AT_MOST_US,
    OBSERVED,
    UNACCEPTED,
    Picture,
    Step,
    Unknown,
    changes,
    slot,
    with_content_hash,
)
from thirdrail.pipeline.messages import CaptureFacts, feed_message_rows
from thirdrail.pipeline.refusals import Refusal, quarantine_rows, refused_rows, unparsed
from thirdrail.pipeline.told import Told
from thirdrail.pipeline.written import to_arrow
from thirdrail.quality.gate import Gated, gate
from thirdrail.quality.message_rules import Header, Recent, judge

EVERY_POLL = "every_poll"
_UNKNOWN = ("unknown", "UTC")


@dataclass(slots=True)
class Stream:
    """What one feed of one origin has said: its recent headers, its last accepted picture and refusals."""

    recent: Recent = field(default_factory=Recent)
    picture: Picture | None = None
    refused: frozenset[tuple[object, ...]] = frozenset()


Polls = list[tuple[int, Poll, bytes | None]]
"""Offset, poll and body, in order of offset."""

StreamOf = Callable[[str, str, int], Stream]
"""Gives the stream of a feed id and origin as it was below an offset."""


@dataclass(slots=True)
class Rows:
    """What some records gave: table → Arrow rows, and table → the record offset of each row.

    What a worker made is ``prepared`` instead: durable at the destination already.
    """

    tables: dict[str, list[pa.Table]] = field(default_factory=lambda: defaultdict(list))
    offsets: dict[str, list[pa.Array]] = field(default_factory=lambda: defaultdict(list))
    prepared: dict[str, list[Prepared]] = field(default_factory=lambda: defaultdict(list))
    made_from: Mapping[str, Position] = field(default_factory=dict)
    """Table → the position that it had when the workers began: they left out what lies below."""
    decoded_rows: int = 0
    told: Told = field(default_factory=Told)
    """Of what is prepared; of the rest the rows of ``feed_messages`` tell."""

    def add(self, table: str, rows: pa.Table, offsets: pa.Array | None = None) -> None:
        """Append rows; by default each belongs to the record of its ``capture_offset``."""
        if len(rows):
            self.tables[table].append(rows)
            column = rows.column("capture_offset").combine_chunks() if offsets is None else offsets
            self.offsets[table].append(column)


@dataclass(frozen=True, slots=True)
class Context:
    """What the rows of a call are made under."""

    log_id: str
    settings: Settings
    feeds: Mapping[str, Feed]
    decoders: Mapping[str, Decoder] = field(default_factory=lambda: DECODERS)
    unknown: Unknown = field(default_factory=dict)


def feeds_under(settings: Settings, declared: Mapping[str, Feed]) -> Mapping[str, Feed]:
    """Give the feeds as the settings have them: what decides rows is in the log, and nowhere else."""
    if not settings.feeds:
        return declared
    blank = Feed(id="", family="", url="", meaning="")
    own = {
        name: msgspec.structs.replace(
            declared.get(name, blank), id=name, family=each.family, format=each.format, timezone=each.timezone
        )
        for name, each in settings.feeds.items()
    }
    return {**declared, **own}


@dataclass(slots=True)
class Judged:
    """Several polls decoded, normalised and gated; ``cap`` numbers them in order."""

    polls: Polls
    messages: pl.DataFrame
    gated: Gated
    refusals: list[Refusal]
    bad_entities: dict[int, int]
    decoded_rows: int


def judge_rows(polls: Polls, context: Context) -> Judged:
    """Decode, normalise and check several polls, those of each format together. Pure."""
    caps_of: dict[str, list[int]] = defaultdict(list)
    for cap, (_, poll, _) in enumerate(polls):
        caps_of[format_name(context.feeds.get(poll.feed_id))].append(cap)
    parts = [(caps, _judge_format(name, [polls[cap] for cap in caps], context)) for name, caps in caps_of.items()]
    return parts[0][1] if len(parts) == 1 else _joined(polls, parts)


def _joined(polls: Polls, parts: list[tuple[list[int], Judged]]) -> Judged:
    """Give what several formats gave as one, with ``cap`` numbering all polls."""
    whole = Judged(polls, pl.DataFrame(), Gated(), [], {}, 0)
    messages: list[pl.DataFrame] = []
    for caps, part in parts:
        number = pl.Series("cap", caps, dtype=pl.Int32)
        messages.append(part.messages.with_columns(number))
        whole.refusals += [replace(refusal, cap=caps[refusal.cap]) for refusal in part.refusals]
        whole.bad_entities |= {caps[cap]: count for cap, count in part.bad_entities.items()}
        whole.gated.findings.update((caps[cap], found) for cap, found in part.gated.findings.items())
        whole.decoded_rows += part.decoded_rows
        for found, into in ((part.gated.passed, whole.gated.passed), (part.gated.refused, whole.gated.refused)):
            for table, frame in found.items():
                numbered = frame.with_columns(number.gather(frame["cap"]))
                joined = numbered if table not in into else pl.concat([into[table], numbered])
                into[table] = joined.sort("cap", maintain_order=True)
    whole.messages = pl.concat(messages, how="diagonal").sort("cap")
    return whole


def _judge_format(form: str, polls: Polls, context: Context) -> Judged:
    with_body = [cap for cap, (_, _, body) in enumerate(polls) if body is not None]
    bodies = [polls[cap][2] or b"" for cap in with_body]
    decoded = context.decoders[form].decode(bodies)
    families = [_family(context.feeds, poll.feed_id) for _, poll, _ in polls]
    captures = pl.DataFrame(
        {
            "cap": pl.int_range(len(polls), dtype=pl.Int32, eager=True),
            "feed_id": [poll.feed_id for _, poll, _ in polls],
            "family": [family for family, _ in families],
            "timezone": [zone for _, zone in families],
            "fetched_at": pl.Series([poll.fetched_at for _, poll, _ in polls], dtype=pl.Int64).cast(INSTANT),
        }
    )
    raw = Raw.of(decoded)
    if len(with_body) != len(polls):
        raw = raw.numbered(with_body)
    canonical = NORMALISERS[form](raw, captures)
    gated = gate(raw, canonical, context.settings)
    refusals = [unparsed(with_body[index], None, bodies[index], reason) for index, reason in decoded.failed.items()]
    bad: dict[int, int] = defaultdict(int)
    for entity in decoded.bad_entities:
        cap = with_body[entity.message_index]
        bad[cap] += 1
        refusals.append(unparsed(cap, entity.entity_ordinal, entity.data, entity.reason))
    feed_ids = captures["feed_id"].to_list()
    refusals += refused_rows(raw, gated.refused, context.settings.severities, feed_ids)
    failed = {with_body[index]: reason for index, reason in decoded.failed.items()}
    messages = canonical.messages.with_columns(
        failed=pl.Series([failed.get(cap) for cap in range(len(polls))], dtype=pl.String),
        entity_count=pl.col("entity_count") + pl.Series([bad.get(cap, 0) for cap in range(len(polls))], dtype=pl.Int32),
    )
    return Judged(polls, messages, gated, refusals, bad, sum(map(len, raw.tables.values())))


def _family(feeds: Mapping[str, Feed], feed_id: str) -> tuple[str, str]:
    feed = feeds.get(feed_id)
    return _UNKNOWN if feed is None else (feed.family, feed.timezone)


def transform(polls: Polls, context: Context, stream_of: StreamOf, rows: Rows) -> None:
    """Add to ``rows`` what these polls give, and move their streams on."""
    if not polls:
        return
    judged = judge_rows(polls, context)
    facts, steps, bases = _follow(judged, context, stream_of)
    gated, history = judged.gated, context.settings.history
    envelope = _envelope(judged)
    rows.decoded_rows += judged.decoded_rows
    accepted = [step.cap for step in steps]
    pictures: dict[str, pl.DataFrame] = {}
    for table in PICTURE_TABLES:
        base = _base_rows(table.name, bases)
        passed = gated.passed.get(table.name)
        if passed is None or (passed.is_empty() and base is None and gated.refused[table.name].is_empty()):
            continue
        _count(facts, table.name, "passed", passed["cap"])
        _count(facts, table.name, "quarantined", gated.refused[table.name]["cap"])
        pictures[table.name] = with_content_hash(table, _of_caps(passed, accepted, len(polls)), context.unknown)
        if history == EVERY_POLL:
            kept = passed.with_columns(
                change_kind=pl.when(pl.col("cap").is_in(accepted)).then(pl.lit(OBSERVED)).otherwise(pl.lit(UNACCEPTED)),
                removed_reason=pl.lit(None, pl.String),
            )
        else:
            kept = changes(pictures[table.name], base, steps, gated.refused[table.name])
        removed = kept["change_kind"] == "removed"
        _count(facts, table.name, "written", kept["cap"].filter(~removed))
        _count(facts, table.name, "removed", kept["cap"].filter(removed))
        rows.add(table.name, to_arrow(table, kept, envelope, context.log_id, context.settings.pipeline_version))
    _keep_pictures(facts, steps, pictures, stream_of)
    _write_refusals(judged, facts, context, stream_of, rows)
    rows.add("feed_messages", feed_message_rows(facts, judged.messages, context))


def _envelope(judged: Judged) -> pl.DataFrame:
    return judged.messages.select(
        "feed_id",
        "fetched_at",
        "feed_timestamp",
        capture_offset=pl.Series([offset for offset, _, _ in judged.polls], dtype=pl.Int64),
        origin=pl.Series([poll.origin for _, poll, _ in judged.polls], dtype=pl.String),
    )


class _Base(NamedTuple):
    """The accepted capture before: its number in the call and its picture (frames may be empty)."""

    cap: int
    picture: Picture

    def serves(self, fetched_at: int, run: int) -> bool:
        """Whether a capture of that time may be compared with it."""
        return self.picture.run == run and fetched_at - self.picture.fetched_at <= BASE_AT_MOST_US


def _follow(
    judged: Judged, context: Context, stream_of: StreamOf
) -> tuple[list[CaptureFacts], list[Step], list[tuple[int, Picture]]]:
    """Judge each capture in turn: accepted or not, its base, whether it is a full picture."""
    facts: list[CaptureFacts] = []
    steps: list[Step] = []
    bases: list[tuple[int, Picture]] = []
    latest: dict[tuple[str, str], _Base] = {}
    headers = judged.messages.select("family", "decoded", "feed_timestamp", "entity_count", "failed").with_columns(
        pl.col("feed_timestamp").dt.timestamp("us")
    )
    for cap, ((offset, poll, _), row) in enumerate(zip(judged.polls, headers.iter_rows(), strict=True)):
        family, decoded, header_at, entity_count, failed = row
        stream = stream_of(poll.feed_id, poll.origin, offset)
        fact = CaptureFacts(cap, offset, poll, judged.gated.findings.get(cap, {}), judged.bad_entities.get(cap, 0))
        facts.append(fact)
        name = (poll.feed_id, poll.origin)
        stream.recent.arrive(poll.fetched_at)
        fact.run = stream.recent.run
        if not decoded:
            fact.fail(failed)
            continue
        verdict = judge(
            Header(poll.fetched_at, header_at, entity_count, poll.body_sha256),
            stream.recent,
            family=family,
            outcome=poll.outcome,
        )
        fact.take(verdict)
        if not verdict.accepted:
            continue
        if name not in latest and stream.picture is not None:
            bases.append((-1 - len(bases), stream.picture))
            latest[name] = _Base(bases[-1][0], stream.picture)
        base = latest.get(name)
        if base is not None and not base.serves(poll.fetched_at, fact.run):
            base = None
        is_full = base is None or slot(poll.feed_id, poll.fetched_at) != slot(poll.feed_id, base.picture.fetched_at)
        fact.base_offset = None if base is None else base.picture.offset
        fact.is_full = is_full or context.settings.history == EVERY_POLL
        steps.append(Step(cap, None if base is None else base.cap, is_full))
        latest[name] = _Base(cap, Picture(offset, poll.fetched_at, fact.run, {}))
    return facts, steps, bases


def _of_caps(frame: pl.DataFrame, caps: list[int], polls: int) -> pl.DataFrame:
    return frame if len(caps) == polls else frame.filter(pl.col("cap").is_in(caps))


def _base_rows(name: str, bases: list[tuple[int, Picture]]) -> pl.DataFrame | None:
    frames = [
        picture.frames[name].with_columns(cap=pl.lit(number, pl.Int32))
        for number, picture in bases
        if name in picture.frames
    ]
    return pl.concat(frames) if frames else None


def _count(facts: list[CaptureFacts], table: str, what: str, caps: pl.Series) -> None:
    for cap, count in caps.value_counts().iter_rows():
        facts[cap].counts[f"{table}_{what}"] = count


def _keep_pictures(
    facts: list[CaptureFacts], steps: list[Step], pictures: dict[str, pl.DataFrame], stream_of: StreamOf
) -> None:
    """Leave each stream with the picture of its last accepted capture."""
    last: dict[tuple[str, str], int] = {}
    for step in steps:
        poll = facts[step.cap].poll
        last[poll.feed_id, poll.origin] = step.cap
    for (feed_id, origin), cap in last.items():
        fact = facts[cap]
        frames = {name: rows for name, frame in pictures.items() if len(rows := _of_one_cap(frame, cap))}
        stream = stream_of(feed_id, origin, fact.offset)
        stream.picture = Picture(fact.offset, fact.poll.fetched_at, fact.run, frames)


def _of_one_cap(frame: pl.DataFrame, cap: int) -> pl.DataFrame:
    """Give one capture's rows: a slice, as the decoder's rows are in order of ``cap``."""
    start = frame["cap"].search_sorted(cap, side="left")
    return frame.slice(start, frame["cap"].search_sorted(cap, side="right") - start)


def _write_refusals(
    judged: Judged, facts: list[CaptureFacts], context: Context, stream_of: StreamOf, rows: Rows
) -> None:
    """Add the quarantine rows: every refused message; of accepted captures what their base had not refused too."""
    by_cap: dict[int, list[Refusal]] = defaultdict(list)
    for refusal in judged.refusals:
        by_cap[refusal.cap].append(refusal)
    written: list[Refusal] = []
    every_poll = context.settings.history == EVERY_POLL
    for fact in facts:
        found = by_cap.get(fact.cap, [])
        fact.refused = len(found)
        if fact.accepted:
            stream = stream_of(fact.poll.feed_id, fact.poll.origin, fact.offset)
            contents = frozenset(refusal.content() for refusal in found)
            before = stream.refused if fact.base_offset is not None else frozenset()
            stream.refused = contents
            keep = found if every_poll or fact.is_full else [r for r in found if r.content() not in before]
        else:
            keep = [r for r in found if every_poll or r.level == "message"]
        written += keep
    if written:
        header_times = judged.messages["feed_timestamp"].to_list()
        polls = [(offset, poll) for offset, poll, _ in judged.polls]
        version = context.settings.pipeline_version
        rows.add(QUARANTINE.name, quarantine_rows(written, polls, header_times, context.log_id, version))
