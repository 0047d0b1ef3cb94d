"""What nothing names is deleted after a wait that no clock and no sleeping writer can shorten."""

from pathlib import Path

from thirdrail.maintenance.leftovers import NOTES, Notes, Patience, judged, note, noted

HOUR = 3_600_000_000
PATIENCE = Patience(HOUR, 24 * HOUR)


def after(notes: Notes, unnamed: set[str], hours: float, positions: int) -> tuple[list[str], Notes]:
    verdict = judged(unnamed, notes, int(hours * HOUR), positions, PATIENCE)
    return verdict.delete, verdict.notes


def test_an_orphan_goes_when_seen_twice_a_day_apart_with_commits_in_between() -> None:
    gone, notes = after(Notes(), {"a"}, 0, 5)
    assert gone == []
    assert after(notes, {"a"}, 23.9, 9)[0] == []
    assert after(notes, {"a"}, 24, 5)[0] == [], "no position has moved: its writer may sleep, and commit it yet"
    assert after(notes, {"a"}, 24, 6)[0] == ["a"]


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
    assert noted(tmp_path) == Notes()
    _, notes = after(Notes(replaced=frozenset({"r"})), {"a"}, 3, 5)
    note(tmp_path, notes)
    assert noted(tmp_path) == notes
    (tmp_path / NOTES).write_bytes((tmp_path / NOTES).read_bytes()[:-4])
    assert noted(tmp_path) == Notes()
