"""A copy of a data folder, made while it is written to, and the folder that a copy becomes again.

Nothing is stopped and nothing is locked: care and retention may delete while files are copied. Each round copies the
acknowledgements first (in the copy, too, they must not be ahead of the tables), then the catalog, then every file that
the catalog as copied names, and the log last, so that it is never behind the tables. What was deleted in between is
found missing, and the next round begins with a younger catalog and copies what it has not: such rounds are short.

What no snapshot names is not copied: it would only wait in the copy to be deleted. `backup.json` is written last and
holds size and digest of every file: a copy without it was not finished, and damage has a name.
"""

import hashlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from pyiceberg.catalog import Catalog
from pyiceberg.manifest import ManifestFile
from pyiceberg.table import Table as IcebergTable

from thirdrail import __version__
from thirdrail.app.data_folder import STAMP, DataFolder, check_path, relocated
from thirdrail.app.writing import NOTES
from thirdrail.capturelog.birth import identity
from thirdrail.capturelog.day_files import PARTITION
from thirdrail.capturelog.opening import connect, connect_for_reading, remove, siblings, translated
from thirdrail.capturelog.segment import Segment
from thirdrail.errors import BackupDamaged, BackupFailed, DataFolderError, LogDamaged
from thirdrail.model.tables import FEED_MESSAGES, NAMESPACE
from thirdrail.sinks.iceberg.catalog import FILE_NAME, LocalCatalog, address_of, open_catalog
from thirdrail.sinks.iceberg.files import is_local, local_path, put_file, sync_directory
from thirdrail.sinks.iceberg.manifests import remembered
from thirdrail.sinks.iceberg.positions import current_positions
from thirdrail.sinks.snowflake.arrivals import FOLDER as ARRIVALS

CONTENTS, DATA = "backup.json", "data"
ROUNDS = 5
"""A round fails only when something was deleted within it; the second one copies minutes, not hours."""

_SPOOL, _ACKNOWLEDGED, _LOG_ID = "spool", "acknowledged.sqlite", "log_id"
_CHUNK = 1 << 20
_READ_AGAIN_S = (0.05, 0.2, 1.0)
_NAMED_AT_MOST = 5
Progress = Callable[[int, int], None]


class Copied(msgspec.Struct, frozen=True):
    """One file of a copy, as it must be."""

    bytes: int
    sha256: str


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What a copy says of itself. ``position``: up to where in the log all its tables are."""

    format: int = 1
    made_by: str
    made_at: str
    path: str
    position: int
    rounds: int
    damaged_days: list[str]
    files: dict[str, Copied]

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files.values())


class _Vanished(Exception):
    """A file was deleted before it was copied."""


def backup(folder: DataFolder, target: Path, progress: Progress = lambda _done, _total: None) -> Contents:
    """Copy a data folder into a new or empty one, while others write to it; give what the copy holds. Blocks.

    Raises:
        DataFolderError: the target is not empty or lies within the folder, or the tables are not all in the folder.
        NoDataYet: there are no tables.
        BackupFailed: files were deleted in every round.
    """
    _check_target(folder, target)
    if address := address_of(folder.path):
        raise DataFolderError(
            f"the tables of {folder.path} are listed by {address.type} {address.uri}: a copy of this folder alone "
            "would not know them",
            hint="copy that catalog and its warehouse by their own means, and the folder while nothing runs",
        )
    open_catalog(folder.path, create=False)  # refuses a folder without tables before anything is made
    (target / DATA).mkdir(parents=True, exist_ok=True)
    copy = _Copy(folder, target / DATA, progress)
    missing = ""
    for number in range(1, ROUNDS + 1):
        try:
            position = copy.round()
        except _Vanished as vanished:
            missing = str(vanished)
            continue
        except sqlite3.Error as error:
            raise BackupFailed(f"{folder.path}: its catalog cannot be read: {error}") from error
        copy.drop_unnamed()
        contents = Contents(
            made_by=__version__,
            made_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            path=str(folder.path.absolute()),
            position=position,
            rounds=number,
            damaged_days=copy.damaged_days,
            files=dict(sorted(copy.named.items())),
        )
        put_file(target / CONTENTS, msgspec.json.format(msgspec.json.encode(contents), indent=1) + b"\n")
        return contents
    raise BackupFailed(
        f"{folder.path}: files were deleted in each of {ROUNDS} rounds before they were copied, {missing} the last",
        hint="is another program deleting there? raise maintenance.replaced_minutes, and try again",
    )


def _check_target(folder: DataFolder, target: Path) -> None:
    if target.is_file():
        raise DataFolderError(f"{target} is a file, not a folder")
    if target.is_dir() and any(target.iterdir()):
        raise DataFolderError(f"{target} is not empty: a backup overwrites nothing", hint="name a folder for each one")
    if target.absolute().resolve().is_relative_to(folder.path.absolute().resolve()):
        raise DataFolderError(f"{target} lies within {folder.path}, which it is to be a copy of")


class _Copy:
    """A copy in the making. Files never change under their name, so one that was copied stays good for later rounds."""

    def __init__(self, folder: DataFolder, into: Path, progress: Progress) -> None:
        self._folder, self._into, self._progress = folder, into, progress
        self._home = folder.path.absolute()
        self._done: dict[str, Copied] = {}
        self.named: dict[str, Copied] = {}
        self.damaged_days: list[str] = []

    def round(self) -> int:
        """Copy all that is not there yet; give the position of the tables.

        Raises:
            _Vanished: a file that is needed was deleted meanwhile.
        """
        self.named, self.damaged_days = {}, []
        spool = self._home / _SPOOL
        days = Segment.listed(spool)
        (self._into / _SPOOL).mkdir(exist_ok=True)
        if (spool / _ACKNOWLEDGED).exists():
            self._copy_database(f"{_SPOOL}/{_ACKNOWLEDGED}")
        files, position = self._tables()
        total = len(files) + len(days)
        for number, name in enumerate(sorted(files)):
            self._progress(number, total)
            self._copy_file(name)
        arrivals = sorted(str(path.relative_to(self._home)) for path in (self._home / ARRIVALS).glob("*.jsonl"))
        for name in (STAMP, NOTES, f"{_SPOOL}/{_LOG_ID}", *arrivals):
            if (self._home / name).exists():
                self._copy_file(name, anew=True)
        # All days that there were when the round began: one less, and the tables as copied might need it.
        later = [day for day in Segment.listed(spool) if not days or day.first > days[-1].first]
        for number, day in enumerate([*days, *later]):
            self._progress(len(files) + number, total + len(later))
            self._copy_day(f"{_SPOOL}/{day.path.name}")
        sync_directory(self._into / _SPOOL)
        self._progress(total + len(later), total + len(later))
        return position

    def _tables(self) -> tuple[set[str], int]:
        """Copy the catalog; give all files that it names, and the position of its tables."""
        self._copy_database(FILE_NAME)
        catalog = open_catalog(self._into, create=False)
        log_id = identity(self._home / _SPOOL)
        files: set[str] = set()
        position = 0
        try:
            for table in _tables_of(catalog):
                files |= {self._inside(location, table) for location in _locations(table)}
                if table.name() == (NAMESPACE, FEED_MESSAGES.name):  # committed last: up to there all tables are whole
                    position = current_positions(table.metadata).get((log_id, PARTITION), 0)
        except FileNotFoundError as error:
            raise _Vanished(str(error)) from error
        finally:
            if isinstance(catalog, LocalCatalog):
                catalog.engine.dispose()
        # Only now: with the last connection gone, all of it is in the one file.
        self.named[FILE_NAME] = self._done[FILE_NAME] = _digest(self._into / FILE_NAME)
        return files, position

    def _inside(self, location: str, table: IcebergTable) -> str:
        path = local_path(location)
        if not is_local(location) or not path.is_relative_to(self._home):
            raise DataFolderError(
                f"{'.'.join(table.name())} names {location}, which is not in {self._home}: the copy would not be whole",
                hint="copy such a warehouse by its own means, while nothing runs",
            )
        return str(path.relative_to(self._home))

    def _copy_file(self, name: str, *, anew: bool = False) -> None:
        if anew or name not in self._done:
            try:
                self._done[name] = _copied(self._home / name, self._into / name)
            except FileNotFoundError as error:
                raise _Vanished(name) from error
        self.named[name] = self._done[name]

    def _copy_day(self, name: str) -> None:
        """Copy a day of the log; one that SQLite cannot read goes along as it lies, byte for byte."""
        try:
            with translated(self._home / name):
                self._copy_database(name)
        except LogDamaged:
            self.damaged_days.append(name)
            for each in (self._home / name, *siblings(self._home / name)):
                if each.exists():
                    self._copy_file(f"{_SPOOL}/{each.name}", anew=True)

    def _copy_database(self, name: str) -> None:
        """Copy a SQLite file as it is at one moment, by SQLite's own means, into one plain file."""
        for wait_s in (*_READ_AGAIN_S, None):
            remove(self._into / name)
            try:
                self._copy_database_once(name)
            except FileNotFoundError as error:
                raise _Vanished(name) from error
            except sqlite3.OperationalError:
                # While another process opens or closes it, SQLite may fail to read what is perfectly well.
                if wait_s is None:
                    raise
                time.sleep(wait_s)
            else:
                break
        self.named[name] = self._done[name] = _digest(self._into / name)

    def _copy_database_once(self, name: str) -> None:
        source, copy = self._home / name, self._into / name
        reading = connect_for_reading(source, "SELECT 1 FROM sqlite_schema LIMIT 1")
        with closing(reading), closing(connect(copy, "mode=rwc")) as writing:
            # In one step: a writer that comes between two would let it begin anew each time.
            reading.backup(writing)
            if name != FILE_NAME:  # the catalog stays in WAL mode, which is set when it is made and never again
                writing.execute("PRAGMA journal_mode=DELETE")
        _sync(copy)

    def drop_unnamed(self) -> None:
        """Delete what earlier rounds copied and the last one does not name."""
        for name in self._done.keys() - self.named.keys():
            (self._into / name).unlink(missing_ok=True)


def _tables_of(catalog: Catalog) -> Iterator[IcebergTable]:
    for namespace in catalog.list_namespaces():
        for name in catalog.list_tables(namespace):
            yield catalog.load_table(name)


def _locations(table: IcebergTable) -> Iterator[str]:
    """Give every file that a table names, in all its snapshots."""
    metadata = table.metadata
    yield table.metadata_location
    yield from (entry.metadata_file for entry in metadata.metadata_log)
    yield from (each.statistics_path for each in metadata.statistics)
    manifests: dict[str, ManifestFile] = {}
    for snapshot in metadata.snapshots:
        yield snapshot.manifest_list
        manifests |= {manifest.manifest_path: manifest for manifest in snapshot.manifests(table.io)}
    for path, manifest in manifests.items():
        yield path
        yield from (entry.data_file.file_path for entry in remembered(table, manifest))


def contents_of(target: Path) -> Contents:
    """Give what a copy says of itself.

    Raises:
        BackupDamaged: it does not, or of another version's kind.
    """
    path = target / CONTENTS
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Contents)
    except FileNotFoundError:
        raise BackupDamaged(
            f"{target} is no whole backup: it holds no {CONTENTS}, which is written last", hint="take another one"
        ) from None
    except (msgspec.DecodeError, OSError) as error:
        raise BackupDamaged(f"{path} is damaged: {error}") from error
    if found.format != 1:
        raise BackupDamaged(f"{target} was made by a newer version ({found.made_by})", hint="use that version")
    return found


def restore(
    target: Path, data: Path, progress: Progress = lambda _done, _total: None
) -> tuple[DataFolder, Contents, list[str]]:
    """Make a data folder of a copy, at any path; give it, what the copy says, and the tables that were relocated.

    The stamp comes last: killed before, there is no data folder there. Blocks.

    Raises:
        BackupDamaged: a file of the copy is missing or not as it was written; nothing is left at the new path.
        DataFolderError: the new path is not empty, or no path for a data folder.
    """
    contents = contents_of(target)
    check_path(data)
    if data.is_file() or (data.is_dir() and any(data.iterdir())):
        raise DataFolderError(f"{data} is not empty: a restore overwrites nothing", hint="give another --data folder")
    data.mkdir(parents=True, exist_ok=True)
    damaged: list[str] = []
    names = sorted(contents.files, key=lambda name: (name == STAMP, name))
    for number, name in enumerate(names):
        progress(number, len(names))
        if name == STAMP and damaged:
            break
        try:
            is_whole = _copied(target / DATA / name, data / name) == contents.files[name]
        except FileNotFoundError:
            is_whole = False
        if not is_whole:
            damaged.append(name)
    if damaged:
        shutil.rmtree(data)
        shown = ", ".join(damaged[:_NAMED_AT_MOST])
        more = f" and {len(damaged) - _NAMED_AT_MOST:,} more" if len(damaged) > _NAMED_AT_MOST else ""
        raise BackupDamaged(
            f"{target} is damaged: {shown}{more} missing or not as written; nothing was restored",
            hint="take another backup of the same data",
        )
    progress(len(names), len(names))
    folder, tables = relocated(Path(contents.path), data)
    return folder, contents, tables


def _copied(source: Path, copy: Path) -> Copied:
    """Copy a file, durably; give its size and digest as read."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as reading, copy.open("wb") as writing:
        while chunk := reading.read(_CHUNK):
            digest.update(chunk)
            size += writing.write(chunk)
        writing.flush()
        os.fsync(writing.fileno())
    return Copied(size, digest.hexdigest())


def _digest(path: Path) -> Copied:
    with path.open("rb") as file:
        return Copied(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
