"""The oracle: canonical rows from the stock bindings alone, one plain Python loop per table.

Shares no code with ``thirdrail``. Extensions are declared here anew, in a pool of their own, beside a copy of
the stock file.
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.transit import gtfs_realtime_pb2

NEW_YORK = ZoneInfo("America/New_York")
_NYCT = """
name: "nyct.proto" package: "nyct_oracle" dependency: "gtfs-realtime.proto"
message_type { name: "Period"
  field { name: "route_id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "replacement_period" number: 2 type: TYPE_MESSAGE type_name: ".transit_realtime.TimeRange" label: LABEL_OPTIONAL } }
message_type { name: "Header"
  field { name: "version" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "periods" number: 2 type: TYPE_MESSAGE type_name: ".nyct_oracle.Period" label: LABEL_REPEATED } }
message_type { name: "Trip"
  field { name: "train_id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "is_assigned" number: 2 type: TYPE_BOOL label: LABEL_OPTIONAL }
  field { name: "direction" number: 3 type: TYPE_INT32 label: LABEL_OPTIONAL } }
message_type { name: "Stop"
  field { name: "scheduled_track" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "actual_track" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL } }
message_type { name: "Rail"
  field { name: "track" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "train_status" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL } }
message_type { name: "Car"
  field { name: "bicycles_allowed" number: 1 type: TYPE_INT32 label: LABEL_OPTIONAL }
  field { name: "carriage_class" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "quiet" number: 3 type: TYPE_INT32 label: LABEL_OPTIONAL }
  field { name: "toilet" number: 4 type: TYPE_INT32 label: LABEL_OPTIONAL } }
extension { name: "car" number: 1005 extendee: ".transit_realtime.VehiclePosition.CarriageDetails" type: TYPE_MESSAGE type_name: ".nyct_oracle.Car" label: LABEL_OPTIONAL }
extension { name: "rail" number: 1005 extendee: ".transit_realtime.TripUpdate.StopTimeUpdate" type: TYPE_MESSAGE type_name: ".nyct_oracle.Rail" label: LABEL_OPTIONAL }
extension { name: "header" number: 1001 extendee: ".transit_realtime.FeedHeader" type: TYPE_MESSAGE type_name: ".nyct_oracle.Header" label: LABEL_OPTIONAL }
extension { name: "trip" number: 1001 extendee: ".transit_realtime.TripDescriptor" type: TYPE_MESSAGE type_name: ".nyct_oracle.Trip" label: LABEL_OPTIONAL }
extension { name: "stop" number: 1001 extendee: ".transit_realtime.TripUpdate.StopTimeUpdate" type: TYPE_MESSAGE type_name: ".nyct_oracle.Stop" label: LABEL_OPTIONAL }
"""


def _pool() -> Any:
    pool = descriptor_pool.DescriptorPool()
    base = descriptor_pb2.FileDescriptorProto()
    gtfs_realtime_pb2.DESCRIPTOR.CopyToProto(base)
    nyct = text_format.Parse(_NYCT, descriptor_pb2.FileDescriptorProto())
    nyct.dependency[0] = base.name
    pool.Add(base)
    pool.Add(nyct)
    message_factory.GetMessageClassesForFiles([base.name, nyct.name], pool)
    return pool


_POOL = _pool()
_FEED_MESSAGE = message_factory.GetMessageClass(_POOL.FindMessageTypeByName("transit_realtime.FeedMessage"))
_HEADER, _TRIP, _STOP, _RAIL, _CAR = (
    _POOL.FindExtensionByName(f"nyct_oracle.{name}") for name in ("header", "trip", "stop", "rail", "car")
)
_DIRECTIONS = {1: "NORTH", 2: "EAST", 3: "SOUTH", 4: "WEST"}
_ALIASES = {"SS": "SI", "S": "GS", "5X": "5"}
_TRIP_ID = re.compile(r"^(-?\d{1,6})_([A-Z0-9]{1,3})\.{1,2}([NS])?(.*)$")


def _get(message: Any, name: str) -> Any:
    """Give a scalar that is present, else None."""
    return getattr(message, name) if message.HasField(name) else None


def _enum(message: Any, name: str, default: str | None = None) -> str | None:
    if not message.HasField(name):
        return default
    return message.DESCRIPTOR.fields_by_name[name].enum_type.values_by_number[getattr(message, name)].name


def _instant(seconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _origin_at(day: date, hundredths: int) -> datetime:
    noon = datetime.combine(day, time(12), NEW_YORK).astimezone(UTC)
    return noon - timedelta(hours=12) + timedelta(seconds=(hundredths * 6 + 5) // 10)


def _parent(stop: str | None) -> str | None:
    return stop[:-1] if stop and stop[-1] in "NS" else stop


@lru_cache(maxsize=64)
def oracle_rows(body: bytes, family: str = "subway") -> dict[str, list[dict[str, Any]]]:
    """Give table → rows (content, moment and place columns) of one message of the subway, ``lirr`` or ``mnr``."""
    message = _FEED_MESSAGE.FromString(body)
    header_at = _instant(message.header.timestamp)
    assert header_at is not None
    rows: dict[str, list[dict[str, Any]]] = {
        "trip_updates": [],
        "stop_time_updates": [],
        "vehicle_positions": [],
        "vehicle_carriages": [],
        "trip_replacement_periods": [],
    }
    for place, period in enumerate(message.header.Extensions[_HEADER].periods):
        end = _instant(period.replacement_period.end)
        after = None if end is None else int((end - header_at).total_seconds())
        rows["trip_replacement_periods"].append(
            {
                "entity_ordinal": place,
                "route_id": period.route_id,
                "start_at": _instant(period.replacement_period.start),
                "end_after_header_s": after,
                "end_at": end,
                "end_at_effective": end if after and after > 0 else header_at + timedelta(minutes=30) if end else None,
                "dq_flags": [],
            }
        )
    for ordinal, entity in enumerate(message.entity):
        place = {"entity_ordinal": ordinal, "entity_id": entity.id}
        if entity.HasField("trip_update"):
            trip, stops = _trip_update(entity, header_at, family)
            if family == "mnr" and stops and all(stop["rail_train_status"] == "Canceled" for stop in stops):
                trip["schedule_relationship"] = "CANCELED"
            rows["trip_updates"].append({**place, **trip})
            rows["stop_time_updates"] += [{**place, **stop} for stop in stops]
        if entity.HasField("vehicle"):
            vehicle = _vehicle(entity, header_at, family)
            rows["vehicle_positions"].append({**place, **vehicle})
            rows["vehicle_carriages"] += [
                {**place, "vehicle_key": vehicle["vehicle_key"], "carriage_index": index, **_carriage(car)}
                for index, car in enumerate(entity.vehicle.multi_carriage_details)
            ]
    return rows


def _trip(trip: Any, header_at: datetime, family: str, entity: Any) -> dict[str, Any]:
    nyct = trip.Extensions[_TRIP]
    is_subway = family == "subway"
    sent_date = trip.start_date or (entity.trip_update.trip.start_date if family == "mnr" else "")
    day = date(int(sent_date[:4]), int(sent_date[4:6]), int(sent_date[6:]))
    parts = _TRIP_ID.match(trip.trip_id) if is_subway else None
    route = _get(trip, "route_id") or (parts[2] if parts else None)
    flags = [] if parts or not is_subway else ["M012"]
    local = header_at.astimezone(NEW_YORK)
    today = local.date() - timedelta(days=local.hour < 3)
    if abs((day - today).days) > 1:
        flags.append("M028")
    direction = _DIRECTIONS[nyct.direction] if nyct.HasField("direction") else None
    return {
        "trip_key": f"{day:%Y%m%d}|{entity.id if family == 'mnr' else trip.trip_id}|{nyct.train_id}",
        "trip_id": _get(trip, "trip_id"),
        "route_id_raw": _get(trip, "route_id"),
        "route_id": _ALIASES.get(route, route) if is_subway else route,
        "direction_id": _get(trip, "direction_id"),
        "start_date_raw": sent_date,
        "service_date": day,
        "start_time": _get(trip, "start_time"),
        "schedule_relationship_raw": _enum(trip, "schedule_relationship"),
        "schedule_relationship": _enum(trip, "schedule_relationship", "SCHEDULED"),
        "trip_origin_hundredths": int(parts[1]) if parts else None,
        "trip_origin_at": _origin_at(day, int(parts[1])) if parts else None,
        "trip_path": (parts[4] or None) if parts else None,
        "nyct_train_id": _get(nyct, "train_id"),
        "nyct_is_assigned": nyct.is_assigned if is_subway else None,
        "nyct_direction_raw": direction,
        "nyct_direction": (direction or "NORTH") if is_subway else None,
        "modified_trip_modifications_id": None,
        "modified_trip_affected_trip_id": None,
        "dq_flags": flags,
    }


def _descriptor(vehicle: Any) -> dict[str, Any]:
    return {
        "vehicle_id": _get(vehicle, "id"),
        "vehicle_label": _get(vehicle, "label"),
        "license_plate": _get(vehicle, "license_plate"),
        "wheelchair_accessible": _enum(vehicle, "wheelchair_accessible"),
        "vehicle_features": None,
    }


def _is_late_plan(trip: dict[str, Any], late: float | None, family: str) -> bool | None:
    if family != "subway":  # which alone says whether a train is assigned: whoever is late is not known
        return None if late is None or late > 300 else False
    if trip["nyct_is_assigned"]:
        return False
    return None if late is None else late > 300


def _trip_update(entity: Any, header_at: datetime, family: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    update = entity.trip_update
    trip = _trip(update.trip, header_at, family, entity)
    listed = list(update.stop_time_update)
    first = listed[0] if listed else None
    first_at = _instant(first.arrival.time) or _instant(first.departure.time) if first else None
    late = (header_at - first_at).total_seconds() if first_at else None
    properties = ("trip_id", "start_date", "start_time", "shape_id", "trip_headsign", "trip_short_name")
    row = {
        **trip,
        **_descriptor(update.vehicle),
        "is_deleted": entity.is_deleted,
        "trip_update_at": _instant(update.timestamp),
        "delay_s": _get(update, "delay"),
        "stop_time_update_count": len(listed),
        "first_stop_id": _get(first, "stop_id") if first else None,
        "last_stop_id": _get(listed[-1], "stop_id") if first else None,
        "first_stop_time_at": first_at,
        **{f"properties_{name}": None for name in properties},
        **dict.fromkeys(("is_estimated", "trip_headsign", "trip_direction")),
        "is_stale": None if late is None else late > 1800,
        "is_zombie": None if late is None else late > 21600,
        "is_stale_unassigned": _is_late_plan(trip, late, family),
    }
    stops = []
    for index, stop in enumerate(listed):
        due = _instant(stop.arrival.time) or _instant(stop.departure.time)
        nyct = stop.Extensions[_STOP]
        stops.append(
            {
                "stu_index": index,
                "trip_key": trip["trip_key"],
                "trip_id": trip["trip_id"],
                "route_id": trip["route_id"],
                "service_date": trip["service_date"],
                "stop_sequence": _get(stop, "stop_sequence"),
                "stop_id": _get(stop, "stop_id"),
                "parent_stop_id": _parent(_get(stop, "stop_id")) if family == "subway" else None,
                "stop_occurrence": sum(1 for later in listed[index:] if later.stop_id == stop.stop_id),
                "stops_to_end": len(listed) - index - 1,
                "schedule_relationship_raw": _enum(stop, "schedule_relationship"),
                "schedule_relationship": _enum(stop, "schedule_relationship", "SCHEDULED"),
                "departure_occupancy_status": _enum(stop, "departure_occupancy_status"),
                "scheduled_track": _get(nyct, "scheduled_track"),
                "actual_track": _get(nyct, "actual_track"),
                "rail_track": _get(stop.Extensions[_RAIL], "track"),
                "rail_train_status": _get(stop.Extensions[_RAIL], "train_status"),
                **{
                    f"{side}_{name}": value
                    for side in ("arrival", "departure")
                    for name, value in (
                        ("at", _instant(getattr(stop, side).time)),
                        ("delay_s", _get(getattr(stop, side), "delay")),
                        ("uncertainty_s", _get(getattr(stop, side), "uncertainty")),
                        ("scheduled_at", _instant(getattr(stop, side).scheduled_time)),
                    )
                },
                **dict.fromkeys(
                    (
                        "assigned_stop_id",
                        "stop_headsign",
                        "pickup_type",
                        "drop_off_type",
                    )
                ),
                "seconds_to_arrival": None if due is None else int((due - header_at).total_seconds()),
                "dq_flags": [],
            }
        )
    return row, stops


def _carriage(car: Any) -> dict[str, Any]:
    rail = car.Extensions[_CAR]
    return {
        "carriage_id": _get(car, "id"),
        "carriage_label": _get(car, "label"),
        "occupancy_status": _enum(car, "occupancy_status"),
        "occupancy_percentage": _get(car, "occupancy_percentage"),
        "carriage_sequence": _get(car, "carriage_sequence"),
        "bicycles_allowed": _get(rail, "bicycles_allowed"),
        "carriage_class": _get(rail, "carriage_class"),
        "quiet_carriage": {0: "UNKNOWN", 1: "QUIET", 2: "NOT_QUIET"}[rail.quiet] if rail.HasField("quiet") else None,
        "toilet_facilities": {0: "UNKNOWN", 1: "ONBOARD", 2: "NONE"}[rail.toilet] if rail.HasField("toilet") else None,
        "dq_flags": [],
    }


def _vehicle(entity: Any, header_at: datetime, family: str) -> dict[str, Any]:
    vehicle = entity.vehicle
    trip = _trip(vehicle.trip, header_at, family, entity)
    seen = _instant(vehicle.timestamp)
    age = None if seen is None else int((header_at - seen).total_seconds())
    return {
        **trip,
        **_descriptor(vehicle.vehicle),
        "vehicle_key": _get(vehicle.vehicle, "id") or trip["trip_key"],
        "is_deleted": entity.is_deleted,
        "latitude": _get(vehicle.position, "latitude"),
        "longitude": _get(vehicle.position, "longitude"),
        "bearing": _get(vehicle.position, "bearing"),
        "odometer_m": _get(vehicle.position, "odometer"),
        "speed_mps": _get(vehicle.position, "speed"),
        "current_stop_sequence": _get(vehicle, "current_stop_sequence"),
        "stop_id": _get(vehicle, "stop_id"),
        "parent_stop_id": _parent(_get(vehicle, "stop_id")) if family == "subway" else None,
        "current_status_raw": _enum(vehicle, "current_status"),
        "current_status": _enum(vehicle, "current_status", "IN_TRANSIT_TO"),
        "vehicle_at": seen,
        "congestion_level": _enum(vehicle, "congestion_level"),
        "occupancy_status": _enum(vehicle, "occupancy_status"),
        "occupancy_percentage": _get(vehicle, "occupancy_percentage"),
        "crowding_estimated_count": None,
        "crowding_estimated_capacity": None,
        "carriage_count": len(vehicle.multi_carriage_details),
        "vehicle_age_s": age,
        "is_stalled": None if age is None or family != "subway" else age > 90,
        "is_underway": None if age is None else age >= -60,
    }
