"""SIRI Vehicle Monitoring and Stop Monitoring in JSON, versions 1 and 2 → Arrow tables of raw fields. Pure.

msgspec reads a document into typed records in one pass; when one activity is odd, each is read by itself, so that it
alone is refused. Scalars that some version wraps in a list are taken either way. Source: SIRI 1.3 and 2.0 as
served by MTA Bus Time (OneBusAway-NYC).
"""

from collections.abc import Iterable, Sequence
from operator import attrgetter, itemgetter
from typing import TypeVar

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from thirdrail.decode.decoded import BadEntity, Decoded
from thirdrail.decode.siri_records import (
    ACTIVITIES,
    ACTIVITY,
    DOCUMENT,
    ITEMS,
    NO_CALL,
    NO_CAPACITIES,
    NO_DISTANCES,
    NO_EXTENSIONS,
    NO_FEATURES,
    NO_FRAME,
    NO_JOURNEY,
    NO_PLACE,
    SITUATION,
    SITUATIONS,
    Activity,
    AffectedVehicleJourney,
    Call,
    Consequence,
    Delivery,
    Distances,
    ErrorCondition,
    Journey,
    PublicationWindow,
    ServiceDelivery,
    Situation,
    VehicleFeatures,
)

Item = TypeVar("Item")
_REASON_LIMIT = 200
VEHICLE_MONITORING, STOP_MONITORING = "vehicle_monitoring", "stop_monitoring"


def decode(bodies: Sequence[bytes]) -> Decoded:
    """Give the raw fields of several documents. Never raises for what a body holds."""
    work = _Work()
    for index, body in enumerate(bodies):
        work.add(index, body)
    return work.decoded()


def _as_text(value: object) -> str | None:
    """Give a scalar, or a list's only member or its members joined by commas, as text."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        return ",".join(text for each in value if (text := _as_text(each))) or None
    if isinstance(value, dict):
        return _as_text(value.get("value"))
    return str(value).lower() if isinstance(value, bool) else str(value)


class _Work:
    """Records of several documents, gathered until they become columns."""

    def __init__(self) -> None:
        self._headers: list[tuple[int, str | None]] = []
        self._entities: list[tuple[int, int]] = []
        self._activities: list[Activity] = []
        self._where: list[tuple[int, str, str | None, str | None]] = []
        self._ordinals: list[int] = []
        self._situations: list[tuple[int, int, Situation]] = []
        self._bad: list[BadEntity] = []
        self._failed: dict[int, str] = {}

    def add(self, index: int, body: bytes) -> None:
        """Take one document."""
        try:
            delivery = DOCUMENT.decode(body).siri.service_delivery
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._failed[index] = f"not a SIRI document: {error}"[:_REASON_LIMIT]
            return
        for each in (*delivery.vehicle_monitoring_delivery, *delivery.stop_monitoring_delivery):
            if each.error_condition is not None:
                self._failed[index] = f"SIRI error: {_error(each.error_condition)}"[:_REASON_LIMIT]
                return
        self._headers.append((index, _as_text(delivery.response_timestamp)))
        ordinal = 0
        for api, each in _deliveries(delivery):
            items = each.vehicle_activity if api == VEHICLE_MONITORING else each.monitored_stop_visit
            stamps = (_as_text(each.response_timestamp), _as_text(each.valid_until))
            read = self._read(index, ordinal, bytes(items), ACTIVITIES, ACTIVITY)
            good = [place for place, activity in enumerate(read, ordinal) if activity is not None]
            self._activities += filter(None, read)
            self._where += [(index, api, *stamps)] * len(good)
            self._ordinals += good
            self._entities += [(index, place) for place in good]
            ordinal += len(read)
        for exchange in delivery.situation_exchange_delivery:
            items = exchange.situations.pt_situation_element if exchange.situations else msgspec.Raw()
            for situation in self._read(index, ordinal, bytes(items), SITUATIONS, SITUATION):
                if situation is not None:
                    self._situations.append((index, ordinal, situation))
                    self._entities.append((index, ordinal))
                ordinal += 1

    def _read(
        self,
        index: int,
        first: int,
        items: bytes,
        together: "msgspec.json.Decoder[list[Item]]",
        alone: "msgspec.json.Decoder[Item]",
    ) -> "Sequence[Item | None]":
        """Give the items of a list; None in the place of each that does not parse."""
        if not items or items in (b"{}", b"null"):
            return []
        try:
            return together.decode(items)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        return [self._read_alone(index, first + place, item, alone) for place, item in enumerate(_split(items))]

    def _read_alone(self, index: int, ordinal: int, item: bytes, alone: "msgspec.json.Decoder[Item]") -> "Item | None":
        try:
            return alone.decode(item)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._bad.append(BadEntity(index, ordinal, item, str(error)[:_REASON_LIMIT]))
            return None

    def decoded(self) -> Decoded:
        """Give everything as Arrow tables."""
        return Decoded(
            headers=pa.table(
                {
                    "message_index": pa.array([index for index, _ in self._headers], pa.int32()),
                    "response_timestamp": pa.array([at for _, at in self._headers], pa.large_string()),
                }
            ),
            entities=pa.table(
                {
                    "message_index": pa.array([index for index, _ in self._entities], pa.int32()),
                    "entity_ordinal": pa.array([ordinal for _, ordinal in self._entities], pa.int32()),
                }
            ),
            tables={
                "siri_vehicle_activity": self._activity_table(),
                "siri_onward_calls": self._onward_table(),
                "siri_situations": self._situation_table(),
            },
            bad_entities=self._bad,
            failed=self._failed,
        )

    def _activity_table(self) -> pa.Table:
        journeys = [activity.monitored_vehicle_journey or NO_JOURNEY for activity in self._activities]
        frames = [journey.framed_vehicle_journey_ref or NO_FRAME for journey in journeys]
        places = [journey.vehicle_location or NO_PLACE for journey in journeys]
        features = [_features(journey) for journey in journeys]
        index, api, response, valid = (map(itemgetter(place), self._where) for place in range(4))
        return pa.table(
            {
                "message_index": pa.array(list(index), pa.int32()),
                "entity_ordinal": pa.array(self._ordinals, pa.int32()),
                "source_api": _texts(api),
                "response_at": _texts(response),
                "valid_until_at": _texts(valid),
                "recorded_at": _texts(map(attrgetter("recorded_at_time"), self._activities)),
                "data_frame_ref": _texts(map(attrgetter("data_frame_ref"), frames)),
                "dated_vehicle_journey_ref": _texts(map(attrgetter("dated_vehicle_journey_ref"), frames)),
                **{name: _texts(map(attrgetter(name), journeys)) for name in _JOURNEY_TEXTS},
                "situation_refs": _texts(_situation_refs(journey) for journey in journeys),
                "longitude": _texts(map(attrgetter("longitude"), places)),
                "latitude": _texts(map(attrgetter("latitude"), places)),
                "stroller_vehicle": _texts(map(attrgetter("stroller_vehicle"), features)),
                **_calls([journey.monitored_call or NO_CALL for journey in journeys], "call_"),
                "onward_call_count": pa.array([len(_onward(journey)) for journey in journeys], pa.int32()),
            }
        )

    def _onward_table(self) -> pa.Table:
        found = [
            (parent, self._where[parent][0], self._ordinals[parent], order, call)
            for parent, activity in enumerate(self._activities)
            for order, call in enumerate(_onward(activity.monitored_vehicle_journey or NO_JOURNEY))
        ]
        columns = zip(*found, strict=True) if found else ((), (), (), (), ())
        parent, index, ordinal, order, calls = (list(column) for column in columns)
        return pa.table(
            {
                "message_index": pa.array(index, pa.int32()),
                "entity_ordinal": pa.array(ordinal, pa.int32()),
                "call_order": pa.array(order, pa.int32()),
                "parent": pa.array(parent, pa.int32()),
                **_calls(calls, ""),
            }
        )

    def _situation_table(self) -> pa.Table:
        rows = [situation for _, _, situation in self._situations]
        windows = [row.publication_window or PublicationWindow() for row in rows]
        return pa.table(
            {
                "message_index": pa.array([index for index, _, _ in self._situations], pa.int32()),
                "entity_ordinal": pa.array([ordinal for _, ordinal, _ in self._situations], pa.int32()),
                "publication_start": _texts(window.start_time for window in windows),
                "publication_end": _texts(window.end_time for window in windows),
                **{name: _texts(map(attrgetter(name), rows)) for name in _SITUATION_TEXTS},
                "conditions": _lists([each.condition for each in _consequences(row)] for row in rows),
                "line_refs": _lists([each.line_ref for each in _affected(row)] for row in rows),
                "direction_refs": _lists([each.direction_ref for each in _affected(row)] for row in rows),
            }
        )


_JOURNEY_TEXTS = (
    "line_ref",
    "direction_ref",
    "journey_pattern_ref",
    "published_line_name",
    "operator_ref",
    "origin_ref",
    "destination_ref",
    "destination_name",
    "origin_aimed_departure_time",
    "monitored",
    "bearing",
    "progress_rate",
    "progress_status",
    "occupancy",
    "block_ref",
    "vehicle_ref",
)
_SITUATION_TEXTS = ("situation_number", "creation_time", "severity", "summary", "description")
_CALL_TEXTS = (
    "stop_point_ref",
    "stop_point_name",
    "visit_number",
    "aimed_arrival_time",
    "aimed_departure_time",
    "expected_arrival_time",
    "expected_departure_time",
    "arrival_status",
    "departure_status",
)


def _texts(values: Iterable[object]) -> pa.Array:
    """Give values as text, or as the numbers or truth values that all of them are; what is mixed becomes text.

    Version 2's lists of one text, the usual there, are opened by Arrow; the rest, by hand.
    """
    found = list(values)
    try:
        return pa.array(found, pa.large_string())
    except (pa.ArrowTypeError, pa.ArrowInvalid, UnicodeEncodeError):
        plain = _of_one_type(found)
    return pa.array([_as_text(value) for value in found], pa.large_string()) if plain is None else plain


def _of_one_type(values: list[object]) -> pa.Array | None:
    try:
        found = pa.array(values)
    except (pa.ArrowTypeError, pa.ArrowInvalid, UnicodeEncodeError, OverflowError):
        return None
    kind = found.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return found
    if pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
        lengths = pc.min_max(pc.list_value_length(found)).as_py()
        if lengths == {"min": 1, "max": 1} and not found.null_count:
            return found.flatten().cast(pa.large_string())
    return None


def _lists(values: Iterable[list[object]]) -> pa.Array:
    return pa.array([[_as_text(each) or "" for each in value] or None for value in values], _LIST)


_LIST = pa.large_list(pa.large_string())


def _calls(calls: list[Call], prefix: str) -> dict[str, pa.Array]:
    """Give the columns of calls; what the versions name differently comes under one name."""
    extensions = [call.extensions or NO_EXTENSIONS for call in calls]
    distances = [extension.distances or NO_DISTANCES for extension in extensions]
    capacities = [extension.capacities or NO_CAPACITIES for extension in extensions]
    return {
        **{f"{prefix}{name}": _texts(map(attrgetter(name), calls)) for name in _CALL_TEXTS},
        f"{prefix}presentable_distance": _first(distances, "presentable_distance", calls, "arrival_proximity_text"),
        f"{prefix}distance_m": _first(distances, "distance_from_call", calls, "distance_from_stop"),
        f"{prefix}stops_away": _first(distances, "stops_from_call", calls, "number_of_stops_away"),
        f"{prefix}distance_along_route_m": _texts(map(attrgetter("call_distance_along_route"), distances)),
        f"{prefix}passenger_count": _texts(map(attrgetter("estimated_passenger_count"), capacities)),
        f"{prefix}passenger_capacity": _texts(map(attrgetter("estimated_passenger_capacity"), capacities)),
        f"{prefix}passenger_load_factor": _texts(map(attrgetter("estimated_passenger_load_factor"), capacities)),
    }


def _first(one: list[Distances], name: str, other: list[Call], other_name: str) -> pa.Array:
    """Give a field of the one, where it is not there that of the other: the versions call it differently."""
    values = list(map(attrgetter(name), one))
    others = list(map(attrgetter(other_name), other))
    if values.count(None) == len(values):
        return _texts(others)
    return _texts(b if a is None else a for a, b in zip(values, others, strict=True))


def _deliveries(delivery: ServiceDelivery) -> list[tuple[str, Delivery]]:
    return [
        *((VEHICLE_MONITORING, each) for each in delivery.vehicle_monitoring_delivery),
        *((STOP_MONITORING, each) for each in delivery.stop_monitoring_delivery),
    ]


def _onward(journey: Journey) -> list[Call]:
    return journey.onward_calls.onward_call if journey.onward_calls else []


def _features(journey: Journey) -> VehicleFeatures:
    beside = journey.monitored_call.extensions if journey.monitored_call else None
    for extensions in (beside, journey.extensions):
        if extensions is not None and extensions.vehicle_features is not None:
            return extensions.vehicle_features
    return NO_FEATURES


def _situation_refs(journey: Journey) -> str | None:
    refs = journey.situation_ref
    if not refs:
        return None
    listed = refs if isinstance(refs, list) else [refs]
    return "\x1f".join(_as_text(each.situation_simple_ref) or "" for each in listed)


def _affected(situation: Situation) -> list[AffectedVehicleJourney]:
    journeys = situation.affects.vehicle_journeys if situation.affects else None
    return journeys.affected_vehicle_journey if journeys else []


def _consequences(situation: Situation) -> list[Consequence]:
    return situation.consequences.consequence if situation.consequences else []


def _error(condition: ErrorCondition) -> str:
    other = _as_text(condition.other_error.error_text) if condition.other_error else None
    return other or _as_text(condition.description) or "an ErrorCondition without words"


def _split(items: bytes) -> list[bytes]:
    """Give the members of a JSON list, each as bytes; the bytes themselves when they are no list."""
    try:
        return [bytes(item) for item in ITEMS.decode(items)]
    except (msgspec.DecodeError, RecursionError):
        return [items]
