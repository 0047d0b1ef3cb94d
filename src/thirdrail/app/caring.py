"""Care for the tables: in a thread of `run`, or once by `thirdrail maintain` beside it."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from pyiceberg.exceptions import NoSuchTableError

from thirdrail.app.data_folder import DataFolder
from thirdrail.app.looking import pinned_all
from thirdrail.config.settings import Config, TableConfig
from thirdrail.errors import CatalogUnavailable, CommitConflict, ThirdRailError
from thirdrail.maintenance.care import HOUR_US, Policy, Report, Shape, care
from thirdrail.maintenance.compaction import size_class
from thirdrail.maintenance.leftovers import noted
from thirdrail.model.ports import Clock
from thirdrail.model.tables import ALL_TABLES, NAMESPACE, Table
from thirdrail.observe.logs import Event, Say
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.chronicle import note_commits
from thirdrail.sinks.iceberg.folder import Folder

LETS_GO_EVERY = 6
"""Rounds between two looks for files that nothing names: each reads all that every snapshot names."""

_MINUTE_US = 60_000_000


def policy(config: Config, table: Table) -> Policy:
    """Give the policy of a table."""
    own, all_tables = config.tables.get(table.name, TableConfig()), config.maintenance

    return Policy(
        replaced_us=int(_said(own.replaced_minutes, all_tables.replaced_minutes) * _MINUTE_US),
        orphans_us=int(_said(own.orphan_hours, all_tables.orphan_hours) * HOUR_US),
        keep_days=own.keep_days,
        snapshots=int(_said(own.snapshots, all_tables.snapshots)),
        snapshots_us=int(_said(own.snapshot_hours, all_tables.snapshot_hours) * HOUR_US),
    )


def _said(of_table: float | None, of_all: float) -> float:
    return of_all if of_table is None else of_table


def care_for(
    folder: DataFolder,
    config: Config,
    clock: Clock,
    tables: Iterable[Table] = ALL_TABLES,
    *,
    dry_run: bool = False,
    lets_go: bool = True,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Report]:
    """Care for tables one by one; give what was done to each.

    Raises:
        NoDataYet: there are no tables.
    """
    catalog = open_catalog(folder.path, create=False)
    if not dry_run:
        with suppress(NoSuchTableError, CommitConflict, CatalogUnavailable):  # else old snapshots stay for now
            note_commits(catalog, NAMESPACE, clock)
    for table in tables:
        if is_stopped():
            return
        yield care(
            catalog,
            table,
            policy(config, table),
            clock,
            dry_run=dry_run,
            lets_go=lets_go,
            is_stopped=is_stopped,
        )


@dataclass(frozen=True, slots=True)
class Detail:
    """How a table lies on the disk, and what a round of care would do. ``looked_at`` in µs UTC, None for never."""

    table: str
    days: int
    files: Mapping[str, int]
    bytes: int
    snapshots: int
    metadata_bytes: int
    looked_at: int | None
    would: Report


def details(folder: DataFolder, config: Config, clock: Clock) -> Iterator[Detail]:
    """Look at tables one by one; nothing is changed.

    Raises:
        NoDataYet: there are no tables.
    """
    catalog = open_catalog(folder.path, create=False)
    for found in pinned_all(folder):
        table = found.table
        would = care(catalog, table, policy(config, table), clock, dry_run=True)
        classes = Counter(size_class(file) for file in found.files)
        loaded = found.source
        yield Detail(
            table.name,
            len({file.partition[0] for file in found.files}),
            {name: classes[name] for name in ("small", "medium", "full")},
            found.bytes,
            found.snapshots,
            len(loaded.io.new_input(loaded.metadata_location)),
            noted(Folder(loaded)).looked_at or None,
            would,
        )


class Caretaker:
    """A thread that cares for all tables every so often. It shares nothing with the loop but the tables."""

    def __init__(self, folder: DataFolder, config: Config, clock: Clock, say: Say) -> None:
        self._folder, self._config, self._clock, self._say = folder, config, clock, say
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._go, name="maintenance", daemon=True)
        self._said = ""
        self._turns = self.rounds = self.merged = self.deleted = 0
        self.shapes: dict[str, Shape] = {}

    def start(self) -> None:
        """Begin, unless the configuration leaves care to others."""
        if self._config.maintenance.every_seconds > 0:
            self._thread.start()

    def stop(self, within_s: float = 5.0) -> None:
        """End after the merge that is under way; one that takes longer is left to end with the process."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(within_s)

    def _go(self) -> None:
        while not self._stopping.wait(self._config.maintenance.every_seconds):
            try:
                self._round()
            except ThirdRailError as error:
                self._note(str(error))
            except Exception as error:  # noqa: BLE001 - a thread's top: the tables go on without care, and people hear
                self._note(f"unexpected {type(error).__name__}: {error}", error)

    def _round(self) -> None:
        trouble = ""
        lets_go = self._turns % LETS_GO_EVERY == 0
        stopped = self._stopping.is_set
        for report in care_for(self._folder, self._config, self._clock, lets_go=lets_go, is_stopped=stopped):
            self.merged += report.merged
            self.deleted += report.deleted
            if report.held is not None:
                self.shapes[report.table] = report.held
            trouble = trouble or report.trouble
        self._turns += 1
        self.rounds += not trouble
        self._note(trouble)

    def _note(self, trouble: str, error: BaseException | None = None) -> None:
        """Say what is new."""
        if trouble and trouble != self._said:
            text = f"tables are not cared for: {trouble} (they go on as they are; it is tried again)"
            self._say(Event("maintenance_failed", text, reason=trouble, exc_info=error))
        self._said = trouble
