"""The decoder of each format of published bodies."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from thirdrail.decode import elevators, gtfs_realtime, gtfs_realtime_json, siri, siri_flat
from thirdrail.decode.decoded import Decoded
from thirdrail.decode.two_phase import Seen
from thirdrail.model.feeds import (
    EQUIPMENT_JSON,
    GTFS_REALTIME,
    GTFS_REALTIME_JSON,
    OUTAGES_JSON,
    SIRI_FLAT,
    SIRI_JSON,
    Feed,
)

Peeked = tuple[int | None, int]
"""POSIX seconds of the header, and how many entities."""


def _no_peek(body: bytes) -> Peeked | None:  # noqa: ARG001 - a decoder's signature
    return None


@dataclass(frozen=True, slots=True)
class Decoder:
    """``decode`` never raises for what a body holds; ``peek`` gives None when only decoding can tell."""

    decode: Callable[[Sequence[bytes]], Decoded]
    peek: Callable[[bytes], Peeked | None] = _no_peek


DECODERS: dict[str, Decoder] = {
    GTFS_REALTIME: Decoder(gtfs_realtime.decode, gtfs_realtime.peek),
    GTFS_REALTIME_JSON: Decoder(gtfs_realtime_json.decode),
    SIRI_JSON: Decoder(siri.decode),
    SIRI_FLAT: Decoder(siri_flat.decode),
    OUTAGES_JSON: Decoder(elevators.decode_outages),
    EQUIPMENT_JSON: Decoder(elevators.decode_equipment),
}


def remembering() -> Mapping[str, Decoder]:
    """Give decoders for messages that follow each other: what a message repeats of the one before costs less.

    The rows are those of :data:`DECODERS`. Not for several threads at once.
    """
    decoder = DECODERS[GTFS_REALTIME]
    decode = partial(decoder.decode, seen=Seen())  # type: ignore[call-arg]
    return {**DECODERS, GTFS_REALTIME: replace(decoder, decode=decode)}


def format_name(feed: Feed | None) -> str:
    """Give the name of a feed's format; a feed that nobody declares is taken for GTFS-Realtime."""
    return GTFS_REALTIME if feed is None else feed.format
