"""Decoded GTFS-Realtime messages → canonical rows of every table.

Rows carry ``cap`` (the capture's number in the call) instead of the envelope, and ``bits`` (rules that
normalising already decides); both become columns only for rows that are written.
"""

import polars as pl

from thirdrail.model.tables import (
    STOP_TIME_UPDATES,
    TRIP_REPLACEMENT_PERIODS,
    TRIP_UPDATES,
    VEHICLE_CARRIAGES,
    VEHICLE_POSITIONS,
)
from thirdrail.normalise.alerts import alerts
from thirdrail.normalise.messages import bits_of, headers, instant_bits, replacement_periods
from thirdrail.normalise.rows import Canonical, Raw
from thirdrail.normalise.stop_times import stop_time_updates
from thirdrail.normalise.times import instants
from thirdrail.normalise.trips import METRO_NORTH, duplicate_entity_ids, trip_columns, vehicle_columns
from thirdrail.normalise.vehicles import vehicle_carriages, vehicle_positions

_CANCELLED = "Canceled"


def normalise(raw: Raw, captures: pl.DataFrame) -> Canonical:
    """Give the canonical rows of several messages.

    ``captures`` has one row per message in order: ``cap`` (Int32, 0…n-1, equal to ``message_index``),
    ``feed_id``, ``family``, ``timezone``, ``fetched_at`` (Datetime µs UTC). Pure.
    """
    messages = headers(raw.headers, raw.entities, captures)
    trips = _trip_updates(raw, messages)
    vehicles = vehicle_positions(_dated(raw, messages), raw.entities, messages)
    stops = stop_time_updates(raw.tables["stop_time_updates"], trips, messages)
    counts = stops.group_by("cap").agg(stop_time_update_count=pl.len().cast(pl.Int32))
    messages = messages.join(counts, on="cap", how="left", maintain_order="left").with_columns(
        pl.when(pl.col("decoded")).then(pl.col("stop_time_update_count").fill_null(0)).alias("stop_time_update_count")
    )
    trips = _cancelled(trips, stops, raw, messages)
    return Canonical(
        messages,
        {
            TRIP_UPDATES.name: trips,
            STOP_TIME_UPDATES.name: stops,
            VEHICLE_POSITIONS.name: vehicles,
            VEHICLE_CARRIAGES.name: vehicle_carriages(raw.tables["vehicle_carriages"], vehicles),
            TRIP_REPLACEMENT_PERIODS.name: replacement_periods(raw.tables["trip_replacement_periods"], messages),
            **alerts(raw, messages),
        },
    )


def _cancelled(trips: pl.DataFrame, stops: pl.DataFrame, raw: Raw, messages: pl.DataFrame) -> pl.DataFrame:
    """Give the trips, Metro-North's cancelled where every stop left says so: it is said nowhere else."""
    if not (messages["family"] == METRO_NORTH).any():
        return trips
    said = pl.DataFrame(
        {
            "parent": raw.tables["stop_time_updates"]["parent"],
            "is_off": (stops["rail_train_status"] == _CANCELLED).fill_null(value=False),
            "family": messages["family"].gather(stops["cap"]),
        }
    )
    off = said.filter(pl.col("family") == METRO_NORTH).group_by("parent").agg(pl.col("is_off").all())
    rows = off.filter("is_off")["parent"]
    if rows.is_empty():
        return trips
    return trips.with_columns(trips["schedule_relationship"].scatter(rows, "CANCELED"))


def _dated(raw: Raw, messages: pl.DataFrame) -> pl.DataFrame:
    """Give the vehicles, Metro-North's with the start date of the trip update in the same entity: theirs have none."""
    sent = raw.tables["vehicle_positions"]
    is_metro_north = messages["family"].gather(sent["message_index"]) == METRO_NORTH
    if not is_metro_north.any():
        return sent
    place = ["message_index", "entity_ordinal"]
    dates = raw.tables["trip_updates"].select(*place, of_trip="start_date")
    found = sent.select(place).join(dates, on=place, how="left", maintain_order="left")["of_trip"]
    date = sent["start_date"].zip_with(sent["start_date"].is_not_null() | ~is_metro_north, found)
    return sent.with_columns(start_date=date)


def _trip_updates(raw: Raw, messages: pl.DataFrame) -> pl.DataFrame:
    """Give the rows of ``trip_updates``, with what the list of stops says of its ends."""
    sent = raw.tables["trip_updates"]
    trip = trip_columns(sent, messages)
    updated_at = instants(sent["timestamp"])
    bits = instant_bits(len(sent), updated_at) | bits_of(len(sent), (duplicate_entity_ids(sent, raw.entities), "M010"))
    key = pl.col("trip_key").fill_null(pl.lit("entity:") + pl.col("entity_id").fill_null(""))
    return (
        trip.drop("bits")
        .with_columns(
            entity_ordinal=sent["entity_ordinal"],
            entity_id=sent["entity_id"],
            is_deleted=sent["is_deleted"].fill_null(value=False),
            **vehicle_columns(sent),
            trip_update_at=updated_at.values,
            delay_s=sent["delay"],
            stop_time_update_count=sent["stop_time_update_count"],
            is_estimated=sent["is_estimated"],
            trip_headsign=sent["trip_headsign"],
            trip_direction=sent["trip_direction"],
            **_ends(raw.tables["stop_time_updates"], sent["stop_time_update_count"]),
            **{name: sent[name] for name in sent.columns if name.startswith("properties_")},
            bits=trip["bits"] | bits,
        )
        .with_columns(trip_key=key)
    )


def _ends(stops: pl.DataFrame, counts: pl.Series) -> dict[str, pl.Series]:
    """Give first and last stop and the first stop's time of each trip, by position, without grouping."""
    last = counts.cum_sum().cast(pl.Int64) - 1
    has_stops = counts > 0
    first_row = (last - counts + 1).set(~has_stops, None)
    last_row = last.set(~has_stops, None)
    arrival = stops["arrival_time"].gather(first_row).cast(pl.Int64)
    departure = stops["departure_time"].gather(first_row).cast(pl.Int64)
    first_time = arrival.zip_with((arrival.is_not_null() & (arrival != 0)).fill_null(value=False), departure)
    return {
        "first_stop_id": stops["stop_id"].gather(first_row),
        "last_stop_id": stops["stop_id"].gather(last_row),
        "first_stop_time_at": instants(first_time).values,
    }
