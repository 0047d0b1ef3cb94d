"""Decoded vehicle positions → rows of ``vehicle_positions``."""

import polars as pl

from thirdrail.normalise import enums, nyct
from thirdrail.normalise.constant import constant
from thirdrail.normalise.messages import bits_of, instant_bits
from thirdrail.normalise.times import instants
from thirdrail.normalise.trips import SUBWAY, duplicate_entity_ids, trip_columns, vehicle_columns


def vehicle_positions(raw: pl.DataFrame, entities: pl.DataFrame, messages: pl.DataFrame) -> pl.DataFrame:
    """Give the canonical rows, in the decoder's order."""
    trip = trip_columns(raw, messages)
    seen_at = instants(raw["timestamp"])
    is_subway = messages["family"].gather(raw["message_index"]) == SUBWAY
    key = pl.coalesce(pl.col("vehicle_id"), pl.col("trip_key"), pl.lit("entity:") + pl.col("entity_id").fill_null(""))
    nothing = constant(None, len(raw), pl.String)
    bits = instant_bits(len(raw), seen_at) | bits_of(len(raw), (duplicate_entity_ids(raw, entities), "M010"))
    return (
        trip.drop("bits")
        .with_columns(
            entity_ordinal=raw["entity_ordinal"],
            entity_id=raw["entity_id"],
            is_deleted=raw["is_deleted"].fill_null(value=False),
            **vehicle_columns(raw),
            latitude=raw["latitude"].cast(pl.Float64),
            longitude=raw["longitude"].cast(pl.Float64),
            bearing=raw["bearing"],
            odometer_m=raw["odometer"],
            speed_mps=raw["speed"],
            current_stop_sequence=raw["current_stop_sequence"].cast(pl.Int32, strict=False),
            stop_id=raw["stop_id"],
            parent_stop_id=nyct.parent_stop_ids(raw["stop_id"]).zip_with(is_subway, nothing),
            current_status_raw=enums.names(raw["current_status"], enums.VEHICLE_STOP_STATUS),
            current_status=enums.names(raw["current_status"], enums.VEHICLE_STOP_STATUS, "IN_TRANSIT_TO"),
            vehicle_at=seen_at.values,
            congestion_level=enums.names(raw["congestion_level"], enums.CONGESTION_LEVEL),
            occupancy_status=enums.names(raw["occupancy_status"], enums.OCCUPANCY_STATUS),
            occupancy_percentage=raw["occupancy_percentage"].cast(pl.Int32, strict=False),
            crowding_estimated_count=raw["crowding_estimated_count"],
            crowding_estimated_capacity=raw["crowding_estimated_capacity"],
            carriage_count=raw["carriage_count"],
            bits=trip["bits"] | bits,
        )
        .with_columns(vehicle_key=key)
    )


def vehicle_carriages(raw: pl.DataFrame, vehicles: pl.DataFrame) -> pl.DataFrame:
    """Give the canonical rows of the carriages; ``raw.parent`` is the row number in ``vehicles``."""
    parent = raw["parent"]
    return pl.DataFrame(
        {
            "cap": raw["message_index"],
            "entity_ordinal": raw["entity_ordinal"],
            "entity_id": vehicles["entity_id"].gather(parent),
            "vehicle_key": vehicles["vehicle_key"].gather(parent),
            "carriage_index": raw["carriage_index"],
            "carriage_id": raw["id"],
            "carriage_label": raw["label"],
            "occupancy_status": enums.names(raw["occupancy_status"], enums.OCCUPANCY_STATUS),
            "occupancy_percentage": raw["occupancy_percentage"],
            "carriage_sequence": raw["carriage_sequence"].cast(pl.Int32, strict=False),
            "bicycles_allowed": raw["bicycles_allowed"],
            "carriage_class": raw["carriage_class"],
            "quiet_carriage": enums.names(raw["quiet_carriage"], enums.QUIET_CARRIAGE),
            "toilet_facilities": enums.names(raw["toilet_facilities"], enums.TOILET_FACILITIES),
            "bits": constant(0, len(raw), pl.UInt32),
        }
    )
