"""What the tables say of the simulated city is what happened there."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from tests.fakes.clock import FakeClock
from thirdrail import app
from thirdrail.app.data_folder import SIMULATED
from thirdrail.city.fleet import BUSES
from thirdrail.city.messages import body
from thirdrail.city.trains import City
from thirdrail.city.truth import lives, passages
from thirdrail.config.settings import Config
from thirdrail.model.records import Poll
from thirdrail.query.warehouse import open_warehouse
from thirdrail.sinks.iceberg.catalog import open_catalog

AT = 1_790_000_000
SECOND_US = 1_000_000


def taken_in(folder: Path, feed_id: str, *moments: int) -> None:
    with app.writing(folder, Config(), FakeClock(), kinds=(SIMULATED,)) as work:
        work.note_settings()
        work.append([(Poll(feed_id=feed_id, fetched_at=at * SECOND_US), body(0, feed_id, at)) for at in moments])
        work.drain(app.Totals())


def asked(folder: Path, query: str) -> list[dict[str, Any]]:
    return open_warehouse(open_catalog(folder, create=False)).sql(query).to_pylist()


def instant(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def alive(kind: str, at: int) -> set[str]:
    rows = lives(0, at, at + 1).to_pylist()
    return {row["id"] for row in rows if row["kind"] == kind}


def test_alerts_in_force_at_any_moment_are_those_that_lived_then(tmp_path: Path) -> None:
    moments = [AT + 600 * number for number in range(8)]
    taken_in(tmp_path, "alerts_all", *moments)

    for at in moments:
        found = asked(tmp_path, f"SELECT alert_id FROM alerts_in_force(TIMESTAMPTZ '{instant(at).isoformat()}')")
        assert {row["alert_id"] for row in found} == alive("alert", at)
    assert alive("alert", moments[0]) != alive("alert", moments[-1])


def test_outages_begin_and_end_when_they_did(tmp_path: Path) -> None:
    moments = [AT + 300 * number for number in range(40)]
    taken_in(tmp_path, "ene_current", *moments)

    history = asked(tmp_path, "FROM elevator_outage_history WHERE NOT is_upcoming")
    ended = [row for row in history if row["resolved_at"] is not None]
    truth = lives(0, AT, moments[-1]).to_pylist()
    lasted = {(row["id"], row["start_at"]): row["end_at"] for row in truth if row["kind"] == "outage"}
    assert {row["equipment_id"] for row in asked(tmp_path, "FROM elevators_out_now")} == alive("outage", moments[-1])
    assert len(ended) > 3
    for row in ended:
        late = (row["resolved_at"] - lasted[row["equipment_id"], row["outage_at"]]).total_seconds()
        assert 0 <= late <= 300, row


def test_buses_pass_when_the_last_prediction_said(tmp_path: Path) -> None:
    moments = [AT + 60 * number for number in range(4)]
    taken_in(tmp_path, BUSES, *moments)

    last = """
        SELECT trip_id, stop_id, max_by(arrival_at, capture_offset) AS predicted_at
        FROM stop_time_updates WHERE change_kind <> 'removed' GROUP BY ALL
    """
    predicted = pl.DataFrame(asked(tmp_path, last))
    happened: pl.DataFrame = pl.from_arrow(passages(City(0), BUSES, AT + 60, AT + 180))  # type: ignore[assignment]
    arrived = happened.filter(pl.col("arrival_at").is_not_null())
    both = arrived.join(predicted, on=["trip_id", "stop_id"])
    assert len(arrived) > 3_000
    assert len(both) / len(arrived) > 0.98
    error = (both["predicted_at"] - both["arrival_at"]).dt.total_seconds().abs()
    assert error.median() < 30
