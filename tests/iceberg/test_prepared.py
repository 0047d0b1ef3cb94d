"""Files that another process wrote become visible with the position, once, or not at all."""

import pickle
from pathlib import Path

import pytest

from tests.contract.test_sinks import commit, pairs, wanted
from tests.fakes.clock import FakeClock
from tests.simulation.test_commit import EVENTS, rows
from thirdrail.errors import CommitConflict, PositionGap
from thirdrail.model.records import Span
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.reader import pin
from thirdrail.sinks.iceberg.sink import IcebergSink, IcebergWriter, PreparedFile


class Place:
    """A catalog with one table, opened as often as there are processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sink().open(EVENTS, "log", "0").commit(rows(Span(0, 0)), Span(0, 0))

    def sink(self) -> IcebergSink:
        return IcebergSink(open_catalog(self.folder, create=True), FakeClock())

    def writer(self) -> IcebergWriter:
        return self.sink().open(EVENTS, "log", "0")

    def prepared(self, start: int, end: int) -> list[PreparedFile]:
        """Write files as a worker does, and send them on."""
        return pickle.loads(pickle.dumps(self.sink().prepare(EVENTS, rows(Span(start, end)))))

    def held(self) -> list[tuple[int, int]]:
        found = pin(open_catalog(self.folder, create=False), EVENTS)
        return sorted(pair for part in found.scan(["capture_offset", "place"], None, None) for pair in pairs(part))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_prepared_rows_are_visible_with_the_commit_and_not_before(place: Place) -> None:
    files = place.prepared(0, 5)
    assert sum(file.rows for file in files) == len(wanted(0, 5))
    assert place.held() == []

    writer = place.writer()
    writer.commit_prepared(files, Span(0, 5))

    assert place.held() == wanted(0, 5)
    assert (writer.position, place.writer().position) == (5, 5)


def test_files_of_several_workers_are_one_snapshot(place: Place) -> None:
    before = pin(open_catalog(place.folder, create=False), EVENTS).snapshots

    place.writer().commit_prepared([*place.prepared(0, 3), *place.prepared(3, 5)], Span(0, 5))

    assert place.held() == wanted(0, 5)
    assert pin(open_catalog(place.folder, create=False), EVENTS).snapshots == before + 1


def test_repeating_a_commit_is_harmless_for_the_writer_and_for_a_late_one(place: Place) -> None:
    late, files = place.writer(), place.prepared(0, 5)
    writer = place.writer()
    for each in (writer, writer, late):
        each.commit_prepared(files, Span(0, 5))

    assert place.held() == wanted(0, 5)
    assert late.position == 5


def test_a_position_within_the_span_is_a_conflict_and_nothing_is_written_twice(place: Place) -> None:
    late, files = place.writer(), place.prepared(0, 5)
    commit(place.writer(), 0, 3)

    with pytest.raises(CommitConflict, match="another process wrote part of offsets 0 to 4"):
        late.commit_prepared(files, Span(0, 5))

    assert place.held() == wanted(0, 3)
    place.writer().commit_prepared(place.prepared(3, 5), Span(3, 5))
    assert place.held() == wanted(0, 5)


def test_rows_made_from_a_position_within_the_span_on_are_no_conflict(place: Place) -> None:
    commit(place.writer(), 0, 3)
    place.writer().commit_prepared(place.prepared(3, 5), Span(0, 5), made_from=3)
    assert place.held() == wanted(0, 5)
    files = place.prepared(5, 9)
    commit(place.writer(), 5, 6)
    with pytest.raises(CommitConflict, match="another process"):
        place.writer().commit_prepared(files, Span(4, 9), made_from=5)
    assert place.held() == wanted(0, 6)


def test_a_gap_is_refused(place: Place) -> None:
    with pytest.raises(PositionGap):
        place.writer().commit_prepared(place.prepared(2, 5), Span(2, 5))
    assert place.held() == []


def test_a_quiet_span_moves_the_position_once_the_writer_is_closed(place: Place) -> None:
    writer = place.writer()
    writer.commit_prepared([], Span(0, 7))
    assert place.writer().position == 0
    writer.close()
    assert place.writer().position == 7
    writer = place.writer()
    writer.commit_prepared(place.prepared(7, 9), Span(7, 9))
    assert place.held() == wanted(7, 9)
