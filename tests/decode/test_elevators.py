"""Outages and equipment: both forms of the document, local times on the nights the clock changes, odd items."""

import json
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest

from thirdrail.city.notices import equipment, outages
from thirdrail.decode import elevators
from thirdrail.model.rules import rule_ids
from thirdrail.normalise.elevators import normalise_equipment, normalise_outages
from thirdrail.normalise.rows import Raw

RECORDING = Path(__file__).parents[3] / "shared" / "data" / "elevators" / "2018_old_envelope" / "nyct_ene.json"
OUTAGE = {
    "equipment": "EL1",
    "outagedate": "07/01/2026 08:00:00 AM",
    "station": "125 St",
    "trainno": "1/2 / 3",
    "ADA": "Y",
}


def captures(zone: str = "America/New_York") -> pl.DataFrame:
    at = pl.Series([1_790_000_000_000_000]).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame(
        {
            "cap": pl.Series([0], dtype=pl.Int32),
            "feed_id": ["f"],
            "family": ["ene"],
            "timezone": [zone],
            "fetched_at": at,
        }
    )


def rows(*listed: object, zone: str = "America/New_York") -> list[dict[str, Any]]:
    decoded = elevators.decode_outages([json.dumps(listed).encode()])
    return normalise_outages(Raw.of(decoded), captures(zone)).frames["elevator_outages"].to_dicts()


@pytest.mark.recordings
@pytest.mark.skipif(not RECORDING.exists(), reason="recordings: ../shared/data is absent")
def test_every_outage_of_the_old_envelope_is_there_field_by_field() -> None:
    sent = json.loads(RECORDING.read_bytes())["NYCOutages"]["outage"]
    found = rows(*sent)
    enveloped = normalise_outages(Raw.of(elevators.decode_outages([RECORDING.read_bytes()])), captures())
    assert enveloped.frames["elevator_outages"].to_dicts() == found
    assert len(found) == len(sent) == 34
    for row, item in zip(found, sent, strict=True):
        assert (row["equipment_id"], row["station_name"]) == (item["equipment"], item["station"])
        assert (row["is_ada"], row["is_upcoming"]) == (item["ADA"] == "Y", item["isupcomingoutage"] == "Y")
        assert row["train_lines"] == item["trainno"].split("/")
        summer = datetime.strptime(" ".join(item["outagedate"].split()) + " -0400", "%m/%d/%Y %I:%M:%S %p %z")
        assert row["outage_at"] == summer


@pytest.mark.parametrize(
    ("local", "instant", "rules"),
    [
        ("07/01/2026 12:00:00 AM", datetime(2026, 7, 1, 4, tzinfo=UTC), []),
        ("01/15/2026 12:30:00 PM", datetime(2026, 1, 15, 17, 30, tzinfo=UTC), []),
        ("11/01/2026 01:30:00 AM", datetime(2026, 11, 1, 5, 30, tzinfo=UTC), ["M038"]),
        ("03/08/2026 02:30:00 AM", None, ["M036"]),
        ("31/31/2026 02:30:00 AM", None, ["M036"]),
        ("soon", None, ["M036"]),
    ],
)
def test_local_times_are_new_yorks_also_when_the_clock_changes(
    local: str, instant: datetime | None, rules: list[str]
) -> None:
    (row,) = rows({**OUTAGE, "outagedate": local})
    assert (row["outage_at"], rule_ids(row["bits"])) == (instant, rules)
    assert row["outage_at_raw"] == local


def test_an_empty_return_is_unknown_and_one_before_the_outage_is_flagged() -> None:
    unknown, odd = rows(
        {**OUTAGE, "estimatedreturntoservice": ""},
        {**OUTAGE, "estimatedreturntoservice": "06/30/2026 08:00:00 AM"},
    )
    assert (unknown["estimated_return_at"], rule_ids(unknown["bits"])) == (None, [])
    assert rule_ids(odd["bits"]) == ["M036"]
    assert unknown["train_lines"] == ["1", "2", "3"]


@pytest.mark.parametrize("body", [b"", b"<xml/>", b'{"a": 1}', b"3", b"[[[", b"\xff"])
def test_what_is_no_list_of_outages_is_a_failed_message(body: bytes) -> None:
    decoded = elevators.decode_outages([body, b"[]"])
    assert list(decoded.failed) == [0]
    assert decoded.headers["message_index"].to_pylist() == [1]


def test_items_without_equipment_are_refused_alone_and_numbers_are_taken_as_text() -> None:
    decoded = elevators.decode_outages([json.dumps([OUTAGE, 7, {"station": "x"}, {"equipment": 12}]).encode()])
    assert [bad.entity_ordinal for bad in decoded.bad_entities] == [1, 2]
    assert decoded.tables["elevator_outages"]["equipment_id"].to_pylist() == ["EL1", "12"]


def test_the_citys_equipment_and_outages_decode_whole() -> None:
    found = normalise_equipment(Raw.of(elevators.decode_equipment([equipment()])), captures())
    assert len(found.frames["elevator_equipment"]) == 704
    assert found.messages["entity_count"].to_list() == [704]
    listed = elevators.decode_outages([outages(0, 1_790_000_000, upcoming=False)])
    assert len(listed.tables["elevator_outages"]) > 20
    assert listed.bad_entities == []


def test_mutants_raise_nothing() -> None:
    whole = json.dumps([OUTAGE] * 5).encode()
    for seed in range(400):
        chances = Random(seed)
        body = bytearray(whole)
        place = chances.randrange(len(body))
        body[place : place + chances.randint(0, 4)] = chances.randbytes(chances.randint(0, 4))
        decoded = elevators.decode_outages([bytes(body)])
        normalise_outages(Raw.of(decoded), captures())
        assert len(decoded.headers) + len(decoded.failed) == 1
