"""Every recording, through decode and the gate: rows by table and refusals by rule, as in ``golden.json``.

A difference is looked at by a person. To write the file anew: ``THIRDRAIL_GOLDEN=write``, and say why in the commit.
Counts of entities are held against decoders that share no code with ours.
"""

import csv
import json
import os
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from google.transit.gtfs_realtime_pb2 import FeedMessage

from thirdrail.capturelog.memory import MemoryLog
from thirdrail.model.feeds import BY_ID, GTFS_REALTIME, GTFS_REALTIME_JSON, SIRI_FLAT, Feed
from thirdrail.model.records import Poll
from thirdrail.model.rules import BY_ID as RULES
from thirdrail.pipeline.processor import Processor
from thirdrail.pipeline.transform import Rows

DATA = Path(__file__).parents[3] / "shared" / "data"
GOLDEN = Path(__file__).with_name("golden.json")
OWN = {
    "alerts_json": Feed(id="alerts_json", family="alerts", url="", meaning="", format=GTFS_REALTIME_JSON),
    "flat": Feed(id="flat", family="siri", url="", meaning="", format=SIRI_FLAT),
}
FEEDS = {**BY_ID, **OWN}
_SINGLES = {"ace": "subway_ace", "b_division": "subway_ace", "alerts": "alerts_all", "lirr": "lirr", "mnr": "mnr"}

pytestmark = [
    pytest.mark.recordings,
    pytest.mark.skipif(not DATA.exists(), reason="recordings: ../shared/data is absent"),
]


def feed_of(path: Path) -> str:
    """Give the feed that a recording is of, by its name."""
    if "siri" in path.parts:
        return "flat" if path.suffix == ".csv" else "siri_vehicles"
    if "elevators" in path.parts:
        return "ene_current"
    if path.suffix == ".json":
        return "alerts_json"
    name = path.name.split(".")[0]
    found = _SINGLES.get(name, f"subway_{name}")
    return found if found in BY_ID else "subway_1234567s"


def recordings() -> list[Path]:
    files = sorted(path for path in DATA.rglob("*") if path.is_file())
    return [
        path
        for path in files
        if path.suffix not in (".xml", ".zip", ".txt", ".md")
        and "static" not in path.parts
        and path.name != "MANIFEST.csv"
    ]


@cache
def judged(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give what a recording became, and its row of ``feed_messages``."""
    log, rows = MemoryLog(), Rows()
    log.append("0", [(Poll(feed_id=feed_of(path), fetched_at=1_790_000_000_000_000), path.read_bytes())])
    Processor(log, "0", 0, FEEDS).process(log.read("0", 0, 1), rows)
    (message,) = rows.tables["feed_messages"][0].to_pylist()
    refused = [row for part in rows.tables["quarantine"] for row in part.to_pylist()]
    written = {
        name: sum(map(len, parts)) for name, parts in rows.tables.items() if name not in ("feed_messages", "quarantine")
    }
    found = {
        "feed": message["feed_id"],
        "outcome": message["outcome"],
        "rows": {name: number for name, number in sorted(written.items()) if number},
        "refused": dict(sorted(Counter(row["primary_rule_id"] for row in refused).items())),
        "findings": sorted(text for text in message["rule_counts"] if not text.startswith("M001=")),
    }
    return found, message


def test_every_recording_gives_the_golden_rows_and_refusals_and_every_rule_has_its_reason() -> None:
    found = {str(path.relative_to(DATA)): judged(path)[0] for path in recordings()}
    if os.environ.get("THIRDRAIL_GOLDEN") == "write":
        GOLDEN.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    assert found == json.loads(GOLDEN.read_text())
    assert len(found) > 140
    rules = {rule for each in found.values() for rule in each["refused"]}
    assert all(RULES[rule].meaning for rule in rules)


def test_every_entity_of_every_recording_is_counted() -> None:
    for path in recordings():
        found, message = judged(path)
        if found["outcome"] != "decode_error":
            assert message["entity_count"] == _entities(path, FEEDS[found["feed"]].format), path


def _entities(path: Path, form: str) -> int:
    """Give the number of entities by a decoder that is not ours."""
    if form == GTFS_REALTIME:
        return len(FeedMessage.FromString(path.read_bytes()).entity)
    if form == SIRI_FLAT:
        return len(list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines())))
    document = json.loads(path.read_bytes())
    if form == GTFS_REALTIME_JSON:
        return len(document["entity"])
    if "NYCOutages" in document:
        return len(document["NYCOutages"]["outage"])
    delivery = document["Siri"]["ServiceDelivery"]
    vehicles = sum(len(each.get("VehicleActivity", [])) for each in delivery["VehicleMonitoringDelivery"])
    situations = delivery.get("SituationExchangeDelivery", [])
    return vehicles + sum(len(each["Situations"]["PtSituationElement"]) for each in situations)
