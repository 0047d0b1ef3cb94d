"""Headers and replacement periods → facts per capture and rows of ``trip_replacement_periods``."""

import polars as pl

from thirdrail.model.rules import BIT
from thirdrail.normalise import enums
from thirdrail.normalise.constant import constant
from thirdrail.normalise.rows import Raw
from thirdrail.normalise.times import INSTANT, Instants, instants

SECOND_US = 1_000_000
_VERSIONS = ("1.0", "2.0")
_GTFS_COUNTS = ("trip_update_count", "stop_time_update_count", "vehicle_count", "alert_count", "other_entity_count")


def bits_of(length: int, *marks: tuple[pl.Series | None, str]) -> pl.Series:
    """Give the rule bits of each row: every mark that is set adds its rule's bit (UInt32)."""
    bits = constant(0, length, pl.UInt32)
    for mark, rule in marks:
        if mark is not None and mark.any():
            bits = bits | mark.fill_null(value=False).cast(pl.UInt32) * BIT[rule]
    return bits


def instant_bits(length: int, *times: Instants) -> pl.Series:
    """Give the bits M026 and E001 of several columns of times."""
    repaired = [(time.repaired, "M026") for time in times]
    return bits_of(length, *repaired, *((time.impossible, "E001") for time in times))


def headers(raw: pl.DataFrame, entities: pl.DataFrame, captures: pl.DataFrame) -> pl.DataFrame:
    """Give one row per capture: header fields, entity counts and rule bits; null where it did not decode.

    ``raw`` and ``entities`` are the decoder's tables, ``captures`` has ``cap, feed_id, family, timezone,
    fetched_at``; columns of the result are those plus the header's.
    """
    time = instants(raw["timestamp"])
    decoded = pl.DataFrame(
        {
            "cap": raw["message_index"],
            "feed_timestamp": time.values,
            "gtfs_realtime_version": raw["gtfs_realtime_version"],
            "incrementality": enums.names(raw["incrementality"], enums.INCREMENTALITY, "FULL_DATASET"),
            "feed_version": raw["feed_version"],
            "mta_version": raw["mta_version"],
            "bits": instant_bits(len(raw), time) | bits_of(len(raw), (_odd_version(raw), "E038")),
            "decoded": constant(True, len(raw), pl.Boolean),
        }
    )
    is_none = ~(pl.col("has_trip_update") | pl.col("has_vehicle") | pl.col("has_alert"))
    counts = entities.group_by("message_index").agg(
        entity_count=pl.len().cast(pl.Int32),
        trip_update_count=pl.col("has_trip_update").sum().cast(pl.Int32),
        vehicle_count=pl.col("has_vehicle").sum().cast(pl.Int32),
        alert_count=pl.col("has_alert").sum().cast(pl.Int32),
        other_entity_count=is_none.sum().cast(pl.Int32),
    )
    found = captures.join(decoded, on="cap", how="left").join(
        counts, left_on="cap", right_on="message_index", how="left"
    )
    names = ("entity_count", "trip_update_count", "vehicle_count", "alert_count", "other_entity_count")
    return found.with_columns(
        pl.col("decoded").fill_null(value=False),
        pl.col("bits").fill_null(0),
        *(pl.when(pl.col("decoded")).then(pl.col(name).fill_null(0)).alias(name) for name in names),
    ).sort("cap")


def counted_headers(raw: Raw, captures: pl.DataFrame, known: dict[str, pl.Series]) -> pl.DataFrame:
    """Give one row per capture of a format that is not GTFS-Realtime: ``known`` columns, entities counted.

    ``known``: columns aligned with ``raw.headers``, such as ``feed_timestamp`` and ``bits``.
    """
    nothing = constant(None, len(raw.headers), pl.String)
    counts = raw.entities.group_by("message_index").agg(entity_count=pl.len().cast(pl.Int32))
    blank = dict.fromkeys(("gtfs_realtime_version", "incrementality", "feed_version", "mta_version"), nothing)
    stamps = {
        "feed_timestamp": constant(None, len(raw.headers), INSTANT),
        "bits": constant(0, len(raw.headers), pl.UInt32),
    }
    decoded = pl.DataFrame(
        {
            "cap": raw.headers["message_index"],
            **blank,
            **stamps,
            **known,
            "decoded": constant(True, len(raw.headers), pl.Boolean),
        }
    )
    found = captures.join(decoded, on="cap", how="left").join(
        counts, left_on="cap", right_on="message_index", how="left"
    )
    return found.with_columns(
        pl.col("decoded").fill_null(value=False),
        pl.col("bits").fill_null(0),
        pl.when(pl.col("decoded").fill_null(value=False))
        .then(pl.col("entity_count").fill_null(0))
        .alias("entity_count"),
        *(pl.lit(None, pl.Int32).alias(name) for name in _GTFS_COUNTS),
    ).sort("cap")


def _odd_version(raw: pl.DataFrame) -> pl.Series:
    return ~raw["gtfs_realtime_version"].is_in(_VERSIONS)


def replacement_periods(raw: pl.DataFrame, messages: pl.DataFrame) -> pl.DataFrame:
    """Give the rows of ``trip_replacement_periods`` (without what depends on the header's time)."""
    start, end = instants(raw["start"]), instants(raw["end"])
    header = messages["feed_timestamp"].gather(raw["message_index"])
    return pl.DataFrame(
        {
            "cap": raw["message_index"],
            "entity_ordinal": raw["entity_ordinal"],
            "route_id": raw["route_id"].fill_null(""),
            "start_at": start.values,
            "end_after_header_s": (end.values - header).dt.total_seconds(),
            "bits": instant_bits(len(raw), start, end),
        }
    )


def header_times(messages: pl.DataFrame, caps: pl.Series) -> pl.Series:
    """Give the header time of each row's capture."""
    return messages["feed_timestamp"].gather(caps).cast(INSTANT)
