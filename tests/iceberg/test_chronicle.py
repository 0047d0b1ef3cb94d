"""``commits``: a row for every snapshot that a table ever had, once, whoever writes it down and how often."""

from contextlib import suppress
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog

from tests.fakes.catalogs import FaultyCatalog
from tests.fakes.clock import FakeClock
from tests.fakes.sinks import Crashed
from tests.query.lake import arrow, at, message
from thirdrail.errors import CatalogUnavailable, ThirdRailError
from thirdrail.maintenance.care import Policy, care
from thirdrail.model.records import Span
from thirdrail.model.tables import COMMITS, FEED_MESSAGES, NAMESPACE
from thirdrail.sinks.iceberg import chronicle
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.chronicle import note_commits
from thirdrail.sinks.iceberg.reader import pin
from thirdrail.sinks.iceberg.sink import IcebergSink

COUNT = 130


def rows(offset: int) -> pa.Table:
    return arrow(FEED_MESSAGES, [message(offset)])


def commits(catalog: Catalog) -> list[dict[str, object]]:
    found = pin(catalog, COMMITS).whole().to_pylist()
    return sorted(found, key=lambda row: row["sequence_number"])


def test_commits_outlive_their_snapshots_each_once_and_their_spans_join(tmp_path: Path) -> None:
    catalog = open_catalog(tmp_path, create=True)
    clock = FakeClock()
    writer = IcebergSink(catalog, clock).open(FEED_MESSAGES, "log", "0")
    for offset in range(COUNT):
        writer.commit(rows(offset), Span(offset, offset + 1))
    writer.close()
    writer.close()

    found = commits(catalog)
    assert [row["sequence_number"] for row in found] == list(range(1, COUNT + 1))
    assert [(row["start_offset"], row["end_offset"]) for row in found] == [
        (None if offset == 0 else offset, offset + 1) for offset in range(COUNT)
    ]
    assert {row["table_name"] for row in found} == {"feed_messages"}
    assert [row["total_rows"] for row in found] == list(range(1, COUNT + 1))
    assert pin(catalog, FEED_MESSAGES).snapshots == 50
    assert pin(catalog, COMMITS).snapshots <= COUNT // 16 + 3


def test_merges_are_told_without_a_span_and_commits_themselves_are_merged(tmp_path: Path) -> None:
    catalog, clock = open_catalog(tmp_path, create=True), FakeClock()
    writer = IcebergSink(catalog, clock).open(FEED_MESSAGES, "log", "0")
    for offset in range(COUNT):
        writer.commit(rows(offset), Span(offset, offset + 1))
        if offset % 5 == 0:
            note_commits(catalog, NAMESPACE, clock)
    assert care(catalog, FEED_MESSAGES, Policy(), clock).merged
    note_commits(catalog, NAMESPACE, clock)
    before = commits(catalog)
    merges = [row for row in before if row["operation"] == "replace"]
    assert merges
    assert all(row["end_offset"] is None and row["removed_rows"] == row["added_rows"] for row in merges)

    assert care(catalog, COMMITS, Policy(), clock).merged > 5
    assert commits(catalog) == before
    assert note_commits(catalog, NAMESPACE, clock) == 0


@pytest.mark.parametrize("seed", range(8))
def test_whatever_fails_each_commit_is_told_once(tmp_path: Path, seed: int) -> None:
    random, clock = Random(seed), FakeClock()
    catalog = open_catalog(tmp_path, create=True)
    faulty = FaultyCatalog(catalog, random, 0.15)
    offset = 0
    while offset < 70:
        with suppress(Crashed, ThirdRailError):
            writer = IcebergSink(faulty, clock).open(FEED_MESSAGES, "log", "0")  # type: ignore[arg-type]
            offset = writer.position or 0
            while offset < 70 and random.random() < 0.95:
                writer.commit(rows(offset), Span(offset, offset + 1))
                offset += 1
            writer.close()
    IcebergSink(catalog, clock).open(FEED_MESSAGES, "log", "0").close()
    numbers = [row["sequence_number"] for row in commits(catalog)]
    assert numbers == list(range(1, catalog.load_table((NAMESPACE, "feed_messages")).metadata.last_sequence_number + 1))
    assert pin(catalog, FEED_MESSAGES).rows == 70


def test_a_table_that_is_made_anew_has_another_history(tmp_path: Path) -> None:
    catalog, clock = open_catalog(tmp_path, create=True), FakeClock()
    for _ in range(2):
        writer = IcebergSink(catalog, clock).open(FEED_MESSAGES, "log", "0")
        writer.commit(rows(0), Span(0, 1))
        writer.close()
        catalog.drop_table((NAMESPACE, FEED_MESSAGES.name))
    found = commits(catalog)
    assert [row["sequence_number"] for row in found] == [1, 1]
    assert len({row["table_uuid"] for row in found}) == 2


def days_of_two(catalog: Catalog, clock: FakeClock, days: int, kept: int) -> None:
    """Two commits on each of many days: a merge for each day that is over."""
    writer = IcebergSink(catalog, clock).open(FEED_MESSAGES, "log", "0")
    assert care(catalog, FEED_MESSAGES, Policy(snapshots=kept), clock).trouble == ""
    for offset in range(2 * days):
        row = message(offset, fetched_at=at(offset // 2 * 86_400))
        writer.commit(arrow(FEED_MESSAGES, [row]), Span(offset, offset + 1))


def test_a_round_that_merges_more_often_than_snapshots_are_kept_tells_each(tmp_path: Path) -> None:
    catalog, clock = open_catalog(tmp_path, create=True), FakeClock()
    days_of_two(catalog, clock, 26, kept=20)
    report = care(catalog, FEED_MESSAGES, Policy(keep_days=24, snapshots=20), clock)
    assert (report.trouble, report.into, report.dropped_days) == ("", 23, 2)
    note_commits(catalog, NAMESPACE, clock)
    assert [row["sequence_number"] for row in commits(catalog)] == list(range(1, 52 + 1 + 23 + 1))


def test_a_round_that_cannot_tell_ends_before_a_snapshot_goes_untold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog, clock = open_catalog(tmp_path, create=True), FakeClock()
    days_of_two(catalog, clock, 26, kept=20)
    policy = Policy(snapshots=20, snapshots_us=0)  # all but the newest may go

    def fails(*_: object) -> None:
        raise CatalogUnavailable("not now")

    with monkeypatch.context() as patched:
        patched.setattr(chronicle, "note_commits", fails)
        for _ in range(2):
            report = care(catalog, FEED_MESSAGES, policy, clock)
            assert report.trouble == "not now"
        assert pin(catalog, FEED_MESSAGES).snapshots == 20
    assert len(commits(catalog)) == 48

    assert care(catalog, FEED_MESSAGES, policy, clock).trouble == ""
    note_commits(catalog, NAMESPACE, clock)
    assert [row["sequence_number"] for row in commits(catalog)] == list(range(1, 52 + 25 + 1))


def test_expiry_lets_go_of_what_is_told_alone(tmp_path: Path) -> None:
    catalog, clock = open_catalog(tmp_path, create=True), FakeClock()
    days_of_two(catalog, clock, 10, kept=50)
    told = commits(catalog)[-1]["sequence_number"]
    assert told == 16
    assert care(catalog, FEED_MESSAGES, Policy(snapshots_us=0), clock).expired == 16
    metadata = catalog.load_table((NAMESPACE, FEED_MESSAGES.name)).metadata
    assert min(each.sequence_number or 0 for each in metadata.snapshots) == 17
