"""The tables: one declaration each, from which every schema and page is derived."""

from thirdrail.model.tables.alerts import ALERT_ACTIVE_PERIODS, ALERT_INFORMED_ENTITIES, ALERT_TRANSLATIONS, ALERTS
from thirdrail.model.tables.commits import COMMITS
from thirdrail.model.tables.declaration import ARROW_TYPES, NAMESPACE, Column, Role, Table
from thirdrail.model.tables.elevators import ELEVATOR_EQUIPMENT, ELEVATOR_OUTAGES
from thirdrail.model.tables.events import QUARANTINE, feed_messages
from thirdrail.model.tables.gtfs_realtime import (
    STOP_TIME_UPDATES,
    TRIP_REPLACEMENT_PERIODS,
    TRIP_UPDATES,
    VEHICLE_CARRIAGES,
    VEHICLE_POSITIONS,
)
from thirdrail.model.tables.siri import SIRI_ONWARD_CALLS, SIRI_SITUATIONS, SIRI_VEHICLE_ACTIVITY

PICTURE_TABLES: tuple[Table, ...] = (
    TRIP_UPDATES,
    STOP_TIME_UPDATES,
    VEHICLE_POSITIONS,
    VEHICLE_CARRIAGES,
    TRIP_REPLACEMENT_PERIODS,
    ALERTS,
    ALERT_ACTIVE_PERIODS,
    ALERT_INFORMED_ENTITIES,
    ALERT_TRANSLATIONS,
    ELEVATOR_OUTAGES,
    ELEVATOR_EQUIPMENT,
    SIRI_VEHICLE_ACTIVITY,
    SIRI_ONWARD_CALLS,
    SIRI_SITUATIONS,
)
"""Parents before their parts."""

FEED_MESSAGES = feed_messages(PICTURE_TABLES)

TABLES: tuple[Table, ...] = (*PICTURE_TABLES, QUARANTINE, FEED_MESSAGES)
"""In the order in which a span is committed: ``feed_messages`` last."""

ALL_TABLES: tuple[Table, ...] = (*TABLES, COMMITS)
"""Also what no capture fills: in Iceberg alone."""

BY_NAME: dict[str, Table] = {table.name: table for table in ALL_TABLES}

__all__ = [
    "ALERTS",
    "ALERT_ACTIVE_PERIODS",
    "ALERT_INFORMED_ENTITIES",
    "ALERT_TRANSLATIONS",
    "ALL_TABLES",
    "ARROW_TYPES",
    "BY_NAME",
    "COMMITS",
    "ELEVATOR_EQUIPMENT",
    "ELEVATOR_OUTAGES",
    "FEED_MESSAGES",
    "NAMESPACE",
    "PICTURE_TABLES",
    "QUARANTINE",
    "SIRI_ONWARD_CALLS",
    "SIRI_SITUATIONS",
    "SIRI_VEHICLE_ACTIVITY",
    "STOP_TIME_UPDATES",
    "TABLES",
    "TRIP_REPLACEMENT_PERIODS",
    "TRIP_UPDATES",
    "VEHICLE_CARRIAGES",
    "VEHICLE_POSITIONS",
    "Column",
    "Role",
    "Table",
]
