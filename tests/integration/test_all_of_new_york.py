"""What is not the subway, through the whole way: alerts, outages, another agency, and the city at full size."""

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import thirdrail
from tests.decode.test_alerts_json import AT, touched
from tests.decode.test_siri import activity, document
from tests.fakes.clock import FakeClock
from tests.faults.process import Victim, run_here, run_once
from thirdrail import app
from thirdrail.city.buses import siri_vehicles
from thirdrail.city.messages import body
from thirdrail.city.server import SERVED, CityServer
from thirdrail.config.reading import load
from thirdrail.config.settings import Config
from thirdrail.model.records import Poll
from thirdrail.model.tables import PICTURE_TABLES
from thirdrail.query.warehouse import open_warehouse
from thirdrail.sinks.iceberg.catalog import open_catalog

SECONDS = int(os.environ.get("THIRDRAIL_CITY_SECONDS", "40"))
"""How long all of New York runs: over 30 s, so that SIRI's whole fleet has had its first turn."""

MINUTE_US = 60_000_000


def taken_in(folder: Path, feed_id: str, bodies: Sequence[tuple[int, bytes]]) -> None:
    """Take in bodies of one feed, each fetched so many minutes after the test's beginning."""
    with app.writing(folder, Config(), FakeClock()) as work:
        work.note_settings()
        work.append([(Poll(feed_id=feed_id, fetched_at=AT * 1_000_000 + at * MINUTE_US), body) for at, body in bodies])
        work.drain(app.Totals())


def asked(folder: Path, query: str) -> list[dict[str, Any]]:
    return open_warehouse(open_catalog(folder, create=False)).sql(query).to_pylist()


def minute(number: int) -> datetime:
    return datetime.fromtimestamp(AT, UTC) + timedelta(minutes=number)


def outages(*equipment: str) -> bytes:
    listed = [
        {"equipment": name, "outagedate": "07/01/2026 08:00:00 AM", "isupcomingoutage": "N"} for name in equipment
    ]
    return json.dumps(listed).encode()


def test_an_outage_is_resolved_once_two_good_polls_in_a_row_lack_it(tmp_path: Path) -> None:
    polls = [
        (0, outages("EL1", "EL2", "EL3", "EL4")),
        (2, outages("EL1", "EL3", "EL4")),
        (4, outages("EL1", "EL2", "EL4")),
        (6, outages("EL1", "EL2")),
    ]
    taken_in(tmp_path / "d", "ene_current", polls)

    history = {row["equipment_id"]: row for row in asked(tmp_path / "d", "FROM elevator_outage_history")}
    assert {name: row["resolved_at"] for name, row in history.items()} == {
        "EL1": None,
        "EL2": None,  # was missing once, and came back
        "EL3": minute(4),  # missing since then, in two polls
        "EL4": None,  # missing once: not believed yet
    }
    assert history["EL1"]["first_seen_at"] == minute(0)
    assert [row["equipment_id"] for row in asked(tmp_path / "d", "FROM elevators_out_now")] == ["EL1", "EL2", "EL4"]
    assert app.audit(app.DataFolder.existing(tmp_path / "d"), None).ok


def test_versions_of_an_alert_are_its_words_and_what_was_in_force_can_be_asked(tmp_path: Path) -> None:
    hour = "[A] trains run again"
    polls = [(0, touched(0)), (1, touched(1)), (2, touched(2)), (3, touched(3, text=hour)), (4, touched(4, text=hour))]
    taken_in(tmp_path / "d", "alerts_all", [*polls, (5, touched(5, id="lmm:alert:1", text="other"))])

    versions = asked(tmp_path / "d", "FROM alert_versions WHERE alert_id = 'lmm:alert:532243' ORDER BY valid_from")
    assert [(row["header_text"], row["valid_from"], row["valid_to"]) for row in versions] == [
        ("[A] trains are delayed", minute(0), minute(3)),
        (hour, minute(3), minute(5)),
    ]
    for at, text in ((2, "[A] trains are delayed"), (4, hour), (5, "other")):
        moment = minute(at).isoformat()
        (row,) = asked(tmp_path / "d", f"FROM alerts_in_force(TIMESTAMPTZ '{moment}')")
        assert row["header_text"] == text
    assert [row["header_text"] for row in asked(tmp_path / "d", "FROM alerts_now")] == ["other"]
    parts = asked(
        tmp_path / "d",
        "SELECT DISTINCT a.header_text, t.text "
        "FROM alerts a JOIN alert_translations t USING (alert_version_id) ORDER BY 1",
    )
    assert all(row["header_text"] == row["text"] for row in parts)
    assert len(parts) == 3
    assert app.audit(app.DataFolder.existing(tmp_path / "d"), None).ok


def test_another_agency_is_one_block_of_configuration_and_nothing_of_the_mta_touches_it(tmp_path: Path) -> None:
    data, config = tmp_path / "d", tmp_path / "thirdrail.toml"
    with CityServer(seed=3) as city:
        config.write_text(
            f"[spool]\nreserve_gb = 0.0\n[feeds.helsinki]\nurl = '{city.url_of('elsewhere')}'\ninterval_seconds = 1\n"
            "timezone = 'Europe/Helsinki'\nheaders = { X-Client = 'a test' }\n"
        )
        command = ("run", "--feeds", "helsinki", "--for", "6s", "--data", str(data), "--config", str(config))
        assert run_once(*command).returncode == 0
    assert load(config).feeds["helsinki"].timezone == "Europe/Helsinki"
    trips = asked(data, "SELECT DISTINCT nyct_train_id, nyct_is_assigned, trip_path, feed_id FROM trip_updates")
    assert trips == [{"nyct_train_id": None, "nyct_is_assigned": None, "trip_path": None, "feed_id": "helsinki"}]
    stops = asked(data, "SELECT count(*) AS n, count(parent_stop_id) AS parents FROM stop_time_updates")[0]
    assert stops["n"] > 500
    assert stops["parents"] == 0
    # Without the configuration: what decides rows is in the log.
    assert app.audit(app.DataFolder.existing(data), None).ok


def test_all_of_new_york_fills_every_table_and_the_whole_fleet_is_never_asked_for_too_soon(tmp_path: Path) -> None:
    data = tmp_path / "d"
    patient = tmp_path / "patient.toml"  # the city, too, has to share this machine
    patient.write_text("[poller]\ntotal_timeout_seconds = 60.0\nread_timeout_seconds = 60.0\n")
    arguments = ("demo", "--city", "full", "--for", f"{SECONDS}s", "--data", str(data), "--config", str(patient))
    with Victim(tmp_path / "demo.log", *arguments) as demo:
        demo.until(lambda: demo.process.poll() is not None or "stopped;" in demo.output, SECONDS + 60, "it ends")
        assert demo.ends(30) == 0, demo.output
    outcomes = asked(data, "SELECT feed_id, outcome, any_value(error_detail) AS why FROM feed_messages GROUP BY ALL")
    assert {row["feed_id"] for row in outcomes} == set(SERVED)
    assert [row for row in outcomes if row["outcome"] not in ("ok", "duplicate")] == []
    empty = [
        table.name for table in PICTURE_TABLES if asked(data, f"SELECT count(*) AS n FROM {table.name}")[0]["n"] == 0
    ]
    assert empty == ["siri_onward_calls", "siri_situations"], "the city's SIRI has no onward calls and no situations"
    sizes = asked(data, "SELECT max(entity_count) AS n FROM feed_messages WHERE feed_id LIKE 'bus_%s'")
    assert sizes[0]["n"] > 3_500
    report = run_here("audit", "--json", "--data", str(data))
    assert json.loads(report.stdout)["ok"]


@pytest.mark.parametrize("name", ["alerts_all", "ene_current", "siri_vehicles", "bus_trip_updates", "mnr"])
def test_a_format_fed_with_another_formats_body_says_so_and_writes_no_row(name: str, tmp_path: Path) -> None:
    taken_in(tmp_path / "d", name, [(0, b"\x00\x01 nothing that anybody publishes"), (1, b"[{")])

    assert {row["outcome"] for row in asked(tmp_path / "d", "FROM feed_messages")} == {"decode_error"}
    assert len(asked(tmp_path / "d", "FROM quarantine")) == 2
    assert app.audit(app.DataFolder.existing(tmp_path / "d"), None).ok


def test_siri_pictures_of_every_shape_follow_each_other_and_calls_come_and_go(tmp_path: Path) -> None:
    call = {"StopPointRef": "MTA_1", "VisitNumber": 1, "Extensions": {"Distances": {"StopsFromCall": 3}}}
    onward = {"OnwardCall": [call, {**call, "StopPointRef": "MTA_2"}]}
    shapes = [
        document(activity(), activity(VehicleRef="MTA NYCT_2", Bearing="NaN")),
        document(activity(PublishedLineName=["B63"], OnwardCalls=onward, SituationRef=[{"SituationSimpleRef": "S1"}])),
        document(activity(OnwardCalls={"OnwardCall": onward["OnwardCall"][1:]}, ProgressStatus="layover", Bearing=7)),
        document(),
        document(activity(MonitoredCall={"VisitNumber": "2", "ExpectedArrivalTime": "2026-07-01T08:00:01.000-04:00"})),
        siri_vehicles(0, AT),
    ]
    bodies = [(number, body.replace(b"08:00:00", f"08:{number:02d}:00".encode())) for number, body in enumerate(shapes)]
    taken_in(tmp_path / "d", "siri_vehicles", bodies[:3])
    taken_in(tmp_path / "d", "siri_vehicles", bodies[3:])  # by another process, which reads its base back

    calls = asked(tmp_path / "d", "FROM siri_onward_calls ORDER BY capture_offset, change_kind, stop_point_ref")
    assert [(row["stop_point_ref"], row["change_kind"], row["stops_away"]) for row in calls][:3] == [
        ("MTA_1", "added", 3),
        ("MTA_2", "added", 3),
        ("MTA_1", "removed", 3),
    ]
    assert all(row["change_kind"] != "changed" for row in calls), "passing a stop shifts nothing"
    assert len(asked(tmp_path / "d", "FROM as_of('siri_vehicle_activity', '2300-01-01')")) > 3_500
    assert app.audit(app.DataFolder.existing(tmp_path / "d"), None).ok


def test_rows_of_every_format_do_not_depend_on_restarts(tmp_path: Path) -> None:
    feeds = ("lirr", "mnr", "alerts_all", "ene_current", "ene_equipments", "siri_vehicles")
    polls = {feed_id: [(minute, body(0, feed_id, AT + 60 * minute)) for minute in (0, 1, 2, 9)] for feed_id in feeds}
    for feed_id, bodies in polls.items():
        taken_in(tmp_path / "whole", feed_id, bodies)
        for each in bodies:
            taken_in(tmp_path / "restarted", feed_id, [each])

    for table in PICTURE_TABLES:
        names = [name for name in table.names() if name not in ("capture_log", "capture_offset", "dq_flags")]
        columns = ", ".join(f"{name}::VARCHAR" for name in names)
        query = f"SELECT {columns} FROM {table.name} ORDER BY ALL"
        whole, restarted = (thirdrail.open(tmp_path / name).sql(query).arrow() for name in ("whole", "restarted"))
        assert whole.equals(restarted), table.name
    (changed,) = asked(
        tmp_path / "whole", "SELECT count(*) AS n FROM siri_vehicle_activity WHERE change_kind = 'changed'"
    )
    assert changed["n"] > 8_000
    assert app.audit(app.DataFolder.existing(tmp_path / "restarted"), None).ok
