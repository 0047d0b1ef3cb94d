"""SIRI: 98 recorded answers against an oracle on the standard library, versions, errors, odd items, mutants."""

import csv
import json
import re
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from tests.oracle import siri as oracle
from thirdrail.city.buses import siri_vehicles
from thirdrail.decode import siri, siri_flat
from thirdrail.normalise.rows import Raw
from thirdrail.normalise.siri import onward_calls, vehicle_activity
from thirdrail.query.views import VIEWS

DATA = Path(__file__).parents[3] / "shared" / "data" / "siri"
needs_recordings = pytest.mark.skipif(not DATA.exists(), reason="recordings: ../shared/data is absent")


def document(*activities: object, **delivery: object) -> bytes:
    delivered = {"VehicleActivity": list(activities), "ResponseTimestamp": "2026-07-01T08:00:00.000-04:00", **delivery}
    return json.dumps({"Siri": {"ServiceDelivery": {"VehicleMonitoringDelivery": [delivered]}}}).encode()


def activity(**journey: object) -> dict[str, object]:
    return {
        "RecordedAtTime": "2026-07-01T07:59:50.000-04:00",
        "MonitoredVehicleJourney": {"VehicleRef": "MTA NYCT_1", "LineRef": "MTA NYCT_B63", **journey},
    }


def rows(*bodies: bytes) -> list[dict[str, Any]]:
    return vehicle_activity(Raw.of(siri.decode(bodies)).tables["siri_vehicle_activity"]).to_dicts()


@pytest.mark.recordings
@needs_recordings
def test_all_98_answers_give_every_vehicle_and_call_they_hold() -> None:
    bodies = [path.read_bytes() for path in sorted((DATA / "vehicle_monitoring_20210623").iterdir())]
    decoded = siri.decode(bodies)
    errors = {index for index, body in enumerate(bodies) if b"ErrorCondition" in body}
    assert set(decoded.failed) == errors
    assert len(errors) == 6
    assert decoded.bad_entities == []

    good = [body for index, body in enumerate(bodies) if index not in errors]
    expected = [row for body in good for row in oracle.activities(body)]
    found = vehicle_activity(Raw.of(siri.decode(good)).tables["siri_vehicle_activity"])
    assert found.select(expected[0].keys()).to_dicts() == expected
    assert len(expected) == 298

    calls = [row for body in good for row in oracle.onward_calls(body)]
    onward = onward_calls(Raw.of(siri.decode(good)).tables["siri_onward_calls"], found)
    assert onward.select(calls[0].keys()).to_dicts() == calls
    assert len(calls) == 6387


def test_version_2_wraps_in_lists_what_version_1_does_not_and_both_give_the_same() -> None:
    one = activity(PublishedLineName="B63", ProgressStatus="prevTrip,layover", Bearing=90)
    two = activity(PublishedLineName=["B63"], ProgressStatus=["layover,prevTrip"], Bearing="90")
    first, second = rows(document(one), document(two))

    assert {**first, "cap": 1} == second
    assert first["progress_status"] == ["layover", "prevTrip"]
    assert first["bearing_compass"] == 0.0


def test_an_odd_activity_is_refused_alone() -> None:
    odd = {"RecordedAtTime": "x", "MonitoredVehicleJourney": "no object"}
    decoded = siri.decode([document(activity(), odd, activity(VehicleRef="MTA NYCT_2"))])

    assert [bad.entity_ordinal for bad in decoded.bad_entities] == [1]
    assert decoded.tables["siri_vehicle_activity"]["vehicle_ref"].to_pylist() == ["MTA NYCT_1", "MTA NYCT_2"]
    assert decoded.tables["siri_vehicle_activity"]["entity_ordinal"].to_pylist() == [0, 2]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (document(ErrorCondition={"OtherError": {"ErrorText": "No such route"}}), "No such route"),
        (document(ErrorCondition={"Description": "API key required"}), "API key required"),
        (b"<Siri/>", "not a SIRI document"),
        (b"", "not a SIRI document"),
        (b'{"Siri": {}}', "not a SIRI document"),
        (b"[" * 20_000, "not a SIRI document"),
    ],
)
def test_what_is_no_answer_is_a_failed_message_with_the_reason(body: bytes, reason: str) -> None:
    decoded = siri.decode([body, document(activity())])
    assert reason in decoded.failed[0]
    assert len(decoded.tables["siri_vehicle_activity"]) == 1


def test_empty_members_and_absent_calls_give_nulls_and_a_time_without_sense_is_flagged() -> None:
    (row,) = rows(document(activity(OnwardCalls={}, MonitoredCall={"ExpectedArrivalTime": "yesterday"})))
    assert (row["call_expected_arrival_at"], row["onward_call_count"], row["bearing_raw"]) == (None, 0, None)
    assert row["bits"] != 0


def test_the_whole_fleet_of_the_city_decodes() -> None:
    decoded = siri.decode([siri_vehicles(0, 1_790_000_000)])
    assert len(decoded.tables["siri_vehicle_activity"]) > 3_500
    assert decoded.failed == {}
    assert decoded.bad_entities == []


def test_mutants_of_a_document_raise_nothing_and_what_parses_is_kept() -> None:
    whole = document(
        *(activity(VehicleRef=f"MTA NYCT_{number}", MonitoredCall={"VisitNumber": 1}) for number in range(8))
    )
    for seed in range(400):
        chances = Random(seed)
        body = bytearray(whole)
        for _ in range(chances.randint(1, 4)):
            place = chances.randrange(len(body))
            body[place : place + chances.randint(0, 3)] = chances.randbytes(chances.randint(0, 3))
        for decoder in (siri.decode, siri_flat.decode):
            decoded = decoder([bytes(body)])
            assert len(decoded.headers) + len(decoded.failed) == 1
        vehicle_activity(Raw.of(siri.decode([bytes(body)])).tables["siri_vehicle_activity"])


@pytest.mark.recordings
@needs_recordings
def test_flat_records_are_the_same_from_csv_and_from_json_in_any_case() -> None:
    path = DATA / "icymta2025_2025-08-05-1716.csv"
    records = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    pascal = msgspec.json.encode(records)
    lower = b"\n".join(
        msgspec.json.encode({name.lower(): value for name, value in record.items()}) for record in records
    )
    found = [
        vehicle_activity(Raw.of(siri_flat.decode([body])).tables["siri_vehicle_activity"])
        for body in (path.read_bytes(), pascal, lower)
    ]
    assert len(found[0]) == len(records) == 50
    assert found[0].equals(found[1])
    assert found[0].equals(found[2])
    sent, row = records[0], found[0].to_dicts()[0]
    assert row["service_date"] == date.fromisoformat(sent["DATAFRAMEREF"])
    assert (row["vehicle_ref"], row["longitude"]) == (sent["VEHICLEREF"], float(sent["VEHICLELOCATIONLONGITUDE"]))
    assert row["call_expected_arrival_at"] == oracle.at(sent["EXPECTEDARRIVALTIME"])
    (view,) = [view for view in VIEWS if view.name == "icymta"]
    places = [re.search(rf" AS {name}\b", view.sql).start() for name in sent]  # type: ignore[union-attr]
    assert places == sorted(places), "the view has the record's 43 columns in its order"
    assert len(places) == 43
