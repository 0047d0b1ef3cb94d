"""Flattened SIRI records, one bus a record → the raw table of SIRI activities. Pure.

A body is CSV with a header line, a JSON array, one JSON object, or one object a line. Field names are those of
the view ``icymta`` in any case, with or without underscores (``VehicleRef``, ``VEHICLEREF``, ``vehicle_ref``).
"""

import csv
import io
from collections.abc import Sequence

import msgspec
import pyarrow as pa

from thirdrail.decode.decoded import BadEntity, Decoded

_REASON_LIMIT = 200
_JSON = msgspec.json.Decoder()
_SITUATIONS = tuple(f"situationsimpleref{number}" for number in range(1, 6))
FIELDS = {
    "stoppointref": "call_stop_point_ref",
    "vehicleref": "vehicle_ref",
    "progressrate": "progress_rate",
    "expecteddeparturetime": "call_expected_departure_time",
    "stoppoint": "stop_point",
    "visitnumber": "call_visit_number",
    "dataframeref": "data_frame_ref",
    "stoppointname": "call_stop_point_name",
    "bearing": "bearing",
    "originaimeddeparturetime": "origin_aimed_departure_time",
    "journeypatternref": "journey_pattern_ref",
    "recordedattime": "recorded_at",
    "operatorref": "operator_ref",
    "destinationname": "destination_name",
    "expectedarrivaltime": "call_expected_arrival_time",
    "blockref": "block_ref",
    "lineref": "line_ref",
    "vehiclelocationlongitude": "longitude",
    "directionref": "direction_ref",
    "arrivalproximitytext": "call_presentable_distance",
    "distancefromstop": "call_distance_m",
    "estimatedpassengercapacity": "call_passenger_capacity",
    "aimedarrivaltime": "call_aimed_arrival_time",
    "publishedlinename": "published_line_name",
    "datedvehiclejourneyref": "dated_vehicle_journey_ref",
    "date": "source_date",
    "monitored": "monitored",
    "progressstatus": "progress_status",
    "destinationref": "destination_ref",
    "estimatedpassengercount": "call_passenger_count",
    "vehiclelocationlatitude": "latitude",
    "originref": "origin_ref",
    "numberofstopsaway": "call_stops_away",
    "ts": "ts",
    "uuid": "source_record_id",
    "ingestiontime": "ingestion_time",
    "sourcesystem": "source_system",
    "processingstatus": "source_processing_status",
}
"""Field of a flat record, in lower case → column of the raw table; the five situations come beside."""

_NEVER = (
    "response_at",
    "valid_until_at",
    "call_aimed_departure_time",
    "call_arrival_status",
    "call_departure_status",
    "call_distance_along_route_m",
    "call_passenger_load_factor",
    "occupancy",
    "stroller_vehicle",
)
"""Columns of the raw table that flat records have no field for."""


def decode(bodies: Sequence[bytes]) -> Decoded:
    """Give the raw fields of several bodies. Never raises for what a body holds."""
    indexes: list[int] = []
    rows: list[tuple[int, int, dict[str, str | None]]] = []
    bad: list[BadEntity] = []
    failed: dict[int, str] = {}
    for index, body in enumerate(bodies):
        try:
            records = _records(body)
        except (ValueError, csv.Error, msgspec.MsgspecError, RecursionError) as error:
            failed[index] = f"not flat SIRI records: {error}"[:_REASON_LIMIT]
            continue
        indexes.append(index)
        for ordinal, record in enumerate(records):
            named = _named(record)
            if named is not None and named.get("vehicleref"):
                rows.append((index, ordinal, named))
            else:
                reason = f"expected a record with VehicleRef, seen {str(record)[:80]}"
                bad.append(BadEntity(index, ordinal, msgspec.json.encode(record), reason))
    place = {
        "message_index": pa.array([index for index, _, _ in rows], pa.int32()),
        "entity_ordinal": pa.array([ordinal for _, ordinal, _ in rows], pa.int32()),
    }
    headers = pa.table({"message_index": pa.array(indexes, pa.int32())})
    table = pa.table({**place, **_columns([row for _, _, row in rows])})
    return Decoded(headers, pa.table(place), {"siri_vehicle_activity": table}, bad, failed)


def _columns(rows: list[dict[str, str | None]]) -> dict[str, pa.Array]:
    text = pa.large_string()
    return {
        **{column: pa.array([row.get(field) for row in rows], text) for field, column in FIELDS.items()},
        **{column: pa.nulls(len(rows), text) for column in _NEVER},
        "source_api": pa.array(["flat"] * len(rows), text),
        "situation_refs": pa.array([_joined(row) for row in rows], text),
        "onward_call_count": pa.array([0] * len(rows), pa.int32()),
    }


def _joined(row: dict[str, str | None]) -> str | None:
    return "\x1f".join(ref for name in _SITUATIONS if (ref := row.get(name))) or None


def _records(body: bytes) -> Sequence[object]:
    """Give the records of a body.

    Raises:
        ValueError, msgspec.DecodeError: it is neither JSON nor CSV that names a vehicle.
    """
    text = body.decode("utf-8-sig").strip()
    if text.startswith("["):
        found = _JSON.decode(text)
        return list(found)
    if text.startswith("{"):
        return (
            [_JSON.decode(line) for line in text.splitlines() if line.strip()]
            if "\n{" in text
            else [_JSON.decode(text)]
        )
    reader = csv.DictReader(io.StringIO(text))
    fields = {_key(name) for name in reader.fieldnames or ()}
    if "vehicleref" not in fields:
        raise ValueError(f"neither JSON nor CSV with a column VEHICLEREF: begins {text[:60]!r}")
    return list(reader)


def _key(name: str) -> str:
    return name.replace("_", "").lower()


def _named(record: object) -> dict[str, str | None] | None:
    """Give the record by field in lower case, empty ones as null, all else as text."""
    if not isinstance(record, dict):
        return None
    return {_key(str(name)): _text(value) for name, value in record.items()}


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    return msgspec.json.encode(value).decode()
