"""Stop times are decoded once: those whose bytes stood in the message before are taken from there.

Phase one decodes a message with its stop times left as bytes. A stop time is looked for where it stood in the
message before: in the list of the same trip, counted from the end, as lists lose stops at their front. That is a
guess, which equal bytes confirm; equal bytes are equal values. Phase two decodes what is left. The rows are those
of :func:`thirdrail.decode.gtfs_realtime.decode` whatever went before; only the cost differs.
"""

from typing import NamedTuple, cast

import pyarrow as pa
import pyarrow.compute as pc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError as WireError
from google.transit.gtfs_realtime_pb2 import FeedMessage, TripUpdate
from ptars import HandlerPool

from thirdrail.decode.flatten import STOP_TIME, Flat, flatten
from thirdrail.decode.nested import Nested
from thirdrail.decode.wire_schema import feed_message, stop_time_update

_PIECES = 8_000
"""Stop times judged, or decoded, in one call: 3 to 6 ms, during which the GIL is held."""

_OUTER = feed_message(bytes_for_stop_times=True)
_OUTER_HANDLER = HandlerPool([_OUTER.file]).get_for_message(_OUTER)
_STOP_TIME = stop_time_update()
_STOP_TIME_HANDLER = HandlerPool([_STOP_TIME.file]).get_for_message(_STOP_TIME)
_STOP_TIME_TAG = 0x12
_SEVEN_BITS = 0x7F


def _strict_outer() -> type[FeedMessage]:
    """Give the stock class with stop times as bytes: it refuses what the stock class refuses around them."""
    file = descriptor_pb2.FileDescriptorProto()
    FeedMessage.DESCRIPTOR.file.CopyToProto(file)
    (update,) = (message for message in file.message_type if message.name == "TripUpdate")
    (field,) = (each for each in update.field if each.name == "stop_time_update")
    field.ClearField("type_name")
    field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = message_factory.GetMessageClass(pool.FindMessageTypeByName(FeedMessage.DESCRIPTOR.full_name))
    return cast("type[FeedMessage]", found)


_StrictOuter = _strict_outer()


def _prefix(length: int) -> bytes:
    """Give tag and length of a stop time as they stand in its trip update."""
    low, high = length & _SEVEN_BITS, length >> 7
    return bytes([_STOP_TIME_TAG, low | 0x80, high] if high else [_STOP_TIME_TAG, low])


_PREFIXES = pa.array([_prefix(length) for length in range(1 << 14)], pa.binary())


class _Refused(Exception):
    """Something is not plain; the ordinary way judges it."""


class _Message(NamedTuple):
    """The stop times of a message: trips, the bounds of each one's list, and every stop time raw and decoded."""

    trips: pa.Array
    starts: pa.Array
    ends: pa.Array
    raw: pa.Array
    columns: dict[str, pa.Array]


class Seen:
    """The last message that came by. What it holds decides what a call costs, never what it gives."""

    def __init__(self) -> None:
        self._last: _Message | None = None
        self.reused = self.decoded = 0

    def flatten(self, body: bytes, message_index: int) -> Flat | None:
        """Give the decoder's tables of one message; None when the ordinary way must judge it."""
        try:
            _StrictOuter.FromString(body)
            batch = _OUTER_HANDLER.list_to_record_batch([body])
            index = pa.array([message_index], pa.int32())
            flat = flatten(batch, index, pa.array([0], pa.int32()), self._stop_times)
        except (WireError, ValueError, _Refused):
            return None
        return flat if flat.is_complete else None

    def _stop_times(self, update: Nested, lists: pa.Array, parent: pa.Array) -> dict[str, pa.Array]:
        """Give the columns of all stop times of a message, in order."""
        raw = lists.flatten()
        offsets = pc.subtract(lists.offsets, lists.offsets[0])
        trips, starts, ends = update.get(("trip", "trip_id")), offsets[:-1], offsets[1:]
        if self._last is None:
            columns = _decoded(raw)
            self.decoded += len(raw)
        else:
            columns = self._completed(self._last, _Message(trips, starts, ends, raw, {}), parent)
        self._last = _Message(trips, starts, ends, raw, columns)
        return columns

    def _completed(self, last: _Message, new: _Message, parent: pa.Array) -> dict[str, pa.Array]:
        """Give the columns: by row from the last message where its bytes are the same, the others decoded."""
        row = _guess(last, new, parent)
        is_known = pc.fill_null(pc.equal(last.raw.take(row), new.raw), fill_value=False)
        fresh = _decoded(new.raw.filter(pc.invert(is_known)))
        number = pc.cumulative_sum(pc.invert(is_known).cast(pa.int32()))
        place = pc.if_else(is_known, row, pc.add(number, len(last.raw) - 1)).cast(pa.int32())
        count = len(next(iter(fresh.values())))
        self.decoded += count
        self.reused += len(row) - count
        return {name: _taken(last.columns[name], column, place) for name, column in fresh.items()}


def _guess(last: _Message, new: _Message, parent: pa.Array) -> pa.Array:
    """Give for every stop time the row of the last message at which it would stand; null for none."""
    match = pc.index_in(new.trips, value_set=last.trips)
    shift = pc.subtract(last.ends.take(match), new.ends).take(parent)
    rows = pc.subtract(pc.cumulative_sum(pa.repeat(pa.scalar(1, pa.int32()), len(parent))), 1)
    row = pc.add(rows, shift)
    is_inside = pc.greater_equal(row, last.starts.take(match).take(parent))
    return pc.if_else(is_inside, row, pa.scalar(None, pa.int32()))


def _taken(old: pa.Array, new: pa.Array, place: pa.Array) -> pa.Array:
    """Give rows of the one followed by the other; a column without values is not carried about."""
    if old.null_count == len(old) and new.null_count == len(new):
        return pa.nulls(len(place), new.type)
    return pa.concat_arrays([old, new]).take(place)


def _decoded(raw: pa.Array) -> dict[str, pa.Array]:
    """Give the columns of stop times, judged as strictly as inside their message.

    Raises:
        _Refused: one of them does not parse.
        ValueError: ptars' for text that is not UTF-8.
    """
    if pc.any(pc.greater_equal(pc.binary_length(raw), len(_PREFIXES))).as_py():
        raise _Refused
    pieces = [raw.slice(first, _PIECES) for first in range(0, max(len(raw), 1), _PIECES)]
    for piece in pieces:
        _judge(piece)
    batches = [_STOP_TIME_HANDLER.list_to_record_batch(piece.to_pylist()) for piece in pieces]
    parts = [Nested(batch.to_struct_array()).columns(STOP_TIME) for batch in batches]
    return {name: pa.concat_arrays([part[name] for part in parts]) for name in STOP_TIME}


def _judge(raw: pa.Array) -> None:
    """Let the stock class look at stop times inside a message of their own."""
    joined = pc.binary_join_element_wise(_PREFIXES.take(pc.binary_length(raw)), raw, b"")
    try:
        TripUpdate.FromString(joined.buffers()[2].to_pybytes() if len(joined) else b"")
    except WireError as error:
        raise _Refused from error
