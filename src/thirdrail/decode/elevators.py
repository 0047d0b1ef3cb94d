"""Outages and equipment of elevators and escalators in JSON → Arrow tables of raw fields. Pure.

A document is an array of flat objects whose values are all text, or that array inside an envelope
(``{"NYCOutages": {"outage": […]}}``, as it was until about 2019).
"""

from collections.abc import Iterable, Sequence

import msgspec
import pyarrow as pa

from thirdrail.decode.decoded import BadEntity, Decoded

_REASON_LIMIT = 200
_DOCUMENT = msgspec.json.Decoder()
OUTAGE_FIELDS = {
    "equipment": "equipment_id",
    "outagedate": "outage_at_raw",
    "estimatedreturntoservice": "estimated_return_raw",
    "equipmenttype": "equipment_type",
    "station": "station_name",
    "borough": "borough",
    "trainno": "train_lines",
    "serving": "serving",
    "ADA": "is_ada",
    "reason": "reason",
    "isupcomingoutage": "is_upcoming",
    "ismaintenanceoutage": "is_maintenance",
}
"""Wire name → name of the raw column, of outages."""

EQUIPMENT_FIELDS = {
    "equipmentno": "equipment_id",
    "equipmenttype": "equipment_type",
    "station": "station_name",
    "borough": "borough",
    "stationcomplexid": "station_complex_id",
    "elevatormrn": "station_mrns",
    "elevatorsgtfsstopid": "gtfs_stop_ids",
    "trainno": "train_lines",
    "linesservedbyelevator": "lines_served",
    "serving": "serving",
    "shortdescription": "short_description",
    "ADA": "is_ada",
    "isactive": "is_active",
    "nonNYCT": "is_non_nyct",
    "nextadanorth": "next_ada_north_mrn",
    "nextadasouth": "next_ada_south_mrn",
    "redundant": "redundant",
    "busconnections": "bus_connections",
    "alternativeroute": "alternative_route",
}
"""Wire name → name of the raw column, of equipment."""


def decode_outages(bodies: Sequence[bytes]) -> Decoded:
    """Give the raw fields of several documents of outages. Never raises for what a body holds."""
    return _decode(bodies, "elevator_outages", OUTAGE_FIELDS, "equipment")


def decode_equipment(bodies: Sequence[bytes]) -> Decoded:
    """Give the raw fields of several documents of equipment. Never raises for what a body holds."""
    return _decode(bodies, "elevator_equipment", EQUIPMENT_FIELDS, "equipmentno")


def _decode(bodies: Sequence[bytes], table: str, fields: dict[str, str], key: str) -> Decoded:
    indexes: list[int] = []
    rows: list[tuple[int, int, dict[str, object]]] = []
    bad: list[BadEntity] = []
    failed: dict[int, str] = {}
    for index, body in enumerate(bodies):
        try:
            listed = _listed(_DOCUMENT.decode(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            failed[index] = f"not JSON: {error}"[:_REASON_LIMIT]
            continue
        if listed is None:
            failed[index] = "JSON, but neither an array nor an array of outages in its old envelope"
            continue
        indexes.append(index)
        for ordinal, item in enumerate(listed):
            if isinstance(item, dict) and item.get(key):
                rows.append((index, ordinal, item))
            else:
                reason = f"expected an object with {key!r}, seen {str(item)[:80]}"
                bad.append(BadEntity(index, ordinal, msgspec.json.encode(item), reason))
    place = {
        "message_index": pa.array([index for index, _, _ in rows], pa.int32()),
        "entity_ordinal": pa.array([ordinal for _, ordinal, _ in rows], pa.int32()),
    }
    columns = {name: _texts(item.get(wire) for _, _, item in rows) for wire, name in fields.items()}
    headers = pa.table({"message_index": pa.array(indexes, pa.int32())})
    return Decoded(headers, pa.table(place), {table: pa.table({**place, **columns})}, bad, failed)


def _listed(document: object) -> list[object] | None:
    """Give the array of a document, which may lie in the old envelope."""
    for name in ("NYCOutages", "outage"):
        if isinstance(document, dict) and name in document:
            document = document[name]
    if isinstance(document, list):
        return document
    is_empty = isinstance(document, dict) and set(document) == {"responsecode"}
    return [] if is_empty else None


def _texts(values: Iterable[object]) -> pa.Array:
    """Give values as text: what is a number or a truth value in spite of the rule is written out."""
    found = [
        value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode() for value in values
    ]
    return pa.array(found, pa.large_string())
