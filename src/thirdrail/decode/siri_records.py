"""SIRI elements as served by MTA Bus Time, versions 1 and 2: typed records and their decoders.

Every member may be missing, and unknown ones are passed over. Source: SIRI 1.3 and 2.0, and 98 recorded answers.
"""

from typing import Any

import msgspec

Text = str | int | float | bool | None
TextOrList = str | int | float | list[Any] | None
Number = int | float | str | None


class Record(msgspec.Struct, rename="pascal", gc=False):  # a tree of values has no cycles
    """A SIRI element: every member may be missing, unknown ones are passed over."""


class Distances(Record):
    """SIRI: Distances."""

    presentable_distance: Text = None
    distance_from_call: Number = None
    stops_from_call: Number = None
    call_distance_along_route: Number = None


class Capacities(Record):
    """SIRI: Capacities."""

    estimated_passenger_count: Number = None
    estimated_passenger_capacity: Number = None
    estimated_passenger_load_factor: Text = None


class VehicleFeatures(Record):
    """SIRI: Vehicle Features."""

    stroller_vehicle: bool | str | None = None


class Extensions(Record):
    """SIRI: Extensions."""

    distances: Distances | None = None
    capacities: Capacities | None = None
    vehicle_features: VehicleFeatures | None = None


class Call(Record):
    """SIRI: Call."""

    stop_point_ref: Text = None
    stop_point_name: TextOrList = None
    visit_number: Number = None
    aimed_arrival_time: Text = None
    aimed_departure_time: Text = None
    expected_arrival_time: Text = None
    expected_departure_time: Text = None
    arrival_status: Text = None
    departure_status: Text = None
    arrival_proximity_text: TextOrList = None
    distance_from_stop: Number = None
    number_of_stops_away: Number = None
    extensions: Extensions | None = None


class OnwardCalls(Record):
    """SIRI: Onward Calls."""

    onward_call: list[Call] = []


class FramedVehicleJourneyRef(Record):
    """SIRI: Framed Vehicle Journey Ref."""

    data_frame_ref: Text = None
    dated_vehicle_journey_ref: Text = None


class VehicleLocation(Record):
    """SIRI: Vehicle Location."""

    longitude: Number = None
    latitude: Number = None


class SituationRef(Record):
    """SIRI: Situation Ref."""

    situation_simple_ref: Text = None


class Journey(Record):
    """SIRI: Journey."""

    line_ref: Text = None
    direction_ref: Text = None
    framed_vehicle_journey_ref: FramedVehicleJourneyRef | None = None
    journey_pattern_ref: Text = None
    published_line_name: TextOrList = None
    operator_ref: Text = None
    origin_ref: Text = None
    destination_ref: Text = None
    destination_name: TextOrList = None
    origin_aimed_departure_time: Text = None
    situation_ref: list[SituationRef] | SituationRef | None = None
    monitored: bool | str | None = None
    vehicle_location: VehicleLocation | None = None
    bearing: Number = None
    progress_rate: Text = None
    progress_status: TextOrList = None
    occupancy: Text = None
    block_ref: Text = None
    vehicle_ref: Text = None
    monitored_call: Call | None = None
    onward_calls: OnwardCalls | None = None
    extensions: Extensions | None = None


class Activity(Record):
    """SIRI: Activity."""

    recorded_at_time: Text = None
    monitored_vehicle_journey: Journey | None = None


class OtherError(Record):
    """SIRI: Other Error."""

    error_text: TextOrList = None


class ErrorCondition(Record):
    """SIRI: Error Condition."""

    other_error: OtherError | None = None
    description: TextOrList = None


class Delivery(Record):
    """One delivery; its items stay raw bytes until they are read together."""

    vehicle_activity: msgspec.Raw = msgspec.Raw()
    monitored_stop_visit: msgspec.Raw = msgspec.Raw()
    response_timestamp: Text = None
    valid_until: Text = None
    error_condition: ErrorCondition | None = None


class PublicationWindow(Record):
    """SIRI: Publication Window."""

    start_time: Text = None
    end_time: Text = None


class AffectedVehicleJourney(Record):
    """SIRI: Affected Vehicle Journey."""

    line_ref: Text = None
    direction_ref: Text = None


class VehicleJourneys(Record):
    """SIRI: Vehicle Journeys."""

    affected_vehicle_journey: list[AffectedVehicleJourney] = []


class Affects(Record):
    """SIRI: Affects."""

    vehicle_journeys: VehicleJourneys | None = None


class Consequence(Record):
    """SIRI: Consequence."""

    condition: Text = None


class Consequences(Record):
    """SIRI: Consequences."""

    consequence: list[Consequence] = []


class Situation(Record):
    """SIRI: Situation."""

    situation_number: Text = None
    creation_time: Text = None
    publication_window: PublicationWindow | None = None
    severity: Text = None
    summary: TextOrList = None
    description: TextOrList = None
    affects: Affects | None = None
    consequences: Consequences | None = None


class Situations(Record):
    """SIRI: Situations."""

    pt_situation_element: msgspec.Raw = msgspec.Raw()


class SituationDelivery(Record):
    """SIRI: Situation Delivery."""

    situations: Situations | None = None


class ServiceDelivery(Record):
    """SIRI: Service Delivery."""

    response_timestamp: Text = None
    vehicle_monitoring_delivery: list[Delivery] = []
    stop_monitoring_delivery: list[Delivery] = []
    situation_exchange_delivery: list[SituationDelivery] = []


class Siri(Record):
    """SIRI: Siri."""

    service_delivery: ServiceDelivery


class Document(Record):
    """SIRI: Document."""

    siri: Siri


DOCUMENT = msgspec.json.Decoder(Document)
ACTIVITIES = msgspec.json.Decoder(list[Activity])
ACTIVITY = msgspec.json.Decoder(Activity)
SITUATIONS = msgspec.json.Decoder(list[Situation])
SITUATION = msgspec.json.Decoder(Situation)
ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
NO_CALL, NO_EXTENSIONS, NO_DISTANCES, NO_CAPACITIES = Call(), Extensions(), Distances(), Capacities()
NO_JOURNEY, NO_FRAME, NO_PLACE, NO_FEATURES = (
    Journey(),
    FramedVehicleJourneyRef(),
    VehicleLocation(),
    VehicleFeatures(),
)
