"""The tables: one declaration each, from which every schema and page is derived.

A column's role decides how change keeping, ``as_of`` and ``audit`` treat it:

``identity``  differs in every poll: offsets, ordinals, entity ids, feed times
``content``   compared by change keeping
``moment``    follows from content and the header's time; never compared, computed anew by ``as_of``
``lineage``   who wrote it; never compared
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

import pyarrow as pa

NAMESPACE = "mta"


class Role(StrEnum):
    """What a column means to change keeping."""

    IDENTITY = "identity"
    CONTENT = "content"
    MOMENT = "moment"
    LINEAGE = "lineage"


ARROW_TYPES: dict[str, pa.DataType] = {
    "string": pa.large_string(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "list<string>": pa.large_list(pa.large_string()),
}
"""Iceberg type names as used in declarations, and the Arrow type that carries each."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: Iceberg type, whether it may be null, what it means, where it comes from."""

    name: str
    type: str
    meaning: str
    role: Role = Role.CONTENT
    required: bool = False
    wire: str = ""

    @property
    def arrow(self) -> pa.Field:
        """The Arrow field; nullability as declared."""
        return pa.field(self.name, ARROW_TYPES[self.type], nullable=not self.required)


@dataclass(frozen=True, slots=True)
class Table:
    """One table. ``key`` names the columns that identify a thing within one picture; empty for event tables."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    sort: tuple[str, ...]
    is_picture: bool = True
    _index: dict[str, Column] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        """Index the columns by name."""
        object.__setattr__(self, "_index", {column.name: column for column in self.columns})

    def __getitem__(self, name: str) -> Column:
        """Give the column of that name."""
        return self._index[name]

    @property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema of a batch of this table."""
        return pa.schema([column.arrow for column in self.columns])

    def names(self, *roles: Role) -> list[str]:
        """Names of the columns, of these roles only if any are given."""
        return [column.name for column in self.columns if not roles or column.role in roles]


def _identity(name: str, kind: str, meaning: str, *, required: bool = True, wire: str = "") -> Column:
    return Column(name, kind, meaning, Role.IDENTITY, required, wire)


def _moment(name: str, kind: str, meaning: str, *, required: bool = False) -> Column:
    return Column(name, kind, meaning, Role.MOMENT, required)


_ENVELOPE: tuple[Column, ...] = (
    _identity("feed_id", "string", "the feed this was published in"),
    _identity("capture_log", "string", "the log that holds the capture"),
    _identity("capture_offset", "long", "the capture's place in that log"),
    _identity("origin", "string", "live, or the replay run that brought it"),
    _identity("fetched_at", "timestamptz", "when our request began"),
    _identity("feed_timestamp", "timestamptz", "time of the feed's header", required=False, wire="header.timestamp"),
    Column("pipeline_version", "int", "version of the code that made the row", Role.LINEAGE, required=True),
)

_CHANGE: tuple[Column, ...] = (
    _identity(
        "change_kind",
        "string",
        "added, changed, repeated (a full picture), removed, restored; observed or unaccepted when every poll is kept",
    ),
    _identity("removed_reason", "string", "left or quarantined, of a removed row", required=False),
    _identity("restored_by_offset", "long", "offset of the replay order that restored the row", required=False),
)

_ENTITY: tuple[Column, ...] = (
    _identity("entity_ordinal", "int", "place of the entity in its message, from 0"),
    _identity("entity_id", "string", "not stable for the subway", required=False, wire="entity.id"),
)

_FLAGS = Column("dq_flags", "list<string>", "ids of the rules that flag this row", required=True)

_TRIP: tuple[Column, ...] = (
    Column("trip_key", "string", "identifies the trip: service date|trip id|train or vehicle id"),
    Column("trip_id", "string", "as sent", wire="trip.trip_id"),
    Column("route_id_raw", "string", "as sent", wire="trip.route_id"),
    Column("route_id", "string", "effective: aliases resolved, else from the trip id"),
    Column("direction_id", "int", "as sent", wire="trip.direction_id"),
    Column("start_date_raw", "string", "as sent", wire="trip.start_date"),
    Column("service_date", "date", "service day in the agency's zone"),
    Column("start_time", "string", "as sent; may exceed 24 h", wire="trip.start_time"),
    Column("schedule_relationship_raw", "string", "as sent", wire="trip.schedule_relationship"),
    Column("schedule_relationship", "string", "effective; absent means SCHEDULED", required=True),
    Column("trip_origin_hundredths", "int", "subway: origin time in hundredths of a minute after midnight"),
    Column("trip_origin_at", "timestamptz", "subway: that time as an instant"),
    Column("trip_path", "string", "subway: the path part of the trip id"),
    Column("nyct_train_id", "string", "subway: the physical train", wire="nyct_trip_descriptor.train_id"),
    Column(
        "nyct_is_assigned",
        "boolean",
        "subway: a train is attached; absent means false",
        wire="nyct_trip_descriptor.is_assigned",
    ),
    Column("nyct_direction_raw", "string", "as sent", wire="nyct_trip_descriptor.direction"),
    Column("nyct_direction", "string", "subway: effective; absent means NORTH"),
    Column("modified_trip_modifications_id", "string", "as sent", wire="trip.modified_trip.modifications_id"),
    Column("modified_trip_affected_trip_id", "string", "as sent", wire="trip.modified_trip.affected_trip_id"),
)

_VEHICLE: tuple[Column, ...] = (
    Column("vehicle_id", "string", "as sent", wire="vehicle.id"),
    Column("vehicle_label", "string", "as sent", wire="vehicle.label"),
    Column("license_plate", "string", "as sent", wire="vehicle.license_plate"),
    Column("wheelchair_accessible", "string", "as sent", wire="vehicle.wheelchair_accessible"),
)

TRIP_UPDATES = Table(
    "trip_updates",
    "trips as predicted: one row per trip update that is new or differs from the feed's previous picture",
    (
        *_ENVELOPE,
        *_ENTITY,
        *_CHANGE,
        *_TRIP,
        *_VEHICLE,
        Column("is_deleted", "boolean", "as sent; absent means false", required=True, wire="entity.is_deleted"),
        _identity("trip_update_at", "timestamptz", "as sent", required=False, wire="trip_update.timestamp"),
        Column("delay_s", "int", "seconds late", wire="trip_update.delay"),
        Column("stop_time_update_count", "int", "stops that are still listed", required=True),
        Column("first_stop_id", "string", "the next stop of the list"),
        Column("last_stop_id", "string", "the last stop of the list"),
        Column("first_stop_time_at", "timestamptz", "arrival, else departure, at the next stop of the list"),
        Column("properties_trip_id", "string", "as sent", wire="trip_properties.trip_id"),
        Column("properties_start_date", "string", "as sent", wire="trip_properties.start_date"),
        Column("properties_start_time", "string", "as sent", wire="trip_properties.start_time"),
        Column("properties_shape_id", "string", "as sent", wire="trip_properties.shape_id"),
        Column("properties_trip_headsign", "string", "as sent", wire="trip_properties.trip_headsign"),
        Column("properties_trip_short_name", "string", "as sent", wire="trip_properties.trip_short_name"),
        _moment("is_stale", "boolean", "first stop time over 30 min before the header (M016)"),
        _moment("is_zombie", "boolean", "first stop time over 6 h before the header (M016)"),
        _moment("is_stale_unassigned", "boolean", "unassigned, first stop time over 5 min before the header (M029)"),
        _FLAGS,
    ),
    key=("trip_key",),
    sort=("route_id", "trip_key", "capture_offset"),
)

STOP_TIME_UPDATES = Table(
    "stop_time_updates",
    "predictions per stop: one row per stop time update that is new or differs from the feed's previous picture",
    (
        *_ENVELOPE,
        *_ENTITY,
        _identity("stu_index", "int", "place in the trip's list, from 0"),
        *_CHANGE,
        Column("trip_key", "string", "identifies the trip", required=True),
        Column("trip_id", "string", "as sent", wire="trip.trip_id"),
        Column("route_id", "string", "effective"),
        Column("service_date", "date", "service day in the agency's zone"),
        Column("stop_sequence", "int", "as sent", wire="stop_sequence"),
        Column("stop_id", "string", "as sent", wire="stop_id"),
        Column("parent_stop_id", "string", "subway: the station, stop_id without N or S"),
        Column(
            "stop_occurrence",
            "int",
            "nth visit of the stop, counted from the end of the list; without a stop id: its stop sequence",
            required=True,
        ),
        Column("stops_to_end", "int", "stops of the list after this one", required=True),
        Column("schedule_relationship_raw", "string", "as sent", wire="schedule_relationship"),
        Column("schedule_relationship", "string", "effective; absent means SCHEDULED", required=True),
        Column("arrival_at", "timestamptz", "absent and 0 mean unknown", wire="arrival.time"),
        Column("departure_at", "timestamptz", "absent and 0 mean unknown", wire="departure.time"),
        Column("arrival_delay_s", "int", "as sent", wire="arrival.delay"),
        Column("departure_delay_s", "int", "as sent", wire="departure.delay"),
        Column("arrival_uncertainty_s", "int", "as sent", wire="arrival.uncertainty"),
        Column("departure_uncertainty_s", "int", "as sent", wire="departure.uncertainty"),
        Column("arrival_scheduled_at", "timestamptz", "as sent", wire="arrival.scheduled_time"),
        Column("departure_scheduled_at", "timestamptz", "as sent", wire="departure.scheduled_time"),
        Column("departure_occupancy_status", "string", "as sent", wire="departure_occupancy_status"),
        Column("scheduled_track", "string", "subway", wire="nyct_stop_time_update.scheduled_track"),
        Column("actual_track", "string", "subway", wire="nyct_stop_time_update.actual_track"),
        Column("rail_track", "string", "railroads", wire="rail_stop_time_update.track"),
        Column("rail_train_status", "string", "railroads", wire="rail_stop_time_update.train_status"),
        Column("assigned_stop_id", "string", "as sent", wire="stop_time_properties.assigned_stop_id"),
        Column("stop_headsign", "string", "as sent", wire="stop_time_properties.stop_headsign"),
        Column("pickup_type", "string", "as sent", wire="stop_time_properties.pickup_type"),
        Column("drop_off_type", "string", "as sent", wire="stop_time_properties.drop_off_type"),
        _moment("seconds_to_arrival", "int", "arrival, else departure, minus the header's time"),
        _FLAGS,
    ),
    key=("trip_key", "stop_id", "stop_occurrence"),
    sort=("route_id", "trip_key", "stop_id", "capture_offset"),
)

VEHICLE_POSITIONS = Table(
    "vehicle_positions",
    "where each train or bus is: one row per vehicle that is new or differs from the feed's previous picture",
    (
        *_ENVELOPE,
        *_ENTITY,
        *_CHANGE,
        Column("vehicle_key", "string", "vehicle id, else the trip key, else the entity id", required=True),
        *_TRIP,
        *_VEHICLE,
        Column("is_deleted", "boolean", "as sent; absent means false", required=True, wire="entity.is_deleted"),
        Column("latitude", "double", "degrees; none in the subway", wire="position.latitude"),
        Column("longitude", "double", "degrees; none in the subway", wire="position.longitude"),
        Column("bearing", "float", "degrees clockwise from north", wire="position.bearing"),
        Column("odometer_m", "double", "metres", wire="position.odometer"),
        Column("speed_mps", "float", "metres a second", wire="position.speed"),
        Column("current_stop_sequence", "int", "as sent", wire="current_stop_sequence"),
        Column("stop_id", "string", "stop that current_status speaks of; bus: the next", wire="stop_id"),
        Column("parent_stop_id", "string", "subway: the station"),
        Column("current_status_raw", "string", "as sent", wire="current_status"),
        Column("current_status", "string", "effective; absent means IN_TRANSIT_TO", required=True),
        Column("vehicle_at", "timestamptz", "subway: last movement, not the report", wire="vehicle.timestamp"),
        Column("congestion_level", "string", "as sent; absent is no data", wire="congestion_level"),
        Column("occupancy_status", "string", "as sent; absent is no data", wire="occupancy_status"),
        Column("occupancy_percentage", "int", "as sent", wire="occupancy_percentage"),
        Column("crowding_estimated_count", "int", "bus", wire="crowding_descriptor.estimated_count"),
        Column("crowding_estimated_capacity", "int", "bus", wire="crowding_descriptor.estimated_capacity"),
        Column("carriage_count", "int", "carriages described", required=True, wire="multi_carriage_details"),
        _moment("vehicle_age_s", "int", "header's time minus vehicle_at"),
        _moment("is_stalled", "boolean", "subway: no movement for over 90 s (M020)"),
        _moment("is_underway", "boolean", "vehicle_at is not over 60 s after the header (M021)"),
        _FLAGS,
    ),
    key=("vehicle_key",),
    sort=("route_id", "vehicle_key", "capture_offset"),
)

TRIP_REPLACEMENT_PERIODS = Table(
    "trip_replacement_periods",
    "subway: routes whose trips in the feed replace the timetable until a time",
    (
        *_ENVELOPE,
        _identity("entity_ordinal", "int", "place in the header's list, from 0"),
        *_CHANGE,
        Column("route_id", "string", "as sent", required=True, wire="trip_replacement_period.route_id"),
        Column("start_at", "timestamptz", "absent means now", wire="replacement_period.start"),
        Column("end_after_header_s", "long", "end minus the header's time"),
        _moment("end_at", "timestamptz", "end as sent"),
        _moment("end_at_effective", "timestamptz", "end, or 30 min after the header when that is not later"),
        _FLAGS,
    ),
    key=("route_id",),
    sort=("route_id", "capture_offset"),
)

QUARANTINE = Table(
    "quarantine",
    "what was refused, whole, with the reason and where it came from",
    (
        *_ENVELOPE,
        _identity("quarantine_id", "string", "stable: the same refusal always has the same id"),
        _identity("level", "string", "message, entity or row"),
        _identity("target_table", "string", "the table the row would have gone to", required=False),
        _identity("entity_ordinal", "int", "place of the entity in its message", required=False),
        _identity("place", "int", "place in the entity", required=False),
        _identity("entity_id", "string", "as sent", required=False),
        Column("row_key", "string", "the key that the row would have had"),
        Column("rule_ids", "list<string>", "every rule that refuses it", required=True),
        Column("primary_rule_id", "string", "the first of them", required=True),
        Column("reason", "string", "for a person", required=True),
        Column("payload_format", "string", "json (the row) or base64 (the bytes)"),
        Column("payload", "string", "at most 16 kB of it"),
        Column("payload_truncated", "boolean", "more than that was there", required=True),
        _identity("body_sha256", "string", "digest of the capture's body", required=False),
        _identity(
            "restored_by_offset", "long", "the replay order that judged it again and let it pass", required=False
        ),
    ),
    key=(),
    sort=("feed_id", "primary_rule_id", "capture_offset"),
    is_picture=False,
)

PICTURE_TABLES: tuple[Table, ...] = (
    TRIP_UPDATES,
    STOP_TIME_UPDATES,
    VEHICLE_POSITIONS,
    TRIP_REPLACEMENT_PERIODS,
)


def _counts(tables: Iterable[Table]) -> tuple[Column, ...]:
    columns: list[Column] = []
    for table in tables:
        for what, meaning in (
            ("passed", "rows of the picture that passed the gate"),
            ("quarantined", "rows that the gate refused"),
            ("written", "rows written for this capture, removal markers left out"),
            ("removed", "removal markers written"),
        ):
            columns.append(Column(f"{table.name}_{what}", "int", f"{table.name}: {meaning}", required=True))
    return tuple(columns)


FEED_MESSAGES = Table(
    "feed_messages",
    "one row per poll, whatever came of it; committed last, so a capture listed here is complete everywhere",
    (
        *_ENVELOPE,
        Column("feed_family", "string", "subway, lirr, mnr, bus, …", required=True),
        Column("source_url", "string", "key redacted", required=True),
        Column("received_at", "timestamptz", "last byte"),
        Column("http_status", "int", "none on a network error"),
        Column(
            "outcome", "string", "ok, duplicate, hollow, rejected, decode_error, bad_body, http_error, …", required=True
        ),
        Column("error_class", "string", "what failed"),
        Column("error_detail", "string", "redacted, at most 500 characters"),
        Column("content_type", "string", "as sent"),
        Column("content_encoding", "string", "as sent"),
        Column("body_bytes", "long", "decompressed"),
        Column("wire_bytes", "long", "as transferred"),
        Column("body_sha256", "string", "digest of the body"),
        Column("duplicate_of_offset", "long", "the capture whose body was received again"),
        Column("fetch_duration_ms", "int", "request to last byte"),
        Column("attempt", "int", "1-based", required=True),
        Column("gtfs_realtime_version", "string", "as sent", wire="header.gtfs_realtime_version"),
        Column("incrementality", "string", "effective", wire="header.incrementality"),
        Column("feed_version", "string", "as sent", wire="header.feed_version"),
        Column("nyct_subway_version", "string", "as sent", wire="header.nyct_feed_header.nyct_subway_version"),
        Column("entity_count", "int", "entities in the message"),
        Column("trip_update_count", "int", "of them with a trip update"),
        Column("stop_time_update_count", "int", "stop time updates in them"),
        Column("vehicle_count", "int", "with a vehicle position"),
        Column("alert_count", "int", "with an alert"),
        Column("other_entity_count", "int", "with none of these, or deleted"),
        Column("header_age_s", "double", "fetched_at minus the header's time"),
        Column("accepted", "boolean", "its picture counts: not hollow, not older than one already seen", required=True),
        Column("is_full_picture", "boolean", "every row of the picture was written", required=True),
        Column("base_capture_offset", "long", "the capture whose picture this one was compared with"),
        Column("quarantined_count", "int", "messages, entities and rows refused", required=True),
        Column("finding_count", "int", "findings that refused nothing", required=True),
        Column("rule_counts", "list<string>", "RULE=findings, sorted", required=True),
        *_counts(PICTURE_TABLES),
        _FLAGS,
    ),
    key=(),
    sort=("feed_id", "capture_offset"),
    is_picture=False,
)

TABLES: tuple[Table, ...] = (*PICTURE_TABLES, QUARANTINE, FEED_MESSAGES)
"""In the order in which a span is committed: ``feed_messages`` last."""

BY_NAME: dict[str, Table] = {table.name: table for table in TABLES}
