"""SIRI Vehicle Monitoring and Stop Monitoring: buses with their calls, and situations.

The flattened records that some publish in place of SIRI's nested document go to the same table.
"""

from thirdrail.model.tables.declaration import CHANGE, ENTITY, ENVELOPE, FLAGS, Column, Table, identity

_MVJ = "MonitoredVehicleJourney"
_JOURNEY = (
    Column("vehicle_ref", "string", "as sent: MTA NYCT_7582", wire=f"{_MVJ}.VehicleRef"),
    Column(
        "dated_vehicle_journey_ref",
        "string",
        "as sent: agency_trip",
        wire=f"{_MVJ}.FramedVehicleJourneyRef.DatedVehicleJourneyRef",
    ),
)


def _call(prefix: str, wire: str) -> tuple[Column, ...]:
    """Give the columns of a call: the monitored one, or one of those onward."""
    return (
        Column(f"{prefix}stop_point_ref", "string", "as sent: MTA_308214", wire=f"{wire}.StopPointRef"),
        Column(f"{prefix}stop_point_name", "string", "as sent", wire=f"{wire}.StopPointName"),
        Column(f"{prefix}visit_number", "int", "nth visit of the stop, from 1", wire=f"{wire}.VisitNumber"),
        Column(f"{prefix}aimed_arrival_at", "timestamptz", "by the timetable", wire=f"{wire}.AimedArrivalTime"),
        Column(f"{prefix}aimed_departure_at", "timestamptz", "by the timetable", wire=f"{wire}.AimedDepartureTime"),
        Column(f"{prefix}expected_arrival_at", "timestamptz", "predicted", wire=f"{wire}.ExpectedArrivalTime"),
        Column(f"{prefix}expected_departure_at", "timestamptz", "predicted", wire=f"{wire}.ExpectedDepartureTime"),
        Column(f"{prefix}arrival_status", "string", "onTime, cancelled, …", wire=f"{wire}.ArrivalStatus"),
        Column(f"{prefix}departure_status", "string", "as sent", wire=f"{wire}.DepartureStatus"),
        Column(
            f"{prefix}presentable_distance",
            "string",
            "for a display: approaching, at stop, 0.5 miles away",
            wire=f"{wire}.Extensions.Distances.PresentableDistance, {wire}.ArrivalProximityText",
        ),
        Column(
            f"{prefix}distance_m",
            "double",
            "metres to the stop",
            wire=f"{wire}.Extensions.Distances.DistanceFromCall, {wire}.DistanceFromStop",
        ),
        Column(
            f"{prefix}stops_away",
            "int",
            "stops to the stop",
            wire=f"{wire}.Extensions.Distances.StopsFromCall, {wire}.NumberOfStopsAway",
        ),
        Column(
            f"{prefix}distance_along_route_m",
            "double",
            "metres from the route's beginning to the stop; version 1 alone",
            wire=f"{wire}.Extensions.Distances.CallDistanceAlongRoute",
        ),
        Column(
            f"{prefix}passenger_count",
            "int",
            "estimated",
            wire=f"{wire}.Extensions.Capacities.EstimatedPassengerCount",
        ),
        Column(
            f"{prefix}passenger_capacity",
            "int",
            "estimated",
            wire=f"{wire}.Extensions.Capacities.EstimatedPassengerCapacity",
        ),
        Column(
            f"{prefix}passenger_load_factor",
            "string",
            "manySeatsAvailable, …",
            wire=f"{wire}.Extensions.Capacities.EstimatedPassengerLoadFactor",
        ),
    )


SIRI_VEHICLE_ACTIVITY = Table(
    "siri_vehicle_activity",
    "buses as SIRI tells them: one row per vehicle and journey that is new or differs",
    (
        *ENVELOPE,
        *ENTITY,
        *CHANGE,
        Column("source_api", "string", "vehicle_monitoring, stop_monitoring or flat", required=True),
        identity("response_at", "timestamptz", "time of the answer", required=False, wire="ResponseTimestamp"),
        identity("valid_until_at", "timestamptz", "as sent", required=False, wire="ValidUntil"),
        Column("recorded_at", "timestamptz", "the vehicle's last report", wire="RecordedAtTime"),
        *_JOURNEY,
        Column("vehicle_id", "string", "vehicle_ref without its agency"),
        Column("trip_key", "string", "service date|trip|vehicle_ref"),
        Column("trip_id", "string", "as in GTFS: the journey without its agency"),
        Column("service_date", "date", "as sent", wire=f"{_MVJ}.FramedVehicleJourneyRef.DataFrameRef"),
        Column("line_ref", "string", "as sent: MTA NYCT_B63", wire=f"{_MVJ}.LineRef"),
        Column("agency_id", "string", "of line_ref"),
        Column("route_id", "string", "line_ref without its agency"),
        Column("direction_ref", "int", "as sent", wire=f"{_MVJ}.DirectionRef"),
        Column("journey_pattern_ref", "string", "as sent: the shape", wire=f"{_MVJ}.JourneyPatternRef"),
        Column("published_line_name", "string", "as sent", wire=f"{_MVJ}.PublishedLineName"),
        Column("operator_ref", "string", "as sent", wire=f"{_MVJ}.OperatorRef"),
        Column("origin_ref", "string", "as sent", wire=f"{_MVJ}.OriginRef"),
        Column("destination_ref", "string", "version 1 never sends it", wire=f"{_MVJ}.DestinationRef"),
        Column("destination_name", "string", "as sent", wire=f"{_MVJ}.DestinationName"),
        Column(
            "origin_aimed_departure_at",
            "timestamptz",
            "only in a layover or on the trip before",
            wire=f"{_MVJ}.OriginAimedDepartureTime",
        ),
        Column("situation_refs", "list<string>", "rows of siri_situations", wire=f"{_MVJ}.SituationRef"),
        Column("monitored", "boolean", "as sent", wire=f"{_MVJ}.Monitored"),
        Column("longitude", "double", "degrees; snapped to the route", wire=f"{_MVJ}.VehicleLocation.Longitude"),
        Column("latitude", "double", "degrees; snapped to the route", wire=f"{_MVJ}.VehicleLocation.Latitude"),
        Column("bearing_raw", "double", "as sent: degrees counter-clockwise from east", wire=f"{_MVJ}.Bearing"),
        Column("bearing_compass", "double", "degrees clockwise from north"),
        Column("progress_rate", "string", "normalProgress, noProgress, unknown", wire=f"{_MVJ}.ProgressRate"),
        Column("progress_status", "list<string>", "layover, prevTrip, spooking; sorted", wire=f"{_MVJ}.ProgressStatus"),
        Column("is_spooking", "boolean", "made from the timetable, no vehicle reports", required=True),
        Column("occupancy", "string", "seatsAvailable, standingAvailable, full", wire=f"{_MVJ}.Occupancy"),
        Column("block_ref", "string", "only if formally assigned", wire=f"{_MVJ}.BlockRef"),
        Column("stroller_vehicle", "boolean", "as sent", wire="Extensions.VehicleFeatures.StrollerVehicle"),
        Column(
            "monitored_visit", "string", "stop monitoring: the visit asked about, stop|nth; else empty", required=True
        ),
        *_call("call_", f"{_MVJ}.MonitoredCall"),
        Column(
            "expected_is_sentinel",
            "boolean",
            "expected arrival lay in the past and was sent as the answer's time + 1 s",
        ),
        Column("onward_call_count", "int", "rows in siri_onward_calls", required=True),
        Column("stop_point", "string", "flat records: as sent"),
        Column("source_record_id", "string", "flat records: uuid"),
        Column("source_date", "string", "flat records: date of the answer that held it, as sent"),
        Column("source_ts", "long", "flat records: ts, milliseconds since 1970"),
        Column("source_ingested_at", "timestamptz", "flat records: ingestion_time"),
        Column("source_system", "string", "flat records: as sent"),
        Column("source_processing_status", "string", "flat records: as sent"),
        FLAGS,
    ),
    key=("vehicle_ref", "dated_vehicle_journey_ref", "monitored_visit"),
    sort=("line_ref", "vehicle_ref", "recorded_at", "capture_offset"),
)

SIRI_ONWARD_CALLS = Table(
    "siri_onward_calls",
    "the stops ahead of each bus: one row per call that is new or differs",
    (
        *ENVELOPE,
        *ENTITY,
        *CHANGE,
        identity("call_order", "int", "place in the list, from 0"),
        *_JOURNEY,
        Column("calls_to_end", "int", "calls of the list after this one", required=True),
        *_call("", "OnwardCalls.OnwardCall"),
        FLAGS,
    ),
    key=("vehicle_ref", "dated_vehicle_journey_ref", "stop_point_ref", "visit_number", "calls_to_end"),
    sort=("vehicle_ref", "dated_vehicle_journey_ref", "calls_to_end", "capture_offset"),
    parent="siri_vehicle_activity",
    place="call_order",
)

SIRI_SITUATIONS = Table(
    "siri_situations",
    "service alerts as SIRI tells them: one row per situation that is new or differs",
    (
        *ENVELOPE,
        *ENTITY,
        *CHANGE,
        Column("situation_number", "string", "as sent", required=True, wire="SituationNumber"),
        Column("created_at", "timestamptz", "as sent", wire="CreationTime"),
        Column("publication_start_at", "timestamptz", "as sent", wire="PublicationWindow.StartTime"),
        Column("publication_end_at", "timestamptz", "as sent", wire="PublicationWindow.EndTime"),
        Column("severity", "string", "as sent", wire="Severity"),
        Column("summary", "string", "as sent", wire="Summary"),
        Column("description", "string", "as sent", wire="Description"),
        Column("conditions", "list<string>", "altered, diverted, …", wire="Consequences.Consequence.Condition"),
        Column("line_refs", "list<string>", "lines concerned", wire="AffectedVehicleJourney.LineRef"),
        Column(
            "direction_refs",
            "list<string>",
            "their directions, in the same order",
            wire="AffectedVehicleJourney.DirectionRef",
        ),
        FLAGS,
    ),
    key=("situation_number",),
    sort=("situation_number", "capture_offset"),
)
