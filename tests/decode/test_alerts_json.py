"""Alerts in JSON: the same rows as from protobuf, odd entities refused alone, versions that a touch does not make."""

import json
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest
from google.protobuf import json_format

from tests.oracle.alerts import ALERT, FEED_MESSAGE, TABLES
from thirdrail.city.messages import body as city_body
from thirdrail.decode import gtfs_realtime, gtfs_realtime_json
from thirdrail.decode.decoded import Decoded
from thirdrail.normalise.gtfs_realtime import normalise
from thirdrail.normalise.rows import Raw

DATA = Path(__file__).parents[3] / "shared" / "data" / "gtfsrt"
AT = 1_790_000_000


def canonical(decoded: Decoded) -> dict[str, pl.DataFrame]:
    at = pl.Series([AT * 1_000_000]).cast(pl.Datetime("us", "UTC"))
    captures = pl.DataFrame(
        {
            "cap": pl.Series([0], dtype=pl.Int32),
            "feed_id": ["alerts_all"],
            "family": ["alerts"],
            "timezone": ["America/New_York"],
            "fetched_at": at,
        }
    )
    frames = normalise(Raw.of(decoded), captures).frames
    return {name: frames[name] for name in TABLES}


def as_json(message: bytes, *, numbers_as_text: bool) -> bytes:
    """Write a protobuf message the way the MTA's JSON variant is written."""
    whole = FEED_MESSAGE.FromString(message)
    document = json_format.MessageToDict(whole, preserving_proto_field_name=True, use_integers_for_enums=False)
    text = json.dumps(document)
    for theirs, served in (("alert", "mercury_alert"), ("selector", "mercury_entity_selector")):
        text = text.replace(f'"[mercury_oracle.{theirs}]"', f'"transit_realtime.{served}"')
    return text.encode() if numbers_as_text else json.dumps(_with_numbers(json.loads(text))).encode()


def _with_numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_numbers(each) for each in value]
    if isinstance(value, dict):
        return {key: _with_numbers(each) for key, each in value.items()}
    return int(value) if isinstance(value, str) and value.isdigit() and len(value) > 8 else value


@pytest.mark.parametrize("numbers_as_text", [True, False])
def test_json_gives_the_rows_of_the_protobuf_variant(*, numbers_as_text: bool) -> None:
    message = city_body(0, "alerts_all", AT)
    found = canonical(gtfs_realtime_json.decode([as_json(message, numbers_as_text=numbers_as_text)]))
    expected = canonical(gtfs_realtime.decode([message]))
    for name in TABLES:
        assert found[name].equals(expected[name]), name
        assert len(found[name]) > 100


@pytest.mark.recordings
@pytest.mark.skipif(not DATA.exists(), reason="recordings: ../shared/data is absent")
@pytest.mark.parametrize("name", ["subway", "lirr"])
def test_recorded_json_gives_every_alert_selector_and_text(name: str) -> None:
    path = DATA / "railroads_and_alerts_202607" / f"mta-alerts-{name}.json"
    sent = json.loads(path.read_bytes())["entity"]
    found = canonical(gtfs_realtime_json.decode([path.read_bytes()]))

    assert found["alerts"]["alert_id"].to_list() == [entity["id"] for entity in sent]
    alerts = [entity["alert"] for entity in sent]
    assert len(found["alert_informed_entities"].filter(pl.col("entity_role") == "informed")) == sum(
        len(alert.get("informed_entity", [])) for alert in alerts
    )
    headers = found["alert_translations"].filter(pl.col("field") == "header_text")["text"].to_list()
    assert headers == [text["text"] for alert in alerts for text in alert["header_text"]["translation"]]
    types = [alert["transit_realtime.mercury_alert"]["alert_type"] for alert in alerts]
    assert found["alerts"]["alert_type"].to_list() == types


def test_an_odd_entity_is_refused_alone_under_its_own_place() -> None:
    document = json.loads(as_json(city_body(0, "alerts_all", AT), numbers_as_text=False))
    document["entity"] = document["entity"][:3]
    document["entity"][1]["alert"]["active_period"] = "always"
    decoded = gtfs_realtime_json.decode([json.dumps(document).encode()])
    assert [bad.entity_ordinal for bad in decoded.bad_entities] == [1]
    assert len(decoded.tables["alerts"]) == 2


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"<html>", b'{"entity": []}', b'{"header": 3}', b'{"header": {}, "entity": 4}']
)
def test_what_is_no_message_fails_with_a_reason(body: bytes) -> None:
    assert list(gtfs_realtime_json.decode([body]).failed) == [0]


def touched(minutes: int, **change: str) -> bytes:
    feed = FEED_MESSAGE()
    feed.header.gtfs_realtime_version = "2.0"
    feed.header.timestamp = AT + minutes * 60
    alert = feed.entity.add(id=change.get("id", "lmm:alert:532243")).alert
    alert.active_period.add(start=AT + minutes * 60)
    alert.header_text.translation.add(text=change.get("text", "[A] trains are delayed"), language="en")
    mercury = alert.Extensions[ALERT]
    mercury.created_at, mercury.updated_at, mercury.alert_type = AT, AT + minutes * 60, "Delays"
    return bytes(feed.SerializeToString())


def test_a_touch_alone_makes_no_new_version_and_other_words_do() -> None:
    first, again, reworded = (
        canonical(gtfs_realtime.decode([body]))["alerts"].to_dicts()[0]
        for body in (touched(0), touched(7), touched(7, text="[A] trains run again"))
    )
    assert first["alert_version_id"] == again["alert_version_id"] != reworded["alert_version_id"]
    assert first["mercury_updated_at"] != again["mercury_updated_at"]
    assert first["alert_version_id"] == "0791fc2b4f710aea9767c0dfa86b619e", (
        "digests are kept for ever: no library's version may change them"
    )


def test_the_rank_suffix_is_told_from_the_stable_id() -> None:
    row = canonical(gtfs_realtime.decode([touched(0, id="lmm:alert:532243:31")]))["alerts"].to_dicts()[0]
    assert (row["alert_stable_id"], row["alert_rank_suffix"], row["alert_class"]) == ("lmm:alert:532243", 31, "alert")


def test_mutants_raise_nothing() -> None:
    document = json.loads(as_json(city_body(0, "alerts_all", AT), numbers_as_text=False))
    document["entity"] = document["entity"][:4]
    whole = json.dumps(document).encode()
    for seed in range(200):
        chances = Random(seed)
        body = bytearray(whole)
        place = chances.randrange(len(body))
        body[place : place + chances.randint(0, 4)] = chances.randbytes(chances.randint(0, 4))
        decoded = gtfs_realtime_json.decode([bytes(body)])
        assert len(decoded.headers) + len(decoded.failed) == 1
