"""The views and macros, as SQL (DuckDB).

``pictures_at(t)`` gives per feed the last accepted capture M at or before t, at most seven days, and the last full
picture F before it;
``<table>_as_of(t)`` gives per key the row with the highest offset in F…M unless it was removed, with the moment
columns computed anew from M's header (design 3a). ``as_of('<table>', t)`` is the same.
"""

import re
from typing import NamedTuple

from thirdrail.model.tables import (
    BY_NAME,
    PICTURE_TABLES,
    STOP_TIME_UPDATES,
    TRIP_REPLACEMENT_PERIODS,
    TRIP_UPDATES,
    VEHICLE_POSITIONS,
    Role,
    Table,
)


class View(NamedTuple):
    """A view of fixed SQL."""

    name: str
    meaning: str
    sql: str


NEWEST = "$newest"
"""In a macro: the newest time of a poll that is in the tables, which stands for now."""

_LOOK_BACK, _LOOK_BACK_AND_SLOT = f"least(t, {NEWEST}) - INTERVAL 7 DAY", f"least(t, {NEWEST}) - INTERVAL 8 DAY"
"""A feed that was silent for so long has no picture. Without a limit every query would read every day there is."""

PICTURES_AT = f"""
CREATE MACRO pictures_at(t) AS TABLE
WITH last_accepted AS (
    SELECT feed_id, capture_log, origin, capture_offset, fetched_at, feed_timestamp
    FROM feed_messages
    WHERE accepted AND fetched_at <= t AND fetched_at > {_LOOK_BACK}
    QUALIFY row_number() OVER (PARTITION BY feed_id ORDER BY fetched_at DESC, capture_offset DESC) = 1
)
SELECT m.*, max(f.capture_offset) AS full_offset
FROM last_accepted AS m
JOIN feed_messages AS f
  ON f.feed_id = m.feed_id AND f.capture_log = m.capture_log AND f.origin = m.origin
 AND f.is_full_picture AND f.capture_offset <= m.capture_offset AND f.fetched_at > {_LOOK_BACK_AND_SLOT}
GROUP BY ALL
"""

_LATE = "(as_of_feed_timestamp - first_stop_time_at)"
_AGE = "date_sub('second', vehicle_at, as_of_feed_timestamp)"
MOMENTS: dict[str, dict[str, str]] = {
    STOP_TIME_UPDATES.name: {
        "seconds_to_arrival": "date_sub('second', as_of_feed_timestamp, coalesce(arrival_at, departure_at))::INTEGER"
    },
    TRIP_UPDATES.name: {
        "is_stale": f"{_LATE} > INTERVAL 30 MINUTE",
        "is_zombie": f"{_LATE} > INTERVAL 6 HOUR",
        "is_stale_unassigned": f"NOT nyct_is_assigned AND {_LATE} > INTERVAL 5 MINUTE",
    },
    VEHICLE_POSITIONS.name: {
        "vehicle_age_s": f"{_AGE}::INTEGER",
        "is_stalled": f"CASE WHEN nyct_is_assigned IS NOT NULL THEN {_AGE} > 90 END",
        "is_underway": f"{_AGE} >= -60",
    },
    TRIP_REPLACEMENT_PERIODS.name: {
        "end_at": "as_of_feed_timestamp + to_seconds(end_after_header_s)",
        "end_at_effective": "CASE WHEN end_after_header_s > 0 THEN as_of_feed_timestamp + to_seconds(end_after_header_s)"
        " WHEN end_after_header_s IS NOT NULL THEN as_of_feed_timestamp + INTERVAL 30 MINUTE END",
    },
}
"""Table → moment column → its SQL; ``pipeline.written`` has the same in Polars, and a test holds them equal."""


def as_of_macro(table: Table) -> str:
    """Give the macro ``<table>_as_of(t)``."""
    moments = MOMENTS.get(table.name, {})
    assert set(moments) == set(table.names(Role.MOMENT)), table.name  # noqa: S101 - a declaration without its SQL
    computed = ", ".join(f"{sql} AS {name}" for name, sql in moments.items())
    replaced = f" REPLACE ({computed})" if computed else ""
    key = ", ".join(table.key)
    same = " AND ".join(f"b.{name} IS NOT DISTINCT FROM c.{name}" for name in ("feed_id", *table.key))
    # A row's rank: its capture, and within one capture a row before the marker that removes it. The best rank of each
    # key is found by an aggregate and joined back, in half the time that a window over whole rows takes.
    return f"""
CREATE MACRO {table.name}_as_of(t) AS TABLE
WITH candidate AS (
    SELECT x.*, p.capture_offset AS as_of_capture_offset, p.feed_timestamp AS as_of_feed_timestamp,
           p.fetched_at AS as_of_fetched_at, 2 * x.capture_offset + (x.change_kind <> 'removed')::INTEGER AS _rank
    FROM {table.name} AS x
    JOIN pictures_at(t) AS p ON p.feed_id = x.feed_id AND p.capture_log = x.capture_log AND p.origin = x.origin
    WHERE x.capture_offset BETWEEN p.full_offset AND p.capture_offset AND x.change_kind <> 'unaccepted'
      AND x.fetched_at > {_LOOK_BACK_AND_SLOT}
), best AS (
    SELECT feed_id, {key}, max(_rank) AS _rank FROM candidate GROUP BY ALL
), newest AS (
    SELECT c.* EXCLUDE (_rank)
    FROM candidate AS c JOIN best AS b ON b._rank = c._rank AND {same}
    WHERE c.change_kind <> 'removed'
    QUALIFY row_number() OVER (PARTITION BY {", ".join(f"c.{name}" for name in ("feed_id", *table.key))}) = 1
)
SELECT *{replaced}, isfinite(t) AND t - as_of_fetched_at > INTERVAL 30 MINUTE AS is_gap
FROM newest
"""


AS_OF = """
CREATE MACRO as_of(tbl, t) AS TABLE
SELECT * FROM query('FROM ' || tbl || '_as_of(TIMESTAMPTZ ''' || t::TIMESTAMPTZ::VARCHAR || ''')')
"""

ALERTS_IN_FORCE = """
CREATE MACRO alerts_in_force(t) AS TABLE
WITH alert AS (
    SELECT *, CASE WHEN isfinite(t::TIMESTAMPTZ) THEN t::TIMESTAMPTZ ELSE as_of_feed_timestamp END AS at
    FROM alerts_as_of(t)
    WHERE NOT is_deleted
)
SELECT alert.*, p.start_at AS in_force_since, p.end_at AS in_force_until
FROM alert
LEFT JOIN alert_active_periods_as_of(t) AS p
    ON p.feed_id = alert.feed_id AND p.alert_id = alert.alert_id
    AND coalesce(p.start_at, '-infinity') <= alert.at AND alert.at < coalesce(p.end_at, 'infinity')
WHERE p.alert_id IS NOT NULL OR alert.active_period_count = 0
QUALIFY row_number() OVER (PARTITION BY alert.feed_id, alert.alert_id ORDER BY p.end_at DESC NULLS FIRST) = 1
"""

MACROS: dict[str, str] = {
    "pictures_at": PICTURES_AT,
    **{f"{table.name}_as_of": as_of_macro(table) for table in PICTURE_TABLES},
    "as_of": AS_OF,
    "alerts_in_force": ALERTS_IN_FORCE,
}
"""Name → SQL, in the order in which they must be made."""

_NOW = "'infinity'::TIMESTAMPTZ"
_IS_SUBWAY = "starts_with(t.feed_id, 'subway_')"
"""The railroads number their stops, too, and 237 is another place there."""

_ICYMTA_COLUMNS = {
    "STOPPOINTREF": "call_stop_point_ref",
    "VEHICLEREF": "vehicle_ref",
    "PROGRESSRATE": "progress_rate",
    "EXPECTEDDEPARTURETIME": "call_expected_departure_at",
    "STOPPOINT": "stop_point",
    "VISITNUMBER": "call_visit_number",
    "DATAFRAMEREF": "service_date",
    "STOPPOINTNAME": "call_stop_point_name",
    "SITUATIONSIMPLEREF5": "situation_refs[5]",
    "SITUATIONSIMPLEREF3": "situation_refs[3]",
    "BEARING": "bearing_raw",
    "SITUATIONSIMPLEREF4": "situation_refs[4]",
    "SITUATIONSIMPLEREF1": "situation_refs[1]",
    "ORIGINAIMEDDEPARTURETIME": "origin_aimed_departure_at",
    "SITUATIONSIMPLEREF2": "situation_refs[2]",
    "JOURNEYPATTERNREF": "journey_pattern_ref",
    "RECORDEDATTIME": "recorded_at",
    "OPERATORREF": "operator_ref",
    "DESTINATIONNAME": "destination_name",
    "EXPECTEDARRIVALTIME": "call_expected_arrival_at",
    "BLOCKREF": "block_ref",
    "LINEREF": "line_ref",
    "VEHICLELOCATIONLONGITUDE": "longitude",
    "DIRECTIONREF": "direction_ref",
    "ARRIVALPROXIMITYTEXT": "call_presentable_distance",
    "DISTANCEFROMSTOP": "call_distance_m",
    "ESTIMATEDPASSENGERCAPACITY": "call_passenger_capacity",
    "AIMEDARRIVALTIME": "call_aimed_arrival_at",
    "PUBLISHEDLINENAME": "published_line_name",
    "DATEDVEHICLEJOURNEYREF": "dated_vehicle_journey_ref",
    "DATE": "coalesce(source_date, strftime(coalesce(response_at, fetched_at), '%a, %d %b %Y %H:%M:%S GMT'))",
    "MONITORED": "monitored",
    "PROGRESSSTATUS": "array_to_string(progress_status, ',')",
    "DESTINATIONREF": "destination_ref",
    "ESTIMATEDPASSENGERCOUNT": "call_passenger_count",
    "VEHICLELOCATIONLATITUDE": "latitude",
    "ORIGINREF": "origin_ref",
    "NUMBEROFSTOPSAWAY": "call_stops_away",
    "TS": "coalesce(source_ts, epoch_ms(coalesce(response_at, fetched_at)))",
    "UUID": "coalesce(source_record_id, capture_log || '/' || capture_offset || '/' || entity_ordinal)",
    "INGESTION_TIME": "coalesce(source_ingested_at, fetched_at)",
    "SOURCE_SYSTEM": "coalesce(source_system, feed_id)",
    "PROCESSING_STATUS": "source_processing_status",
}
"""Column of the flat record → where it is kept; the order is that of the record."""

_ICYMTA = "SELECT {} FROM siri_vehicle_activity WHERE change_kind NOT IN ('removed', 'repeated')".format(
    ", ".join(f"{sql} AS {name}" for name, sql in _ICYMTA_COLUMNS.items())
)


VIEWS: tuple[View, ...] = (
    View(
        "trips_now",
        "each trip of each feed's newest picture, with the names of its next and last stop",
        f"""
SELECT t.feed_id, t.route_id, t.trip_key, t.nyct_train_id AS train_id, t.nyct_is_assigned AS is_assigned,
       next_stop.name AS next_stop, last_stop.name AS towards,
       timezone('America/New_York', t.first_stop_time_at) AS next_stop_local, t.first_stop_time_at AS next_stop_at,
       t.schedule_relationship, t.is_stale, t.is_zombie, t.as_of_feed_timestamp AS feed_timestamp
FROM trip_updates_as_of({_NOW}) AS t
LEFT JOIN stations AS next_stop
    ON {_IS_SUBWAY} AND next_stop.station_id = regexp_replace(t.first_stop_id, '[NS]$', '')
LEFT JOIN stations AS last_stop
    ON {_IS_SUBWAY} AND last_stop.station_id = regexp_replace(t.last_stop_id, '[NS]$', '')
""",
    ),
    View(
        "vehicles_now",
        "each vehicle of each feed's newest picture, with the name of its stop",
        f"""
SELECT v.feed_id, v.route_id, v.vehicle_key, v.trip_key, v.nyct_train_id AS train_id, v.current_status,
       v.stop_id, s.name AS stop_name, coalesce(v.latitude, s.latitude) AS latitude,
       coalesce(v.longitude, s.longitude) AS longitude,
       CASE WHEN v.latitude IS NULL AND s.latitude IS NOT NULL THEN 'stop' WHEN v.latitude IS NOT NULL THEN 'vehicle' END
           AS position_source,
       v.vehicle_at, timezone('America/New_York', v.vehicle_at) AS vehicle_local, v.vehicle_age_s, v.is_stalled,
       v.is_underway, v.as_of_feed_timestamp AS feed_timestamp
FROM vehicle_positions_as_of({_NOW}) AS v
LEFT JOIN stations AS s ON s.station_id = v.parent_stop_id
""",
    ),
    View(
        "predictions_now",
        "each prediction of each feed's newest picture: where, which way, in how many minutes of the feed's own time",
        f"""
SELECT p.feed_id, p.route_id, s.name AS stop_name, p.stop_id,
       CASE right(p.stop_id, 1) WHEN 'N' THEN 'northbound' WHEN 'S' THEN 'southbound' END AS direction,
       last_stop.name AS towards, round(p.seconds_to_arrival / 60.0, 1) + 0.0 AS minutes_away,
       timezone('America/New_York', p.arrival_at) AS arrival_local,
       timezone('America/New_York', p.departure_at) AS departure_local,
       p.arrival_at, p.departure_at, coalesce(p.actual_track, p.scheduled_track, p.rail_track) AS track, p.stops_to_end, p.trip_key,
       p.as_of_feed_timestamp AS feed_timestamp
FROM (
    SELECT *, last_value(parent_stop_id) OVER (
        PARTITION BY feed_id, trip_key ORDER BY stops_to_end DESC ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    ) AS last_parent
    FROM stop_time_updates_as_of({_NOW})
) AS p
LEFT JOIN stations AS s ON s.station_id = p.parent_stop_id
LEFT JOIN stations AS last_stop ON last_stop.station_id = p.last_parent
""",
    ),
    View(
        "alerts_now",
        "alerts in force by each feed's newest picture, worst first, with the routes and stops concerned",
        f"""
SELECT a.feed_id, a.alert_type, a.alert_type_rank, string_agg(DISTINCT e.route_id, ' ' ORDER BY e.route_id) AS routes,
       list(DISTINCT s.name) FILTER (s.name IS NOT NULL) AS stations, any_value(a.header_text) AS header_text,
       a.alert_stable_id, a.alert_id, any_value(a.alert_class) AS alert_class,
       any_value(a.in_force_since) AS in_force_since, any_value(a.in_force_until) AS in_force_until,
       any_value(a.mercury_updated_at) AS updated_at, any_value(a.alert_version_id) AS alert_version_id,
       any_value(a.as_of_feed_timestamp) AS feed_timestamp
FROM alerts_in_force({_NOW}) AS a
LEFT JOIN alert_informed_entities_as_of({_NOW}) AS e ON e.feed_id = a.feed_id AND e.alert_id = a.alert_id
LEFT JOIN stations AS s ON e.agency_id = 'MTASBWY' AND s.station_id = e.stop_id
GROUP BY ALL
ORDER BY a.alert_type_rank DESC NULLS LAST, a.alert_id
""",
    ),
    View(
        "alert_versions",
        "each version of each alert ever published, from when to when it was",
        """
SELECT feed_id, alert_stable_id, alert_id, alert_version_id, alert_type, header_text, fetched_at AS valid_from,
       lead(fetched_at) OVER (PARTITION BY feed_id, origin, alert_id ORDER BY capture_offset) AS valid_to
FROM alerts
WHERE change_kind IN ('added', 'changed', 'removed')
QUALIFY change_kind <> 'removed'
""",
    ),
    View(
        "elevator_outage_history",
        "each outage ever published: first and last seen; resolved once two good polls in a row lack it",
        """
WITH told AS (
    SELECT feed_id, capture_log, origin, equipment_id, outage_at_raw, is_upcoming, min(fetched_at) AS first_seen_at,
           arg_max(change_kind, capture_offset) AS last_kind, max(capture_offset) AS last_offset,
           max(fetched_at) AS last_told_at,
           arg_max(struct_pack(equipment_type, station_name, train_lines, serving, is_ada, reason, outage_at,
                               estimated_return_at), capture_offset) AS x
    FROM elevator_outages
    WHERE change_kind <> 'unaccepted'
    GROUP BY ALL
), judged AS (
    SELECT told.*, count(m.capture_offset) AS polls_since
    FROM told
    LEFT JOIN feed_messages AS m
        ON m.accepted AND m.feed_id = told.feed_id AND m.capture_log = told.capture_log AND m.origin = told.origin
        AND m.capture_offset >= told.last_offset
    GROUP BY ALL
)
SELECT feed_id, equipment_id, x.equipment_type, x.station_name, x.train_lines, x.serving, x.is_ada, x.reason,
       is_upcoming, x.outage_at, timezone('America/New_York', x.outage_at) AS outage_local,
       x.estimated_return_at, timezone('America/New_York', x.estimated_return_at) AS estimated_return_local,
       first_seen_at, CASE WHEN last_kind = 'removed' AND polls_since >= 2 THEN last_told_at END AS resolved_at
FROM judged
""",
    ),
    View(
        "elevators_out_now",
        "elevators and escalators out of service by the newest polls; planned ones left out",
        "SELECT * FROM elevator_outage_history WHERE resolved_at IS NULL AND NOT is_upcoming ORDER BY station_name, equipment_id",
    ),
    View(
        "icymta",
        "buses as flat records, in the 43 columns of the table of that name that others keep",
        _ICYMTA,
    ),
    View(
        "feed_freshness",
        "each feed: its last poll, its last accepted picture and how old that was",
        """
SELECT feed_id, max(fetched_at) AS last_poll_at, max(fetched_at) FILTER (accepted) AS last_accepted_at,
       max(feed_timestamp) FILTER (accepted) AS last_feed_timestamp,
       arg_max(header_age_s, fetched_at) FILTER (accepted) AS header_age_s, count(*) AS polls,
       count(*) FILTER (accepted) AS accepted, count(*) FILTER (outcome = 'duplicate') AS duplicates,
       count(*) FILTER (outcome NOT IN ('ok', 'duplicate')) AS failed, sum(quarantined_count)::BIGINT AS quarantined
FROM feed_messages
GROUP BY feed_id
""",
    ),
)


class Needed(NamedTuple):
    """What a query can mean by the names in it. ``moments``: the times (as SQL) at which it asks for pictures.

    ``whole``: tables of which it may ask for more than those pictures.
    """

    macros: list[str]
    views: list[View]
    tables: frozenset[str]
    whole: frozenset[str]
    moments: frozenset[str]


def needed(query: str | None) -> Needed:
    """Give what a query needs: everything for None, or when it names no table.

    Making a macro costs 10 ms of CPU and pinning a table as much, and a query rarely needs more than a few.
    """
    said = query or ""
    text = said.lower()
    views: list[View] = []
    for view in reversed(VIEWS):
        if view.name in text:
            views.insert(0, view)
            said += view.sql
            text += view.sql.lower()
    is_open = "as_of" in text.replace("_as_of", "")
    wanted = {name for name in MACROS if name in text or (is_open and name.removesuffix("_as_of") in text)}
    if "alerts_in_force" in wanted:
        wanted |= {"alerts_as_of", "alert_active_periods_as_of"}
    if any(name.endswith("as_of") for name in wanted):
        wanted |= {"pictures_at"}
    macros = [sql for name, sql in MACROS.items() if name in wanted]
    tables = frozenset(name for name in BY_NAME if name in text or any(name in sql for sql in macros))
    if not tables:
        everything = frozenset(BY_NAME)
        return Needed(list(MACROS.values()), list(VIEWS), everything, everything, frozenset())
    moments = _moments(said)
    if moments is None:
        return Needed(macros, views, tables, tables, frozenset())
    whole = frozenset(name for name in tables if re.search(rf"\b{name}\b", text))
    return Needed(macros, views, tables, whole, moments)


_NAME = re.compile(r"\b(?:\w+_as_of|as_of|pictures_at|alerts_in_force)\b", re.IGNORECASE)
_LITERAL = re.compile(r"\s*\(\s*((?:timestamptz\s*)?'[^'()]*'(?:\s*::\s*timestamptz)?)\s*\)", re.IGNORECASE)


def _moments(text: str) -> frozenset[str] | None:
    """Give the times that pictures are asked for; None when one is no literal right behind its macro's name.

    Then only the query itself can tell it, and whatever is left out by the others might be what it wants.
    """
    found = set()
    for name in _NAME.finditer(text):
        literal = _LITERAL.match(text, name.end())
        if literal is None:
            return None
        found.add(literal[1])
    return frozenset(found)
