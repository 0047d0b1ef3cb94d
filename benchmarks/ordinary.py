"""The ordinary way: stock bindings, a dict per row, ``pa.Table.from_pylist``, PyIceberg's append."""

from datetime import UTC, datetime

import pyarrow as pa
from google.transit.gtfs_realtime_pb2 import FeedMessage
from pyiceberg.catalog import Catalog

from thirdrail.model.tables import STOP_TIME_UPDATES, TRIP_UPDATES, VEHICLE_POSITIONS
from thirdrail.sinks.iceberg.schema import iceberg_schema

TABLES = (TRIP_UPDATES, STOP_TIME_UPDATES, VEHICLE_POSITIONS)


def instant(seconds: int) -> datetime | None:
    """Give a time, None for unknown."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def scalar(message: object, name: str) -> object:
    """Give a field that is present."""
    return getattr(message, name) if message.HasField(name) else None


def rows_of(body: bytes, offset: int) -> dict[str, list[dict[str, object]]]:
    """Give table → rows of one message; what takes more than a field is left out."""
    feed = FeedMessage.FromString(body)
    at = instant(feed.header.timestamp)
    shared = {"feed_id": "f", "capture_log": "l", "capture_offset": offset, "origin": "live", "fetched_at": at}
    shared |= {"feed_timestamp": at, "pipeline_version": 1, "change_kind": "observed", "dq_flags": []}
    shared |= {"schedule_relationship": "SCHEDULED"}
    trips, stops, vehicles = [], [], []
    for ordinal, entity in enumerate(feed.entity):
        place = {**shared, "entity_ordinal": ordinal, "entity_id": entity.id, "is_deleted": entity.is_deleted}
        update, vehicle = entity.trip_update, entity.vehicle
        trip = update.trip if entity.HasField("trip_update") else vehicle.trip
        ids = {"trip_id": scalar(trip, "trip_id"), "route_id": scalar(trip, "route_id")}
        key = {"trip_key": f"{trip.start_date}|{trip.trip_id}", **ids}
        if entity.HasField("trip_update"):
            count = len(update.stop_time_update)
            trips.append({**place, **key, "start_date_raw": trip.start_date, "stop_time_update_count": count})
            for index, stop in enumerate(update.stop_time_update):
                times = {"arrival_at": instant(stop.arrival.time), "departure_at": instant(stop.departure.time)}
                ends = {"stop_occurrence": 1, "stops_to_end": count - index - 1}
                stop_ids = {"stop_id": scalar(stop, "stop_id"), "stop_sequence": scalar(stop, "stop_sequence")}
                stops.append({**place, **key, **times, **ends, **stop_ids, "stu_index": index})
        if entity.HasField("vehicle"):
            state = {"stop_id": scalar(vehicle, "stop_id"), "vehicle_at": instant(vehicle.timestamp)}
            state |= {"current_status": "IN_TRANSIT_TO", "carriage_count": 0, "vehicle_key": key["trip_key"]}
            vehicles.append({**place, **key, **state})
    return {"trip_updates": trips, "stop_time_updates": stops, "vehicle_positions": vehicles}


def ordinary(bodies: list[bytes], catalog: Catalog) -> int:
    """Append every message's rows, one commit per table and message; give the number of rows."""
    catalog.create_namespace_if_not_exists("plain")
    tables = {t.name: catalog.create_table_if_not_exists(("plain", t.name), iceberg_schema(t)) for t in TABLES}
    total = 0
    for offset, body in enumerate(bodies):
        for name, rows in rows_of(body, offset).items():
            tables[name].append(
                pa.Table.from_pylist(rows, schema=next(t for t in TABLES if t.name == name).arrow_schema)
            )
            total += len(rows)
    return total
