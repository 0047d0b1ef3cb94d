"""Nothing dropped unseen: every field of the wire is read into a column, or listed as left out with the reason."""

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.transit.gtfs_realtime_pb2 import FeedMessage

from thirdrail.decode import flat_alerts, flatten
from thirdrail.decode.wire_schema import LEFT_OUT, feed_message
from thirdrail.model.tables import TABLES

# Fields of the MTA's extensions, as published: extended message → number → name.
EXTENSIONS = {
    "FeedHeader": {1000: "oba_feed_header", 1001: "mta"},
    "FeedEntity": {1000: "oba_feed_entity"},
    "TripUpdate": {1000: "oba"},
    "StopTimeUpdate": {1000: "oba", 1001: "nyct", 1005: "rail"},
    "VehiclePosition": {1006: "crowding"},
    "CarriageDetails": {1005: "rail"},
    "TripDescriptor": {1001: "nyct"},
    "VehicleDescriptor": {1000: "oba"},
    "EntitySelector": {1000: "oba", 1001: "mercury"},
    "Alert": {1001: "mercury"},
}
# What of a selector's trip no column holds: the MTA never sends one.
_OF_A_SELECTORS_TRIP = {"schedule_relationship", "modified_trip", "nyct"}


def fields(descriptor: Descriptor, seen: frozenset[str] = frozenset()) -> set[tuple[str, int]]:
    """Give (message, number) of every field that a descriptor reaches."""
    found: set[tuple[str, int]] = set()
    for field in descriptor.fields:
        found.add((descriptor.name, field.number))
        if field.type == FieldDescriptor.TYPE_MESSAGE and field.message_type.name not in seen:
            found |= fields(field.message_type, seen | {descriptor.name})
    return found


def ours_by_their_name() -> dict[str, set[int]]:
    """Give the numbers that the flat schema reads of each message, by the reference's names."""
    names = {"Carriage": "CarriageDetails", "Crowding": "CrowdingDescriptor"}
    numbers: dict[str, set[int]] = {}
    for message, number in fields(feed_message()):
        numbers.setdefault(names.get(message, message), set()).add(number)
    return numbers


def test_every_field_of_the_reference_is_read_or_listed_as_left_out() -> None:
    read, left_out = ours_by_their_name(), {name.split(".")[0]: set() for name in LEFT_OUT}
    theirs = {field.full_name: field for field in _all_fields(FeedMessage.DESCRIPTOR)}
    for name in LEFT_OUT:
        left_out[name.split(".")[0]].add(name.split(".")[1])
    unread = {
        f"{field.containing_type.name}.{field.name}"
        for field in theirs.values()
        if field.number not in read.get(field.containing_type.name, set())
        and field.containing_type.name in read
        and field.name not in left_out.get(field.containing_type.name, set())
    }
    assert unread == set()


def _all_fields(descriptor: Descriptor, seen: set[str] | None = None) -> list[FieldDescriptor]:
    seen = set() if seen is None else seen
    if descriptor.full_name in seen:
        return []
    seen.add(descriptor.full_name)
    found = []
    for field in descriptor.fields:
        found.append(field)
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            found += _all_fields(field.message_type, seen)
    return found


def test_every_extension_is_read_or_listed_as_left_out() -> None:
    read = ours_by_their_name()
    for message, known in EXTENSIONS.items():
        for number, name in known.items():
            assert number in read[message] or f"{message}.{name}" in LEFT_OUT, (message, name)


def test_every_field_that_is_read_reaches_a_column_of_the_decoder() -> None:
    paths = [
        *flatten.TRIP_UPDATE.values(),
        *flatten.STOP_TIME.values(),
        *flatten.VEHICLE_POSITION.values(),
        *flatten.CARRIAGE.values(),
        *flat_alerts.ALERT.values(),
        *flat_alerts.SELECTOR.values(),
        *flat_alerts.TEXTS.values(),
    ]
    named = {part for path in paths for part in path} | {
        *("header", "entity", "id", "is_deleted", "trip_update", "vehicle", "alert", "gtfs_realtime_version"),
        *("incrementality", "timestamp", "feed_version", "mta", "version", "trip_replacement_period", "route_id"),
        *("replacement_period", "start", "end", "stop_time_update", "carriage", "informed_entity", "active_period"),
        *("affected_stations", "station_alternative", "affected_entity", "notes", "translation", "text", "language"),
    }
    read = {field.name for field in _all_fields(feed_message())}
    assert read - named == set()
    assert read >= _OF_A_SELECTORS_TRIP


def test_no_column_names_a_wire_field_that_is_listed_as_left_out() -> None:
    wires = {part.strip() for table in TABLES for column in table.columns for part in column.wire.split(",")}
    assert not {name.partition(".")[2] for name in LEFT_OUT} & wires
