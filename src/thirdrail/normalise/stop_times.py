"""Decoded stop time updates → rows of ``stop_time_updates``."""

import polars as pl

from thirdrail.normalise import enums, nyct
from thirdrail.normalise.constant import constant
from thirdrail.normalise.messages import instant_bits
from thirdrail.normalise.times import instants
from thirdrail.normalise.trips import SUBWAY


def stop_time_updates(raw: pl.DataFrame, trips: pl.DataFrame, messages: pl.DataFrame) -> pl.DataFrame:
    """Give the canonical rows, in the decoder's order; ``raw.parent`` is the row number in ``trips``."""
    parent = raw["parent"]
    of_trip = trips.select("trip_key", "trip_id", "route_id", "service_date", "stop_time_update_count")[parent]
    arrival, departure = instants(raw["arrival_time"]), instants(raw["departure_time"])
    planned_in, planned_out = instants(raw["arrival_scheduled_time"]), instants(raw["departure_scheduled_time"])
    return pl.DataFrame(
        {
            "cap": raw["message_index"],
            "entity_ordinal": raw["entity_ordinal"],
            "entity_id": trips["entity_id"].gather(parent),
            "stu_index": raw["stu_index"],
            "trip_key": of_trip["trip_key"],
            "trip_id": of_trip["trip_id"],
            "route_id": of_trip["route_id"],
            "service_date": of_trip["service_date"],
            "stop_sequence": raw["stop_sequence"].cast(pl.Int32, strict=False),
            "stop_id": raw["stop_id"],
            "parent_stop_id": _parents(raw, messages),
            "stop_occurrence": _occurrences_from_end(raw),
            "stops_to_end": of_trip["stop_time_update_count"] - raw["stu_index"] - 1,
            "schedule_relationship_raw": enums.names(raw["schedule_relationship"], enums.STOP_RELATIONSHIP),
            "schedule_relationship": enums.names(raw["schedule_relationship"], enums.STOP_RELATIONSHIP, "SCHEDULED"),
            "arrival_at": arrival.values,
            "departure_at": departure.values,
            "arrival_delay_s": raw["arrival_delay"],
            "departure_delay_s": raw["departure_delay"],
            "arrival_uncertainty_s": raw["arrival_uncertainty"],
            "departure_uncertainty_s": raw["departure_uncertainty"],
            "arrival_scheduled_at": planned_in.values,
            "departure_scheduled_at": planned_out.values,
            "departure_occupancy_status": enums.names(raw["departure_occupancy_status"], enums.OCCUPANCY_STATUS),
            "scheduled_track": raw["scheduled_track"],
            "actual_track": raw["actual_track"],
            "rail_track": raw["rail_track"],
            "rail_train_status": raw["rail_train_status"],
            "assigned_stop_id": raw["assigned_stop_id"],
            "stop_headsign": _headsigns(raw),
            "pickup_type": enums.names(raw["pickup_type"], enums.PICKUP_DROP_OFF),
            "drop_off_type": enums.names(raw["drop_off_type"], enums.PICKUP_DROP_OFF),
            "bits": instant_bits(len(raw), arrival, departure, planned_in, planned_out),
        }
    )


def _headsigns(raw: pl.DataFrame) -> pl.Series:
    """Give the headsign at each stop, of the bus extension when the ordinary field has none."""
    sent, bus = raw["stop_headsign"], raw["oba_stop_headsign"]
    return sent if bus.null_count() == len(bus) else sent.fill_null(bus)


def _parents(raw: pl.DataFrame, messages: pl.DataFrame) -> pl.Series:
    """Give the station of each subway platform; null elsewhere."""
    is_subway = messages["family"] == SUBWAY
    if is_subway.all():
        return nyct.parent_stop_ids(raw["stop_id"])
    nothing = constant(None, len(raw), pl.String)
    if not is_subway.any():
        return nothing
    return nyct.parent_stop_ids(raw["stop_id"]).zip_with(is_subway.gather(raw["message_index"]), nothing)


def _occurrences_from_end(raw: pl.DataFrame) -> pl.Series:
    """Give the nth visit of each stop, counted from the end of its trip's list; almost always 1.

    A row without a stop id takes its stop sequence instead, so that (trip, stop id, occurrence) is a key.
    """
    ones = constant(1, len(raw), pl.Int32)
    place = raw["parent"].hash(seed=1) ^ raw["stop_id"].hash(seed=2)
    if place.n_unique() < len(raw):
        ones = (
            raw.select(pl.int_range(pl.len(), 0, -1, dtype=pl.Int32).over("parent", "stop_id"))
            .to_series()
            .alias("stop_occurrence")
        )
    if raw["stop_id"].null_count():
        sequence = raw["stop_sequence"].cast(pl.Int32, strict=False).fill_null(0)
        return ones.zip_with(raw["stop_id"].is_not_null(), sequence)
    return ones
