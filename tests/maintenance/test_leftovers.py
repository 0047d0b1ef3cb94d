"""What nothing names is deleted after a wait that no clock and no sleeping writer can shorten."""

from pathlib import Path

from tests.fakes.clock import FakeClock
from tests.simulation.test_commit import EVENTS
from thirdrail.maintenance.leftovers import NOTES, Notes, Patience, judged, note, noted
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.files import local_path
from thirdrail.sinks.iceberg.folder import Folder
from thirdrail.sinks.iceberg.sink import IcebergSink

HOUR = 3_600_000_000
PATIENCE = Patience(HOUR, 24 * HOUR)


def after(
    notes: Notes, unnamed: set[str], hours: float, positions: int, stored_hours: float = 9_999
) -> tuple[list[str], Notes]:
    ages = dict.fromkeys(unnamed, int(stored_hours * HOUR))
    verdict = judged(ages, notes, int(hours * HOUR), positions, PATIENCE)
    return verdict.delete, verdict.notes


def test_an_orphan_goes_when_seen_twice_a_day_apart_with_commits_in_between() -> None:
    gone, notes = after(Notes(), {"a"}, 0, 5)
    assert gone == []
    assert after(notes, {"a"}, 23.9, 9)[0] == []
    assert after(notes, {"a"}, 24, 5)[0] == [], "no position has moved: its writer may sleep, and commit it yet"
    assert after(notes, {"a"}, 24, 6)[0] == ["a"]


def test_an_orphan_that_its_store_has_not_had_for_a_day_stays_whatever_our_clock_says() -> None:
    _, notes = after(Notes(replaced=frozenset({"r"})), {"a", "r"}, 0, 5, stored_hours=0.1)
    assert after(notes, {"a", "r"}, 48, 9, stored_hours=23.9)[0] == ["r"], "it waits for readers alone"
    assert after(notes, {"a", "r"}, 48, 9, stored_hours=24)[0] == ["a", "r"]


def test_a_first_sight_deletes_nothing_however_late() -> None:
    assert after(Notes(), {"a"}, 10_000, 5)[0] == []
    assert after(Notes(replaced=frozenset({"a"})), {"a"}, 10_000, 5)[0] == []


def test_what_a_rewrite_replaced_waits_an_hour_for_readers() -> None:
    notes = Notes(replaced=frozenset({"a"}))
    gone, notes = after(notes, {"a", "b"}, 0, 5)
    assert after(notes, {"a", "b"}, 0.9, 5)[0] == []
    gone, notes = after(notes, {"a", "b"}, 1, 5)
    assert gone == ["a"]
    assert set(notes.unnamed) == {"b"}
    assert notes.replaced == frozenset()


def test_a_file_that_was_named_in_between_begins_anew() -> None:
    _, notes = after(Notes(), {"a"}, 0, 5)
    _, notes = after(notes, set(), 12, 6)
    _, notes = after(notes, {"a"}, 24, 7)
    assert after(notes, {"a"}, 30, 8)[0] == []


def test_notes_outlive_the_process_and_damaged_ones_only_cost_time(tmp_path: Path) -> None:
    catalog = open_catalog(tmp_path, create=True)
    IcebergSink(catalog, FakeClock()).open(EVENTS, "log", "0")
    table = catalog.load_table("mta.events")
    folder, path = Folder(table), local_path(table.location()) / NOTES
    assert noted(folder) == Notes()
    _, notes = after(Notes(replaced=frozenset({"r"})), {"a"}, 3, 5)
    note(folder, notes)
    assert noted(folder) == notes
    path.write_bytes(path.read_bytes()[:-4])
    assert noted(folder) == Notes()
