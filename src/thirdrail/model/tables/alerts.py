"""Service alerts: what is said, when it holds, whom it concerns, in which words.

A version of an alert is its content: periods, selectors and texts included, the time of its last touch left out. The
rows of a version's parts carry its id, so that parts join their alert over all of history.
"""

from thirdrail.model.tables.declaration import CHANGE, ENTITY, ENVELOPE, FLAGS, Column, Table, identity

_VERSION = Column(
    "alert_version_id", "string", "identifies what the alert says: digest of id and content", required=True
)
_ALERT_ID = Column("alert_id", "string", "as sent", required=True, wire="entity.id")

ALERTS = Table(
    "alerts",
    "service alerts: one row per alert that is new or says something else than in the feed's previous picture",
    (
        *ENVELOPE,
        *ENTITY,
        *CHANGE,
        _ALERT_ID,
        _VERSION,
        Column(
            "alert_stable_id", "string", "the id without the rank suffix, which changes with the status", required=True
        ),
        Column("alert_rank_suffix", "int", "the fourth part of a Mercury id"),
        Column("alert_class", "string", "alert, planned_work, elevator or other", required=True),
        Column("is_deleted", "boolean", "as sent; absent means false", required=True, wire="entity.is_deleted"),
        Column("cause_raw", "string", "as sent", wire="alert.cause"),
        Column("cause", "string", "effective; absent means UNKNOWN_CAUSE", required=True),
        Column("effect_raw", "string", "as sent", wire="alert.effect"),
        Column("effect", "string", "effective; absent means UNKNOWN_EFFECT", required=True),
        Column(
            "severity_level",
            "string",
            "effective; absent means UNKNOWN_SEVERITY",
            required=True,
            wire="alert.severity_level",
        ),
        Column("alert_type", "string", "Mercury: free text such as Delays", wire="mercury_alert.alert_type"),
        Column(
            "alert_type_rank", "int", "1 (No Scheduled Service) to 35 (Suspended); null for a type not in the table"
        ),
        Column("mercury_created_at", "timestamptz", "Mercury", wire="mercury_alert.created_at"),
        identity(
            "mercury_updated_at",
            "timestamptz",
            "Mercury: last touch; alone it makes no new version",
            required=False,
            wire="mercury_alert.updated_at",
        ),
        Column(
            "display_before_active_s",
            "long",
            "may be shown that long before it starts",
            wire="mercury_alert.display_before_active",
        ),
        Column("directionality", "long", "as sent", wire="mercury_alert.directionality"),
        Column("service_plan_numbers", "list<string>", "as sent", wire="mercury_alert.service_plan_number"),
        Column("general_order_numbers", "list<string>", "as sent", wire="mercury_alert.general_order_number"),
        Column("no_affected_stations", "boolean", "as sent", wire="mercury_alert.no_affected_stations"),
        Column("clone_id", "string", "as sent", wire="mercury_alert.clone_id"),
        Column("header_text", "string", "English, plain; all languages are in alert_translations"),
        Column("description_text", "string", "English, plain"),
        Column("human_readable_active_period", "string", "English, plain"),
        Column("url", "string", "the first"),
        Column("active_period_count", "int", "rows in alert_active_periods", required=True),
        Column("informed_entity_count", "int", "rows in alert_informed_entities", required=True),
        Column("translation_count", "int", "rows in alert_translations", required=True),
        FLAGS,
    ),
    key=("alert_id",),
    sort=("alert_stable_id", "capture_offset"),
)

ALERT_ACTIVE_PERIODS = Table(
    "alert_active_periods",
    "when alerts hold: one row per period of an alert's version; without any, it holds as long as it is published",
    (
        *ENVELOPE,
        *ENTITY,
        *CHANGE,
        _ALERT_ID,
        _VERSION,
        Column("period_index", "int", "place in the list, from 0", required=True),
        Column("start_at", "timestamptz", "absent: from the beginning", wire="active_period.start"),
        Column("end_at", "timestamptz", "absent: until further notice", wire="active_period.end"),
        FLAGS,
    ),
    key=("alert_id", "alert_version_id", "period_index"),
    sort=("alert_id", "period_index", "capture_offset"),
    parent="alerts",
    place="period_index",
)

ALERT_INFORMED_ENTITIES = Table(
    "alert_informed_entities",
    "whom alerts concern: one row per selector of an alert's version; an alert concerns whatever fits any of its rows",
    (
        *ENVELOPE,
        *ENTITY,
        *CHANGE,
        _ALERT_ID,
        _VERSION,
        Column("entity_role", "string", "informed, affected_station or station_alternative", required=True),
        Column("entity_index", "int", "place among the alert's selectors, from 0", required=True),
        Column("agency_id", "string", "MTASBWY, MTA NYCT, MTABC, LI, MNR, …", wire="informed_entity.agency_id"),
        Column("route_id", "string", "as sent", wire="informed_entity.route_id"),
        Column("route_type", "int", "as in GTFS", wire="informed_entity.route_type"),
        Column("trip_id", "string", "as sent", wire="informed_entity.trip.trip_id"),
        Column("trip_start_date", "string", "as sent", wire="informed_entity.trip.start_date"),
        Column("trip_start_time", "string", "as sent", wire="informed_entity.trip.start_time"),
        Column("trip_route_id", "string", "as sent", wire="informed_entity.trip.route_id"),
        Column("trip_direction_id", "int", "as sent", wire="informed_entity.trip.direction_id"),
        Column("stop_id", "string", "as sent; a station in the subway", wire="informed_entity.stop_id"),
        Column(
            "direction_id", "int", "0 north, 1 south in the subway; absent both", wire="informed_entity.direction_id"
        ),
        Column("sort_order", "string", "AGENCY:ROUTE:PRIORITY", wire="mercury_entity_selector.sort_order"),
        Column("sort_priority", "int", "its third part: the more, the worse"),
        Column("elevator_id", "string", "as sent", wire="oba_entity_selector.elevator_id"),
        FLAGS,
    ),
    key=("alert_id", "alert_version_id", "entity_index"),
    sort=("agency_id", "route_id", "stop_id", "alert_id", "capture_offset"),
    parent="alerts",
    place="entity_index",
)

ALERT_TRANSLATIONS = Table(
    "alert_translations",
    "the words of alerts: one row per text and language of an alert's version",
    (
        *ENVELOPE,
        *ENTITY,
        *CHANGE,
        _ALERT_ID,
        _VERSION,
        Column("field", "string", "header_text, description_text, url, screens_summary, …", required=True),
        Column("translation_index", "int", "place among the alert's texts, from 0", required=True),
        Column("language", "string", "en, en-html, …", wire="translation.language"),
        Column("text", "string", "as sent; route bullets are in brackets", required=True, wire="translation.text"),
        FLAGS,
    ),
    key=("alert_id", "alert_version_id", "translation_index"),
    sort=("alert_id", "field", "translation_index", "capture_offset"),
    parent="alerts",
    place="translation_index",
)
