"""Bytes of GTFS-Realtime messages → Arrow tables of raw fields. Pure; fails message by message.

The strict upb parse of the stock classes decides what is accepted, then ptars decodes on the flat schema.
Small messages share a call, big ones are cut into slices of entities, so that no call holds the GIL for
long. Absent stays null; enum numbers stay numbers.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from google.protobuf.message import DecodeError as WireError
from google.transit.gtfs_realtime_pb2 import FeedMessage
from ptars import HandlerPool

from thirdrail.decode.decoded import BadEntity, Decoded
from thirdrail.decode.flatten import flatten
from thirdrail.decode.split import Parts, split
from thirdrail.decode.two_phase import Seen
from thirdrail.decode.wire_schema import feed_message
from thirdrail.model.tables import BY_NAME

CALL_BYTES = 1 << 20
"""Bytes decoded in one call: about 13 ms of ptars, during which the GIL is held."""

_DESCRIPTOR = feed_message()
_HANDLER = HandlerPool([_DESCRIPTOR.file]).get_for_message(_DESCRIPTOR)
_REASON_LIMIT = 200


class _Payload(NamedTuple):
    message: int
    first_ordinal: int
    data: bytes


def decode(bodies: Sequence[bytes], seen: Seen | None = None, seen_from: int = CALL_BYTES) -> Decoded:
    """Give the raw fields of several messages. Never raises for what a body holds.

    ``seen``, of earlier calls, spares the stop times of bodies over ``seen_from`` bytes; the rows are the same.
    """
    failed: dict[int, str] = {}
    while True:
        work = _Work(failed, seen, seen_from)
        for index, body in enumerate(bodies):
            if index not in failed:
                work.add(index, body)
        decoded = work.finish()
        if decoded is not None:
            return decoded


def peek(body: bytes) -> tuple[int | None, int] | None:
    """Give header timestamp (POSIX seconds) and entity count; None when only :func:`decode` can tell."""
    if refusal(body) is not None:
        return None
    message = FeedMessage.FromString(body)
    header = message.header
    return (header.timestamp if header.HasField("timestamp") else None), len(message.entity)


def wire_refusal(body: bytes) -> str | None:
    """Give the reason why the strict parse refuses the bytes; required fields are judged apart (they cost more)."""
    if not body:
        return "empty body"
    try:
        FeedMessage.FromString(body)
    except WireError as error:
        return _described(body, str(error))
    return None


def refusal(body: bytes) -> str | None:
    """Give the reason why the strict parse refuses a message; None when it accepts it."""
    reason = wire_refusal(body)
    if reason is not None:
        return reason
    message = FeedMessage.FromString(body)
    if message.IsInitialized():
        return None
    missing = ", ".join(message.FindInitializationErrors()[:5])  # type: ignore[attr-defined]
    return f"required fields are missing: {missing}"[:_REASON_LIMIT]


def _described(body: bytes, error: str) -> str:
    """Give a reason that names text which was taken for a message."""
    start = body[:_REASON_LIMIT].lstrip()
    for first, name in ((b"<", "XML or HTML"), (b"{", "JSON"), (b"[", "JSON")):
        if start.startswith(first) and start[:60].isascii():
            return f"not protobuf but {name}: begins {start[:60].decode()!r}"
    return f"not a GTFS-Realtime message: {error}"[:_REASON_LIMIT]


class _Work:
    """Payloads on their way to ptars, and what has come back."""

    def __init__(self, failed: dict[int, str], seen: Seen | None, seen_from: int) -> None:
        self._seen, self._seen_from = seen, seen_from
        self._waiting: list[_Payload] = []
        self._waiting_bytes = 0
        self._tables: list[dict[str, pa.Table]] = []
        self._bad: list[BadEntity] = []
        self._failed = failed
        self._again = False

    def add(self, index: int, body: bytes) -> None:
        """Take one message: whole when small and sound, else in slices, else entity by entity."""
        if self._seen is not None and len(body) > self._seen_from:
            flat = self._seen.flatten(body, index)
            if flat is not None:
                self._flush()
                self._tables.append(flat.tables)
                return
        parts = split(body) if len(body) > CALL_BYTES else None
        reason = wire_refusal(body) if parts is None else refusal(parts.header)
        if parts is not None and reason is None:
            for first, last in _runs(parts):
                self._add_run(index, parts, body, first, last)
        elif parts is None and reason is None:
            self._put(_Payload(index, 0, body))
        else:
            self._salvage(index, body, reason or "")

    def _add_run(self, index: int, parts: Parts, body: bytes, first: int, last: int) -> None:
        data = parts.cut(body, first, last)
        if wire_refusal(data) is None:
            self._put(_Payload(index, first, data))
        else:
            self._one_by_one(index, body, parts, range(first, last))

    def _salvage(self, index: int, body: bytes, reason: str) -> None:
        """Judge a refused message: if its header stands and its top level is sound, only bad entities are lost."""
        parts = split(body)
        if parts is None or not parts.entities or refusal(parts.header) is not None:
            self._failed[index] = reason
        else:
            self._one_by_one(index, body, parts, range(len(parts.entities)))

    def _one_by_one(self, index: int, body: bytes, parts: Parts, ordinals: range) -> None:
        """Gate each entity alone; the header goes first, in case none of them is good."""
        if ordinals.start == 0:
            self._put(_Payload(index, 0, parts.header))
        for ordinal in ordinals:
            data = parts.cut(body, ordinal, ordinal + 1)
            reason = refusal(data)
            if reason is None:
                self._put(_Payload(index, ordinal, data))
            else:
                start, end = parts.entities[ordinal]
                self._bad.append(BadEntity(index, ordinal, body[start:end], reason))

    def _put(self, payload: _Payload) -> None:
        self._waiting.append(payload)
        self._waiting_bytes += len(payload.data)
        if self._waiting_bytes >= CALL_BYTES:
            self._flush()

    def _flush(self) -> None:
        payloads, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if payloads:
            self._convert(payloads)

    def _convert(self, payloads: list[_Payload]) -> None:
        """Decode payloads in one call; halve them when ptars refuses (text that is not UTF-8)."""
        try:
            batch = _HANDLER.list_to_record_batch([payload.data for payload in payloads])
        except ValueError as error:
            self._halve(payloads, str(error)[:_REASON_LIMIT])
            return
        message = pa.array([payload.message for payload in payloads], pa.int32())
        ordinals = pa.array([payload.first_ordinal for payload in payloads], pa.int32())
        flat = flatten(batch, message, ordinals)
        if flat.is_complete or all(self._is_sound(payload) for payload in payloads):
            self._tables.append(flat.tables)
        else:
            self._without_incomplete(payloads)

    def _is_sound(self, payload: _Payload) -> bool:
        return refusal(payload.data) is None

    def _without_incomplete(self, payloads: list[_Payload]) -> None:
        """Decode again what lacks no required field; of a message that does, entity by entity."""
        for payload in payloads:
            reason = refusal(payload.data)
            parts = None if reason is None else split(payload.data)
            if reason is None:
                self._convert([payload])
            elif parts is None or not parts.entities or refusal(parts.header) is not None:
                self._failed[payload.message] = reason
                self._again = True
            elif len(parts.entities) == 1:
                self._drop_entity(payload, parts, reason)
            else:
                for place in range(len(parts.entities)):
                    data = parts.cut(payload.data, place, place + 1)
                    self._convert([_Payload(payload.message, payload.first_ordinal + place, data)])

    def _drop_entity(self, payload: _Payload, parts: Parts, reason: str) -> None:
        """Note a payload's only entity as bad; its header stays, in case no other entity is good."""
        start, end = parts.entities[0]
        self._bad.append(BadEntity(payload.message, payload.first_ordinal, payload.data[start:end], reason))
        self._convert([_Payload(payload.message, payload.first_ordinal, parts.header)])

    def _halve(self, payloads: list[_Payload], reason: str) -> None:
        if len(payloads) > 1:
            middle = len(payloads) // 2
            self._convert(payloads[:middle])
            self._convert(payloads[middle:])
            return
        (payload,) = payloads
        parts = split(payload.data)
        count = 0 if parts is None else len(parts.entities)
        if parts is None or count == 0:
            self._failed[payload.message] = reason
            self._again = True
        elif count == 1:
            self._drop_entity(payload, parts, reason)
        else:
            for first, last in ((0, count // 2), (count // 2, count)):
                data = parts.cut(payload.data, first, last)
                self._convert([_Payload(payload.message, payload.first_ordinal + first, data)])

    def finish(self) -> Decoded | None:
        """Give everything, in order; None when a message failed after rows of it were made: start again."""
        self._flush()
        if self._again:
            return None
        parts = self._tables or [flatten(_HANDLER.list_to_record_batch([]), _NONE, _NONE).tables]
        tables = {name: pa.concat_tables([part[name] for part in parts]) for name in parts[0]}
        headers, entities = _one_each(tables.pop("headers")), tables.pop("entities")
        tables |= {name: _renumbered(parts, name, rows) for name, rows in tables.items() if BY_NAME[name].parent}
        self._bad.sort(key=lambda bad: (bad.message_index, bad.entity_ordinal))
        return Decoded(headers, entities, tables, self._bad, self._failed)


_NONE = pa.array([], pa.int32())


def _runs(parts: Parts) -> Iterator[tuple[int, int]]:
    """Give runs ``[first, last)`` of entities of about the size of a call; one empty run of no entities."""
    first, start = 0, parts.entities[0][0] if parts.entities else 0
    for place, (_, end) in enumerate(parts.entities):
        if end - start >= CALL_BYTES:
            yield first, place + 1
            first, start = place + 1, end
    if first < len(parts.entities) or not parts.entities:
        yield first, len(parts.entities)


def _one_each(headers: pa.Table) -> pa.Table:
    """Give one header per message: a message decoded in several payloads has several of the same."""
    index = headers.column("message_index")
    if pc.count_distinct(index).as_py() == len(headers):
        return headers
    firsts = headers.append_column("row", pc.cumulative_sum(pa.repeat(pa.scalar(1), len(headers))))
    rows = firsts.group_by("message_index", use_threads=False).aggregate([("row", "min")]).column("row_min")
    return headers.take(pc.subtract(rows, 1))


def _renumbered(parts: list[dict[str, pa.Table]], name: str, rows: pa.Table) -> pa.Table:
    """Give the rows of a table with ``parent`` counting its parents of the whole call."""
    if len(parts) == 1:
        return rows
    chunks, before = [], 0
    for part in parts:
        chunks += [pc.add(chunk, pa.scalar(before, pa.int32())) for chunk in part[name]["parent"].chunks]
        before += len(part[BY_NAME[name].parent])
    place = rows.schema.get_field_index("parent")
    return rows.set_column(place, "parent", pa.chunked_array(chunks, pa.int32()))
