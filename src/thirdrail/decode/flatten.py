"""ptars' nested record batch → flat tables, by offsets and takes alone."""

from collections.abc import Callable
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from thirdrail.decode.flat_alerts import flat_alerts
from thirdrail.decode.nested import Nested, Paths, Place, counter, int32

TRIP = {
    "trip_id": ("trip_id",),
    "start_time": ("start_time",),
    "start_date": ("start_date",),
    "schedule_relationship": ("schedule_relationship",),
    "route_id": ("route_id",),
    "direction_id": ("direction_id",),
    "modified_trip_modifications_id": ("modified_trip", "modifications_id"),
    "modified_trip_affected_trip_id": ("modified_trip", "affected_trip_id"),
    "train_id": ("nyct", "train_id"),
    "is_assigned": ("nyct", "is_assigned"),
    "nyct_direction": ("nyct", "direction"),
}
VEHICLE = {
    "vehicle_id": ("vehicle", "id"),
    "vehicle_label": ("vehicle", "label"),
    "license_plate": ("vehicle", "license_plate"),
    "wheelchair_accessible": ("vehicle", "wheelchair_accessible"),
    "vehicle_features": ("vehicle", "oba", "vehicle_feature"),
}
_PROPERTIES = ("trip_id", "start_date", "start_time", "shape_id", "trip_headsign", "trip_short_name")
TRIP_UPDATE = {
    **{name: ("trip", *path) for name, path in TRIP.items()},
    **VEHICLE,
    "timestamp": ("timestamp",),
    "delay": ("delay",),
    "is_estimated": ("oba", "is_estimated_realtime"),
    "trip_headsign": ("oba", "trip_headsign"),
    "trip_direction": ("oba", "trip_direction"),
    **{f"properties_{name}": ("properties", name) for name in _PROPERTIES},
}
_EVENT = ("delay", "time", "uncertainty", "scheduled_time")
STOP_TIME = {
    "stop_sequence": ("stop_sequence",),
    "stop_id": ("stop_id",),
    "schedule_relationship": ("schedule_relationship",),
    **{f"arrival_{name}": ("arrival", name) for name in _EVENT},
    **{f"departure_{name}": ("departure", name) for name in _EVENT},
    "departure_occupancy_status": ("departure_occupancy_status",),
    "scheduled_track": ("nyct", "scheduled_track"),
    "actual_track": ("nyct", "actual_track"),
    "oba_stop_headsign": ("oba", "stop_headsign"),
    "rail_track": ("rail", "track"),
    "rail_train_status": ("rail", "train_status"),
    **{name: ("properties", name) for name in ("assigned_stop_id", "stop_headsign", "pickup_type", "drop_off_type")},
}
VEHICLE_POSITION = {
    **{name: ("trip", *path) for name, path in TRIP.items()},
    **VEHICLE,
    "timestamp": ("timestamp",),
    **{name: ("position", name) for name in ("latitude", "longitude", "bearing", "speed", "odometer")},
    "current_stop_sequence": ("current_stop_sequence",),
    "current_status": ("current_status",),
    "congestion_level": ("congestion_level",),
    "stop_id": ("stop_id",),
    "occupancy_status": ("occupancy_status",),
    "occupancy_percentage": ("occupancy_percentage",),
    "crowding_estimated_count": ("crowding", "estimated_count"),
    "crowding_estimated_capacity": ("crowding", "estimated_capacity"),
}
CARRIAGE: Paths = {
    **{name: (name,) for name in ("id", "label", "occupancy_status", "occupancy_percentage", "carriage_sequence")},
    **{name: ("rail", name) for name in ("bicycles_allowed", "carriage_class", "quiet_carriage", "toilet_facilities")},
}


class Flat(NamedTuple):
    """The decoder's tables, and whether every required field that they show is there.

    False may also mean that there is something (alerts, shapes) whose required fields they do not show.
    """

    tables: dict[str, pa.Table]
    is_complete: bool


StopTimes = Callable[[Nested, pa.Array, pa.Array], dict[str, pa.Array]]
"""Gives the columns of all stop times of trip updates, from their lists and each one's trip update."""


def _stop_times(_update: Nested, lists: pa.Array, _parent: pa.Array) -> dict[str, pa.Array]:
    return Nested(lists.flatten()).columns(STOP_TIME)


def flatten(
    batch: pa.RecordBatch, message: pa.Array, first_ordinal: pa.Array, stop_times: StopTimes = _stop_times
) -> Flat:
    """Give the decoder's tables of a batch of payloads.

    ``message``: message index of each payload; ``first_ordinal``: ordinal of its first entity (int32).
    """
    header = Nested(batch.column("header"))
    entity_lists = batch.column("entity")
    payload = pc.list_parent_indices(entity_lists)
    entity = Nested(entity_lists.flatten())
    place = {
        "message_index": message.take(payload),
        "entity_ordinal": int32(pc.add(first_ordinal.take(payload), counter(entity_lists, payload))),
        "entity_id": entity.get(("id",)),
        "is_deleted": entity.get(("is_deleted",)),
    }
    updates, vehicles, alerts = (entity.get((name,)) for name in ("trip_update", "vehicle", "alert"))
    has_update, has_vehicle, has_alert = (pc.is_valid(array) for array in (updates, vehicles, alerts))
    is_other = pc.invert(pc.or_(pc.or_(has_update, has_vehicle), has_alert))
    marks = {"has_trip_update": has_update, "has_vehicle": has_vehicle, "has_alert": has_alert, "has_other": is_other}
    trips, stops, has_trips = _trip_updates(updates, has_update, place, stop_times)
    positions, carriages, has_places = _vehicle_positions(vehicles, has_vehicle, place)
    is_plain = not (pc.any(has_alert).as_py() or pc.any(is_other).as_py())
    named = place["entity_id"].null_count == 0 and header.get(("gtfs_realtime_version",)).null_count == 0
    tables = {
        "headers": _headers(header, message, first_ordinal),
        "trip_replacement_periods": _periods(header, message, first_ordinal),
        "entities": pa.table({**place, **marks}),
        "trip_updates": trips,
        "stop_time_updates": stops,
        "vehicle_positions": positions,
        "vehicle_carriages": carriages,
        **flat_alerts(*_present(alerts, has_alert, place)),
    }
    return Flat(tables, is_plain and named and has_trips and has_places)


def _headers(header: Nested, message: pa.Array, first_ordinal: pa.Array) -> pa.Table:
    names = ("gtfs_realtime_version", "incrementality", "timestamp", "feed_version")
    columns = {"message_index": message, **{name: header.get((name,)) for name in names}}
    columns["mta_version"] = header.get(("mta", "version"))
    return pa.table(columns).filter(pc.equal(first_ordinal, 0))


def _periods(header: Nested, message: pa.Array, first_ordinal: pa.Array) -> pa.Table:
    lists = header.get(("mta", "trip_replacement_period"))
    payload = pc.list_parent_indices(lists)
    period = Nested(lists.flatten())
    columns = {
        "message_index": message.take(payload),
        "entity_ordinal": counter(lists, payload),
        "route_id": period.get(("route_id",)),
        "start": period.get(("replacement_period", "start")),
        "end": period.get(("replacement_period", "end")),
    }
    return pa.table(columns).filter(pc.equal(first_ordinal.take(payload), 0))


def _present(array: pa.Array, mask: pa.Array, place: Place) -> tuple[pa.Array, Place]:
    if array.null_count == 0:
        return array, place
    return array.filter(mask), {name: column.filter(mask) for name, column in place.items()}


def _trip_updates(
    array: pa.Array, mask: pa.Array, place: Place, stop_times: StopTimes
) -> tuple[pa.Table, pa.Table, bool]:
    array, place = _present(array, mask, place)
    update = Nested(array)
    lists = update.get(("stop_time_update",))
    parent = pc.list_parent_indices(lists)
    counts = int32(pc.list_value_length(lists))
    stops = {
        "message_index": place["message_index"].take(parent),
        "entity_ordinal": place["entity_ordinal"].take(parent),
        "stu_index": counter(lists, parent),
        "parent": int32(parent),
        **stop_times(update, lists, parent),
    }
    trips = {**place, **update.columns(TRIP_UPDATE), "stop_time_update_count": counts}
    return pa.table(trips), pa.table(stops), update.get(("trip",)).null_count == 0


def _vehicle_positions(array: pa.Array, mask: pa.Array, place: Place) -> tuple[pa.Table, pa.Table, bool]:
    array, place = _present(array, mask, place)
    position = Nested(array)
    lists = position.get(("carriage",))
    counts = int32(pc.list_value_length(lists))
    table = pa.table({**place, **position.columns(VEHICLE_POSITION), "carriage_count": counts})
    places = position.get(("position",))
    has_both = all(table.column(name).null_count == places.null_count for name in ("latitude", "longitude"))
    return table, _carriages(lists, place), has_both


def _carriages(lists: pa.Array, place: Place) -> pa.Table:
    parent = pc.list_parent_indices(lists)
    columns = {
        "message_index": place["message_index"].take(parent),
        "entity_ordinal": place["entity_ordinal"].take(parent),
        "carriage_index": counter(lists, parent),
        "parent": int32(parent),
        **Nested(lists.flatten()).columns(CARRIAGE),
    }
    return pa.table(columns)
