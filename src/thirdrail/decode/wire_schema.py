"""The flat wire schema: GTFS-Realtime with the MTA's extensions as ordinary fields, pruned to what tables hold.

An extension is a field number on the wire, so declaring it as an ordinary optional field reads the same
bytes. Enums are int32: proto2 enums are closed, an unknown number would vanish. Everything is optional: the
strict gate has judged the bytes before. Source: gtfs-realtime.proto (2026-06) and the MTA's extensions.
"""

from typing import cast

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor

_SCHEMA = """
FeedMessage header:FeedHeader=1 entity:*FeedEntity=2
FeedHeader gtfs_realtime_version:string=1 incrementality:int32=2 timestamp:uint64=3 feed_version:string=4 mta:MtaFeedHeader=1001
MtaFeedHeader version:string=1 trip_replacement_period:*TripReplacementPeriod=2
TripReplacementPeriod route_id:string=1 replacement_period:TimeRange=2
TimeRange start:uint64=1 end:uint64=2
FeedEntity id:string=1 is_deleted:bool=2 trip_update:TripUpdate=3 vehicle:VehiclePosition=4 alert:Alert=5
TripUpdate trip:TripDescriptor=1 stop_time_update:*StopTimeUpdate=2 vehicle:VehicleDescriptor=3 timestamp:uint64=4 delay:int32=5 properties:TripProperties=6 oba:ObaTripUpdate=1000
ObaTripUpdate trip_headsign:string=3 trip_direction:string=4 is_estimated_realtime:bool=5
TripProperties trip_id:string=1 start_date:string=2 start_time:string=3 shape_id:string=4 trip_headsign:string=5 trip_short_name:string=6
StopTimeEvent delay:int32=1 time:int64=2 uncertainty:int32=3 scheduled_time:int64=4
StopTimeUpdate stop_sequence:uint32=1 arrival:StopTimeEvent=2 departure:StopTimeEvent=3 stop_id:string=4 schedule_relationship:int32=5 properties:StopTimeProperties=6 departure_occupancy_status:int32=7 oba:ObaStopTimeUpdate=1000 nyct:NyctStopTimeUpdate=1001 rail:RailStopTimeUpdate=1005
StopTimeProperties assigned_stop_id:string=1 stop_headsign:string=2 pickup_type:int32=3 drop_off_type:int32=4
ObaStopTimeUpdate stop_headsign:string=1
NyctStopTimeUpdate scheduled_track:string=1 actual_track:string=2
RailStopTimeUpdate track:string=1 train_status:string=2
VehiclePosition trip:TripDescriptor=1 position:Position=2 current_stop_sequence:uint32=3 current_status:int32=4 timestamp:uint64=5 congestion_level:int32=6 stop_id:string=7 vehicle:VehicleDescriptor=8 occupancy_status:int32=9 occupancy_percentage:uint32=10 carriage:*Carriage=11 crowding:Crowding=1006
Carriage id:string=1 label:string=2 occupancy_status:int32=3 occupancy_percentage:int32=4 carriage_sequence:uint32=5 rail:RailCarriage=1005
RailCarriage bicycles_allowed:int32=1 carriage_class:string=2 quiet_carriage:int32=3 toilet_facilities:int32=4
Position latitude:float=1 longitude:float=2 bearing:float=3 odometer:double=4 speed:float=5
Crowding estimated_count:int32=1 estimated_capacity:int32=2
TripDescriptor trip_id:string=1 start_time:string=2 start_date:string=3 schedule_relationship:int32=4 route_id:string=5 direction_id:uint32=6 modified_trip:ModifiedTrip=7 nyct:NyctTripDescriptor=1001
ModifiedTrip modifications_id:string=1 affected_trip_id:string=2
NyctTripDescriptor train_id:string=1 is_assigned:bool=2 direction:int32=3
VehicleDescriptor id:string=1 label:string=2 license_plate:string=3 wheelchair_accessible:int32=4 oba:ObaVehicle=1000
ObaVehicle vehicle_feature:*string=1
Alert active_period:*TimeRange=1 informed_entity:*EntitySelector=5 cause:int32=6 effect:int32=7 url:TranslatedString=8 header_text:TranslatedString=10 description_text:TranslatedString=11 tts_header_text:TranslatedString=12 tts_description_text:TranslatedString=13 severity_level:int32=14 cause_detail:TranslatedString=17 effect_detail:TranslatedString=18 mercury:MercuryAlert=1001
TranslatedString translation:*Translation=1
Translation text:string=1 language:string=2
EntitySelector agency_id:string=1 route_id:string=2 route_type:int32=3 trip:TripDescriptor=4 stop_id:string=5 direction_id:uint32=6 oba:ObaSelector=1000 mercury:MercurySelector=1001
ObaSelector elevator_id:string=1
MercurySelector sort_order:string=1
MercuryAlert created_at:uint64=1 updated_at:uint64=2 alert_type:string=3 station_alternative:*StationAlternative=4 service_plan_number:*string=5 general_order_number:*string=6 display_before_active:uint64=7 human_readable_active_period:TranslatedString=8 directionality:uint64=9 affected_stations:*EntitySelector=10 screens_summary:TranslatedString=11 no_affected_stations:bool=12 clone_id:string=13
StationAlternative affected_entity:EntitySelector=1 notes:TranslatedString=2
"""
"""One message a line: ``field:type=number``, ``*`` for repeated."""

LEFT_OUT = {
    "FeedEntity.shape": "the MTA sends none; the entity is counted as other",
    "FeedEntity.stop": "the MTA sends none; the entity is counted as other",
    "FeedEntity.trip_modifications": "the MTA sends none; the entity is counted as other",
    "FeedEntity.oba_feed_entity": "names the server's part that made the entity",
    "FeedHeader.oba_feed_header": "counters of the bus server's incremental form, which it does not serve",
    "TripUpdate.oba_trip_update.delay": "deprecated: trip_update.delay",
    "TripUpdate.oba_trip_update.timestamp": "deprecated: trip_update.timestamp",
    "Alert.communication_period": "new in the reference; the MTA sends none",
    "Alert.impact_period": "new in the reference; the MTA sends none",
    "Alert.image": "the MTA sends none",
    "Alert.image_alternative_text": "the MTA sends none",
}
"""Fields of the wire that no table holds, and why; whole bodies stay in the capture log."""

_PACKAGE = "mta_realtime"
_FIELD = descriptor_pb2.FieldDescriptorProto


def _file(schema: str) -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="mta_realtime.proto", package=_PACKAGE, syntax="proto2")
    for line in schema.split("\n"):
        name, *fields = line.split() or [""]
        if not name:
            continue
        message = file.message_type.add(name=name)
        for field in fields:
            label, rest = field.split(":")
            kind, number = rest.split("=")
            added = message.field.add(name=label, number=int(number))
            added.label = _FIELD.LABEL_REPEATED if kind.startswith("*") else _FIELD.LABEL_OPTIONAL
            kind = kind.removeprefix("*")
            if kind[0].isupper():
                added.type, added.type_name = _FIELD.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                added.type = _FIELD.Type.Value(f"TYPE_{kind.upper()}")
    return file


def feed_message(*, bytes_for_stop_times: bool = False) -> Descriptor:
    """Give the descriptor of ``mta_realtime.FeedMessage``; stop times may stay bytes."""
    schema = _SCHEMA
    if bytes_for_stop_times:
        schema = schema.replace("stop_time_update:*StopTimeUpdate=", "stop_time_update:*bytes=")
    return _descriptor(schema, "FeedMessage")


def stop_time_update() -> Descriptor:
    """Give the descriptor of ``mta_realtime.StopTimeUpdate``."""
    return _descriptor(_SCHEMA, "StopTimeUpdate")


def _descriptor(schema: str, name: str) -> Descriptor:
    """Give a message's descriptor, in a pool of its own."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file(schema))
    found = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
    return cast("Descriptor", found.DESCRIPTOR)
