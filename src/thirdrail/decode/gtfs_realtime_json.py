"""GTFS-Realtime in JSON, as the MTA serves its alerts → the same Arrow tables as from protobuf. Pure.

Each entity is written as protobuf on the flat schema and takes the way of the bytes from there, so both variants give
the same rows. Names are snake_case, extensions carry their package (``transit_realtime.mercury_alert``), numbers may be
text. Source: the MTA's JSON alerts and the JSON mapping of protobuf.
"""

from collections.abc import Sequence

import msgspec
from google.protobuf import json_format, message_factory

from thirdrail.decode import gtfs_realtime
from thirdrail.decode.decoded import BadEntity, Decoded
from thirdrail.decode.wire_schema import feed_message

_DOCUMENT = msgspec.json.Decoder(dict[str, object])
_MESSAGE = message_factory.GetMessageClass(feed_message())
_REASON_LIMIT = 200
_EXTENSIONS = {
    "transit_realtime.mercury_alert": "mercury",
    "transit_realtime.mercury_entity_selector": "mercury",
    "transit_realtime.mercury_feed_header": "mta",
    "mercury_version": "version",
}
_NUMBERS = {
    "cause": "UNKNOWN_CAUSE OTHER_CAUSE TECHNICAL_PROBLEM STRIKE DEMONSTRATION ACCIDENT HOLIDAY WEATHER MAINTENANCE"
    " CONSTRUCTION POLICE_ACTIVITY MEDICAL_EMERGENCY SPECIAL_EVENT",
    "effect": "NO_SERVICE REDUCED_SERVICE SIGNIFICANT_DELAYS DETOUR ADDITIONAL_SERVICE MODIFIED_SERVICE OTHER_EFFECT"
    " UNKNOWN_EFFECT STOP_MOVED NO_EFFECT ACCESSIBILITY_ISSUE",
    "severity_level": "UNKNOWN_SEVERITY INFO WARNING SEVERE",
}
_ENUMS = {field: {name: number for number, name in enumerate(names.split(), 1)} for field, names in _NUMBERS.items()}
_ENUMS["incrementality"] = {"FULL_DATASET": 0, "DIFFERENTIAL": 1}


def decode(bodies: Sequence[bytes]) -> Decoded:
    """Give the raw fields of several documents. Never raises for what a body holds."""
    work = _Work()
    messages = [work.as_protobuf(index, body) for index, body in enumerate(bodies)]
    decoded = gtfs_realtime.decode(messages)
    places = work.places

    def placed(bad: BadEntity) -> BadEntity:
        ordinal = places[bad.message_index][bad.entity_ordinal]
        return BadEntity(bad.message_index, ordinal, bad.data, bad.reason)

    bad = [*work.bad, *map(placed, decoded.bad_entities)]
    bad.sort(key=lambda each: (each.message_index, each.entity_ordinal))
    failed = decoded.failed | work.failed
    return Decoded(decoded.headers, decoded.entities, decoded.tables, bad, failed)


class _Work:
    """Documents on their way to protobuf; ``places``: message → its good entities' ordinals in the document."""

    def __init__(self) -> None:
        self.bad: list[BadEntity] = []
        self.failed: dict[int, str] = {}
        self.places: dict[int, list[int]] = {}

    def as_protobuf(self, index: int, body: bytes) -> bytes:
        """Give the document as protobuf; empty, with the reason noted, when it is no message."""
        try:
            document = _DOCUMENT.decode(body)
            message = _parsed({"header": _plain(document["header"])})
            listed = msgspec.convert(document.get("entity", []), list[object])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, json_format.ParseError, KeyError) as error:
            self.failed[index] = f"not a GTFS-Realtime message in JSON: {error}"[:_REASON_LIMIT]
            return b""
        places = self.places[index] = []
        for ordinal, item in enumerate(listed):
            try:
                message.MergeFrom(_parsed({"entity": [_plain(item)]}))
                places.append(ordinal)
            except (json_format.ParseError, RecursionError) as error:
                self.bad.append(BadEntity(index, ordinal, msgspec.json.encode(item), str(error)[:_REASON_LIMIT]))
        return bytes(message.SerializeToString(deterministic=True))


def _parsed(document: dict[str, object]) -> "message_factory.message.Message":  # type: ignore[name-defined]
    return json_format.ParseDict(document, _MESSAGE(), ignore_unknown_fields=True)


def _plain(value: object) -> object:
    """Give JSON with extension keys named as in the flat schema and enum names as numbers."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {_EXTENSIONS.get(key, key): _number(key, _plain(each)) for key, each in value.items()}


def _number(key: str, value: object) -> object:
    names = _ENUMS.get(key)
    return names.get(value, value) if names is not None and isinstance(value, str) else value
