"""The trip of a trip update or vehicle position → canonical trip columns.

Effective columns stand beside raw ones: absent means SCHEDULED, and in the subway unassigned and NORTH
(measured on recordings; docs/decisions).
"""

from datetime import date

import polars as pl

from thirdrail.normalise import enums, nyct
from thirdrail.normalise.constant import constant
from thirdrail.normalise.messages import bits_of
from thirdrail.normalise.service_date import midnight_us, parse_start_date, service_date_at
from thirdrail.normalise.times import INSTANT

SUBWAY = "subway"
RAILROADS = ("lirr", "mnr")
METRO_NORTH = "mnr"


def _service_dates(raw: pl.DataFrame, messages: pl.DataFrame) -> pl.DataFrame:
    """Give service date, its midnight and M028 of each row; a loop over distinct dates per capture, not rows."""
    pairs = raw.select("message_index", "start_date").unique(maintain_order=True)
    facts = messages.select("timezone", seen=pl.coalesce("feed_timestamp", "fetched_at").dt.timestamp("us"))
    zones, instants_seen = facts["timezone"].to_list(), facts["seen"].to_list()
    days: list[date] = []
    midnights: list[int] = []
    odd: list[bool] = []
    for cap, text in pairs.iter_rows():
        today = service_date_at(instants_seen[cap], zones[cap])
        day, well_formed = parse_start_date(text) if text else (None, False)
        odd.append(day is None or not well_formed or abs((day - today).days) > 1)
        days.append(day or today)
        midnights.append(midnight_us(days[-1], zones[cap]))
    looked_up = pairs.with_columns(
        service_date=pl.Series(days, dtype=pl.Date),
        midnight=pl.Series(midnights, dtype=pl.Int64),
        odd_date=pl.Series(odd, dtype=pl.Boolean),
    )
    return raw.select("message_index", "start_date").join(
        looked_up, on=["message_index", "start_date"], how="left", nulls_equal=True, maintain_order="left"
    )


def trip_columns(raw: pl.DataFrame, messages: pl.DataFrame) -> pl.DataFrame:
    """Give the trip columns of each row of a decoded table of trip updates or vehicle positions.

    Same rows in the same order, with ``cap`` first and ``bits`` (M012, M028) last. A row that has no trip
    at all (a bus between trips) keeps nulls and no bits.
    """
    dated = _service_dates(raw, messages)
    family = messages["family"].gather(raw["message_index"])
    is_subway = family == SUBWAY
    has_trip = raw["trip_id"].is_not_null() | raw["route_id"].is_not_null() | raw["start_date"].is_not_null()
    parsed = raw.select("trip_id").join(
        nyct.parse_trip_ids(raw["trip_id"].filter(is_subway)), on="trip_id", how="left", maintain_order="left"
    )
    matched = parsed["matched"].fill_null(value=False)
    route = _effective_route(raw["route_id"], parsed["trip_id_route"], is_subway)
    origin_at = (dated["midnight"] + nyct.origin_offset_us(parsed["origin"])).cast(INSTANT)
    part = _told_apart(raw, family, is_subway)
    trip = raw["trip_id"].fill_null("entity:" + raw["entity_id"].fill_null(""))
    if (is_metro_north := family == METRO_NORTH).any():
        # Its trip updates and vehicles name a trip differently; the entity they share is the train's number.
        trip = raw["entity_id"].zip_with(is_metro_north & raw["entity_id"].is_not_null(), trip)
    key = dated["service_date"].dt.strftime("%Y%m%d") + "|" + trip + "|" + part
    return pl.DataFrame(
        {
            "cap": raw["message_index"],
            "trip_key": key.set(~has_trip, None),
            "trip_id": raw["trip_id"],
            "route_id_raw": raw["route_id"],
            "route_id": route,
            "direction_id": raw["direction_id"].cast(pl.Int32),
            "start_date_raw": raw["start_date"],
            "service_date": dated["service_date"].set(~has_trip, None),
            "start_time": raw["start_time"],
            "schedule_relationship_raw": enums.names(raw["schedule_relationship"], enums.TRIP_RELATIONSHIP),
            "schedule_relationship": enums.names(raw["schedule_relationship"], enums.TRIP_RELATIONSHIP, "SCHEDULED"),
            "trip_origin_hundredths": parsed["origin"],
            "trip_origin_at": origin_at,
            "trip_path": parsed["trip_path"],
            "nyct_train_id": raw["train_id"],
            "nyct_is_assigned": raw["is_assigned"]
            .fill_null(value=False)
            .zip_with(is_subway & has_trip, constant(None, len(raw), pl.Boolean)),
            "nyct_direction_raw": enums.names(raw["nyct_direction"], enums.NYCT_DIRECTION),
            "nyct_direction": enums.names(raw["nyct_direction"], enums.NYCT_DIRECTION, nyct.NORTH).set(
                ~(is_subway & has_trip), None
            ),
            "modified_trip_modifications_id": raw["modified_trip_modifications_id"],
            "modified_trip_affected_trip_id": raw["modified_trip_affected_trip_id"],
            "bits": bits_of(
                len(raw),
                (is_subway & raw["trip_id"].is_not_null() & ~matched, "M012"),
                (dated["odd_date"] & has_trip, "M028"),
            ),
        }
    )


def _told_apart(raw: pl.DataFrame, family: pl.Series, is_subway: pl.Series) -> pl.Series:
    """Give what tells two runs of one trip apart: the subway's train id, a bus; nothing on the railroads."""
    part = raw["train_id"].zip_with(is_subway, raw["vehicle_id"]).fill_null("")
    is_railroad = family.is_in(RAILROADS)
    return constant("", len(raw), pl.String).zip_with(is_railroad, part) if is_railroad.any() else part


def _effective_route(sent: pl.Series, from_trip_id: pl.Series, is_subway: pl.Series) -> pl.Series:
    """Give the route: empty counts as absent; in the subway aliases are resolved and the trip id helps out."""
    route = sent.set(sent == "", None) if (sent == "").any() else sent
    if not is_subway.any():
        return route
    subway = route.zip_with(route.is_not_null(), from_trip_id).replace(nyct.ROUTE_ALIASES)
    return subway.zip_with(is_subway, route)


def vehicle_columns(raw: pl.DataFrame) -> dict[str, pl.Series]:
    """Give the columns of the vehicle descriptor."""
    return {
        "vehicle_id": raw["vehicle_id"],
        "vehicle_label": raw["vehicle_label"],
        "license_plate": raw["license_plate"],
        "wheelchair_accessible": enums.names(raw["wheelchair_accessible"], enums.WHEELCHAIR),
        "vehicle_features": given(raw["vehicle_features"]),
    }


def given(lists: pl.Series) -> pl.Series:
    """Give the lists, null where nothing was sent."""
    if not lists.list.len().max():
        return constant(None, len(lists), pl.List(pl.String))
    return lists.to_frame("sent").select(pl.when(pl.col("sent").list.len() > 0).then("sent")).to_series()


def duplicate_entity_ids(raw: pl.DataFrame, entities: pl.DataFrame) -> pl.Series | None:
    """Give M010 of each row: its entity id was used before in the same message; None when nowhere."""
    ids = entities.select("message_index", "entity_id")
    if ids.n_unique() == len(ids):
        return None
    later = _repeats(entities)
    marked = raw.select("message_index", "entity_ordinal").join(
        later, on=["message_index", "entity_ordinal"], how="left", maintain_order="left"
    )
    return marked["repeats"].fill_null(value=False)


def _repeats(entities: pl.DataFrame) -> pl.DataFrame:
    first = pl.struct("message_index", "entity_id").is_first_distinct()
    return entities.filter(~first).select("message_index", "entity_ordinal", repeats=pl.lit(value=True))
