"""Log and destination must agree; every way in which they do not ends in a named error or without loss."""

import shutil
from pathlib import Path

import pytest

from tests.oracle.synthetic import HEADER_AT, subway_message
from thirdrail import app
from thirdrail.capturelog.day_files import PARTITION
from thirdrail.capturelog.spool import LEAP
from thirdrail.config.settings import Config, SpoolConfig
from thirdrail.errors import CapturesGone, LogBehindDestination, PositionGap, PositionUnknown
from thirdrail.model.records import Poll, Settings, Span
from thirdrail.model.tables import BY_NAME, TABLES, TRIP_UPDATES
from thirdrail.sinks.memory import MemorySink

CONFIG = Config(spool=SpoolConfig(reserve_gb=0.0))


def take_in(folder: Path, *numbers: int, config: Config = CONFIG) -> None:
    """Append polls of the numbered messages, 30 s apart, and carry them into the tables."""
    with app.writing(folder, config) as work:
        work.note_settings()
        for number in numbers:
            poll = Poll(feed_id="subway_g", fetched_at=(HEADER_AT + 5 + number * 30) * 1_000_000)
            work.append([(poll, subway_message(0, 12, number * 30))])
        work.drain(app.Totals())


def ok(folder: Path) -> bool:
    return app.audit(app.DataFolder.existing(folder), None).ok


def test_a_restored_older_log_is_refused_and_skipping_goes_on_without_loss(tmp_path: Path) -> None:
    folder, copy = tmp_path / "data", tmp_path / "copy"
    take_in(folder, 0, 1)
    shutil.copytree(folder / "spool", copy)
    take_in(folder, 2, 3)
    shutil.rmtree(folder / "spool")
    shutil.copytree(copy, folder / "spool")

    with pytest.raises(LogBehindDestination, match="ends at 3"), app.writing(folder, CONFIG):
        pass
    ahead, gaps = app.skip_ahead(folder, CONFIG)
    assert (ahead, gaps) == (LEAP, {})
    take_in(folder, 4)
    rows = sum(
        batch.num_rows
        for batch in app.pinned(app.DataFolder.existing(folder), BY_NAME["feed_messages"]).scan(
            ["capture_offset"], None, None
        )
    )
    assert rows == 5


def test_captures_that_are_gone_are_named_and_the_gap_is_accepted_aloud(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    take_in(folder, 0, 1)
    with app.writing(folder, CONFIG) as work:
        work.log.skip(0)
        work.append([(Poll(feed_id="subway_g", fetched_at=(HEADER_AT + 95) * 1_000_000), subway_message(0, 12, 90))])
    for path in (folder / "spool").glob("*_000000000000.sqlite*"):
        path.unlink()

    with pytest.raises(CapturesGone, match=f"offsets 3 to {LEAP - 1} are gone"), app.writing(folder, CONFIG):
        pass
    _, gaps = app.skip_ahead(folder, CONFIG)
    assert set(gaps) == {table.name for table in TABLES}
    take_in(folder, 5)


def test_a_file_that_was_taken_away_before_it_was_read_is_no_silent_loss(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    take_in(folder, 0)
    spool = folder / "spool"
    with app.writing(folder, CONFIG) as work:
        for _ in range(2):
            work.log.skip(0)
            work.append([(Poll(feed_id="subway_g", fetched_at=(HEADER_AT + 95) * 1_000_000, outcome="timeout"), None)])
    (missing,) = spool.glob(f"*_{LEAP:012d}.sqlite")
    missing.rename(tmp_path / missing.name)

    gone = f"begins at {2 * LEAP}: offsets {LEAP} to {2 * LEAP - 1} are gone"
    with pytest.raises(CapturesGone, match=gone) as error:
        take_in(folder, 1)
    assert "captures skip" in error.value.hint
    (tmp_path / missing.name).rename(missing)
    take_in(folder)
    assert ok(folder), "put back, nothing is lost"
    missing.rename(tmp_path / missing.name)
    with pytest.raises(CapturesGone, match=gone):
        ok(folder)


def test_the_hole_of_a_file_that_was_taken_away_is_accepted_aloud(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    take_in(folder, 0)
    with app.writing(folder, CONFIG) as work:
        work.log.skip(0)
        work.append([(Poll(feed_id="subway_g", fetched_at=(HEADER_AT + 95) * 1_000_000, outcome="timeout"), None)])
        work.log.skip(0)
    next((folder / "spool").glob(f"*_{LEAP:012d}.sqlite")).unlink()
    _, gaps = app.skip_ahead(folder, CONFIG)
    assert {tuple(spans) for spans in gaps.values()} == {(Span(LEAP, 2 * LEAP),)}
    assert set(gaps) == {table.name for table in TABLES}
    take_in(folder, 5)
    assert ok(folder)
    assert app.skip_ahead(folder, CONFIG)[1] == {}


def test_another_log_is_refused_until_it_is_taken_on_and_old_rows_stay(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    take_in(folder, 0, 1)
    shutil.rmtree(folder / "spool")

    with pytest.raises(PositionUnknown, match="was filled from capture log"):
        take_in(folder, 2)
    assert app.skip_ahead(folder, CONFIG) == (LEAP, {})
    take_in(folder, 2, 3)

    report = app.audit(app.DataFolder.existing(folder), None)
    assert report.ok
    assert (report.captures, report.pending) == (2, 0)
    assert report.unverifiable > 0


def test_a_crash_in_the_first_batch_ever_loses_no_table(tmp_path: Path) -> None:
    """A table without rows beside one that has moved on must not start where its neighbour is."""
    folder = tmp_path / "data"
    with app.writing(folder, CONFIG) as work:
        work.note_settings()
        work.append([(Poll(feed_id="subway_g", fetched_at=(HEADER_AT + 5) * 1_000_000), subway_message(0, 12))])
        writers = work.pipelines[0]._delivery._writers
        commit = writers["stop_time_updates"].commit

        def die(*_: object) -> None:
            raise KeyboardInterrupt

        writers["stop_time_updates"].commit = die  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            work.pipelines[0].step()
        writers["stop_time_updates"].commit = commit  # type: ignore[method-assign]
    take_in(folder, 1)

    assert ok(folder)


def test_history_and_severity_changed_between_crash_and_restart_are_audited_ok(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    take_in(folder, 0, 1)
    changed = Config(spool=CONFIG.spool, history="every_poll", severities={"*": {"M012": "reject", "M029": "reject"}})
    take_in(folder, 2, 3, config=changed)
    take_in(folder, 4, 5)

    assert ok(folder)


def test_a_span_above_the_position_is_refused() -> None:
    writer = MemorySink().open(TRIP_UPDATES, "log", "0")
    writer.commit(TRIP_UPDATES.arrow_schema.empty_table(), Span(0, 3))

    with pytest.raises(PositionGap):
        writer.commit(TRIP_UPDATES.arrow_schema.empty_table(), Span(5, 6))


def test_the_log_is_told_what_no_table_needs_any_more(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    take_in(folder, 0, 1, 2)
    with app.writing(folder, CONFIG) as work:
        assert work.log.acknowledgements() == {"iceberg": 4}
        assert work.log.end(PARTITION) == 4


def test_the_same_settings_are_recorded_once(tmp_path: Path) -> None:
    take_in(tmp_path / "data", 0)
    take_in(tmp_path / "data", 1)
    with app.writing(tmp_path / "data", CONFIG) as work:
        records = [entry.record for entry in work.log.read(PARTITION, 0, 100)]

    assert sum(isinstance(record, Settings) for record in records) == 1
