"""The oracle for SIRI: what a document holds, read with the standard library's json alone. Shares no code with ``thirdrail``."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any


def at(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def one(value: Any) -> Any:
    """Give a scalar that version 2 wraps in a list."""
    return (value[0] if value else None) if isinstance(value, list) else value


def after_agency(ref: str | None) -> str | None:
    return None if ref is None else ref.split("_", 1)[1]


def activities(body: bytes, loads: Callable[[bytes], Any] = json.loads) -> list[dict[str, Any]]:
    """Give the content columns of each vehicle of a document of Vehicle Monitoring."""
    (delivery,) = loads(body)["Siri"]["ServiceDelivery"]["VehicleMonitoringDelivery"]
    return [_activity(each, delivery) for each in delivery.get("VehicleActivity", [])]


def onward_calls(body: bytes) -> list[dict[str, Any]]:
    """Give stop, distance and prediction of each onward call, vehicle by vehicle."""
    (delivery,) = json.loads(body)["Siri"]["ServiceDelivery"]["VehicleMonitoringDelivery"]
    found = []
    for each in delivery.get("VehicleActivity", []):
        journey = each["MonitoredVehicleJourney"]
        calls = journey["OnwardCalls"].get("OnwardCall", [])
        for order, call in enumerate(calls):
            found.append({"vehicle_ref": journey["VehicleRef"], "call_order": order, **_call(call)})
    return found


def _call(call: dict[str, Any]) -> dict[str, Any]:
    distances = call.get("Extensions", {}).get("Distances", {})
    return {
        "stop_point_ref": call.get("StopPointRef"),
        "stop_point_name": one(call.get("StopPointName")),
        "visit_number": call.get("VisitNumber"),
        "aimed_arrival_at": at(call.get("AimedArrivalTime")),
        "expected_arrival_at": at(call.get("ExpectedArrivalTime")),
        "expected_departure_at": at(call.get("ExpectedDepartureTime")),
        "presentable_distance": distances.get("PresentableDistance"),
        "distance_m": distances.get("DistanceFromCall"),
        "stops_away": distances.get("StopsFromCall"),
        "distance_along_route_m": distances.get("CallDistanceAlongRoute"),
    }


def _activity(activity: dict[str, Any], delivery: dict[str, Any]) -> dict[str, Any]:
    journey = activity["MonitoredVehicleJourney"]
    frame, place, call = (
        journey["FramedVehicleJourneyRef"],
        journey["VehicleLocation"],
        journey.get("MonitoredCall", {}),
    )
    status = one(journey.get("ProgressStatus"))
    expected = at(call.get("ExpectedArrivalTime"))
    response = at(delivery["ResponseTimestamp"])
    assert response is not None
    return {
        "recorded_at": at(activity["RecordedAtTime"]),
        "vehicle_ref": journey["VehicleRef"],
        "vehicle_id": after_agency(journey["VehicleRef"]),
        "dated_vehicle_journey_ref": frame["DatedVehicleJourneyRef"],
        "trip_id": after_agency(frame["DatedVehicleJourneyRef"]),
        "service_date": date.fromisoformat(frame["DataFrameRef"]),
        "line_ref": journey["LineRef"],
        "agency_id": journey["LineRef"].split("_")[0],
        "route_id": after_agency(journey["LineRef"]),
        "direction_ref": int(journey["DirectionRef"]),
        "journey_pattern_ref": journey["JourneyPatternRef"],
        "published_line_name": one(journey["PublishedLineName"]),
        "operator_ref": journey["OperatorRef"],
        "origin_ref": journey["OriginRef"],
        "destination_ref": journey.get("DestinationRef"),
        "destination_name": one(journey["DestinationName"]),
        "origin_aimed_departure_at": at(journey.get("OriginAimedDepartureTime")),
        "situation_refs": [each["SituationSimpleRef"] for each in journey["SituationRef"]] or None,
        "monitored": journey["Monitored"],
        "longitude": place["Longitude"],
        "latitude": place["Latitude"],
        "bearing_raw": journey["Bearing"],
        "progress_rate": journey["ProgressRate"],
        "progress_status": sorted(status.split(",")) if status else None,
        "block_ref": journey.get("BlockRef"),
        **{f"call_{name}": value for name, value in _call(call).items()},
        "call_passenger_count": call.get("Extensions", {}).get("Capacities", {}).get("EstimatedPassengerCount"),
        "expected_is_sentinel": None if expected is None else 0 <= (expected - response).total_seconds() <= 1.5,
        "onward_call_count": len(journey["OnwardCalls"].get("OnwardCall", [])),
    }
