"""Exactly once on the real writer over a real SQLite catalog: conflicts, lost answers, zombies, power cuts."""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import ValidationError
from pyiceberg.table import Table as IcebergTable

from tests.fakes.catalogs import FaultyCatalog, PowerCutDisk
from tests.fakes.clock import FakeClock
from tests.fakes.sinks import Crashed
from thirdrail.errors import CatalogUnavailable, CommitConflict
from thirdrail.model.records import Span
from thirdrail.model.tables import Column, Role, Table
from thirdrail.sinks.iceberg import commit as commit_module
from thirdrail.sinks.iceberg import files, sink
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.positions import positions_of
from thirdrail.sinks.iceberg.sink import IcebergSink, IcebergWriter

SEEDS = int(os.environ.get("THIRDRAIL_WRITER_SEEDS", "60"))
MUTANT_SEEDS = 200
FAULT_RATE = 0.35
END = 24
EVENTS = Table(
    "events",
    "what the simulation writes",
    (
        Column("capture_log", "string", "log", Role.IDENTITY, required=True),
        Column("capture_offset", "long", "offset", Role.IDENTITY, required=True),
        Column("fetched_at", "timestamptz", "time", Role.IDENTITY, required=True),
        Column("place", "int", "row of the offset", required=True),
    ),
    key=(),
    sort=("capture_offset",),
)


def rows(span: Span) -> pa.Table:
    """Give the rows that a span always has: none, one or two per offset."""
    pairs = [(offset, place) for offset in range(span.start, span.end) for place in range(offset % 3)]
    return pa.Table.from_pylist(
        [
            {"capture_log": "log", "capture_offset": offset, "fetched_at": offset * 60_000_000, "place": place}
            for offset, place in pairs
        ],
        schema=EVENTS.arrow_schema,
    )


WANTED = sorted((offset, place) for offset in range(END) for place in range(offset % 3))


class History:
    """One seed: processes come and go, two may live at once, until everything is committed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = Random(seed)
        self.folder = folder
        self.real: SqlCatalog = open_catalog(folder, create=True)
        self.catalog = FaultyCatalog(self.real, self.random, FAULT_RATE)
        self.zombie: IcebergWriter | None = None

    def open(self) -> IcebergWriter:
        return IcebergSink(self.catalog, FakeClock()).open(EVENTS, "log", "0")  # type: ignore[arg-type]

    def run(self, power: PowerCutDisk | None = None) -> None:
        """Let processes write until one of them reaches the end."""
        for _ in range(200):
            try:
                if self._live():
                    return
            except (Crashed, CommitConflict, CatalogUnavailable):
                if power is not None and self.random.random() < 0.5:
                    power.cut()
        raise AssertionError("no process reached the end")

    def _live(self) -> bool:
        """One process: from the table's position on, in spans of its own cutting."""
        writer = self.open()
        position = writer.position or 0
        if writer.position is None:
            writer.commit(rows(Span(0, 0)), Span(0, 0))
        while position < END:
            span = Span(position, min(END, position + self.random.randint(1, 6)))
            if self.zombie is not None and self.random.random() < 0.5:
                stale, self.zombie = self.zombie, None
                self.catalog.before_commit = partial(self._wake, stale)
            writer.commit(rows(span), span)
            position = span.end
            if self.zombie is None and self.random.random() < 0.3:
                self.zombie = self.open()
        writer.close()
        return True

    def _wake(self, zombie: IcebergWriter) -> None:
        """An older process comes back in the very middle of another's commit and goes on where it was."""
        start = zombie.position or 0
        span = Span(start, min(END, start + self.random.randint(1, 8)))
        with suppress(CommitConflict, CatalogUnavailable):
            zombie.commit(rows(span), span)


def faults(history: History) -> list[str]:
    """Give what is wrong with the table: rows lost or doubled, positions that went back, files unreadable."""
    table = history.real.load_table("mta.events")
    found: list[str] = []
    try:
        read = table.scan().to_arrow()
    except (OSError, ValueError, EOFError, KeyError) as error:
        return [f"unreadable: {error}"]
    pairs = sorted(zip(read.column("capture_offset").to_pylist(), read.column("place").to_pylist(), strict=True))
    if pairs != WANTED:
        found.append(f"rows: {len(pairs)} for {len(WANTED)}")
    positions = [positions_of(snapshot).get(("log", "0"), -1) for snapshot in chain(table)]
    if positions != sorted(positions):
        found.append(f"positions went back: {positions}")
    return found


def chain(table: IcebergTable) -> list:  # type: ignore[type-arg]
    return sorted(table.metadata.snapshots, key=lambda snapshot: snapshot.sequence_number)


def search(tmp_path: Path, seeds: int, run: Callable[[History], None] = History.run) -> dict[int, list[str]]:
    """Give the seeds that end badly, with what is wrong."""
    bad: dict[int, list[str]] = {}
    for seed in range(seeds):
        history = History(tmp_path / str(seed), seed)
        try:
            run(history)
            wrong = faults(history)
        except (OSError, ValueError, EOFError, ValidationError) as error:
            wrong = [f"unusable: {error}"]
        history.real.close()
        if wrong:
            bad[seed] = wrong
            if seeds == MUTANT_SEEDS + 1:
                break
    return bad


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path) -> None:
    for seed in range(max(SEEDS, MUTANT_SEEDS) + 1):
        (tmp_path / str(seed)).mkdir()


@pytest.fixture
def power(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PowerCutDisk:
    """A disk under the tables that forgets what was not synced; the catalog's SQLite keeps its own promise."""
    disk = PowerCutDisk(tmp_path)
    monkeypatch.setattr(files.os, "fsync", disk.fsync)
    return disk


def with_cuts(tmp_path: Path, disk: PowerCutDisk) -> Callable[[History], None]:
    def run(history: History) -> None:
        disk._directory = history.folder / "warehouse"
        history.run(disk)
        disk.cut()

    return run


def test_every_row_is_there_once_and_no_position_goes_back(tmp_path: Path) -> None:
    assert search(tmp_path, SEEDS) == {}


def test_a_power_cut_loses_nothing_that_the_catalog_names(tmp_path: Path, power: PowerCutDisk) -> None:
    assert search(tmp_path, SEEDS // 4, with_cuts(tmp_path, power)) == {}


def test_without_the_position_check_rows_are_doubled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "still_wanted", lambda rows, *_: rows)

    assert search(tmp_path, MUTANT_SEEDS + 1) != {}


def test_without_reading_again_after_a_failure_rows_are_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant trusts the positions that it read first, whatever became of its try."""
    real = commit_module.current_positions

    def forgetting_commit(catalog, name, stage, clock):  # type: ignore[no-untyped-def]
        before = None

        def positions(metadata):  # type: ignore[no-untyped-def]
            nonlocal before
            before = real(metadata) if before is None else before
            return before

        monkeypatch.setattr(commit_module, "current_positions", positions)
        return whole(catalog, name, stage, clock)

    whole = commit_module.commit
    monkeypatch.setattr(sink, "commit", forgetting_commit)

    assert search(tmp_path, MUTANT_SEEDS + 1) != {}


def test_without_fsync_a_power_cut_is_noticed(
    tmp_path: Path, power: PowerCutDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files.os, "fsync", lambda _descriptor: None)

    assert search(tmp_path, MUTANT_SEEDS + 1, with_cuts(tmp_path, power)) != {}
