"""The wiring: a data folder, its log, its tables, and the pipeline between them."""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError

from thirdrail import __version__
from thirdrail.capturelog.spool import PARTITION, Spool
from thirdrail.config import Config
from thirdrail.errors import DataFolderError, DataFolderMoved, DiskFull, NoDataYet, NoInput, PositionUnknown
from thirdrail.maintenance.audit import Audit, AuditReport
from thirdrail.model.feeds import Feed
from thirdrail.model.ports import Clock
from thirdrail.model.records import Poll, Record, ReplayOrder, Settings, Span
from thirdrail.model.tables import NAMESPACE, TABLES, Table
from thirdrail.observe.clock import SystemClock
from thirdrail.pipeline.loop import Limits, Pipeline
from thirdrail.pipeline.refusals import parse_quarantine_id
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.positions import current_positions
from thirdrail.sinks.iceberg.reader import PinnedTable, pin
from thirdrail.sinks.iceberg.sink import IcebergSink
from thirdrail.sources.recordings import Recording, why_no_message

PIPELINE_VERSION = 1
"""Rises when the same bytes give other rows."""

FORMAT_VERSION = 1
STAMP = "thirdrail.json"
GIB = 1 << 30
CHUNK_BYTES = 12 << 20
Progress = Callable[[int, int], None]


def _never() -> bool:
    return False


def _tell_nobody(_text: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A folder that holds a capture log and tables, and says so by its stamp."""

    path: Path

    @property
    def spool(self) -> Path:
        """Where the capture log lies."""
        return self.path / "spool"

    @classmethod
    def existing(cls, path: Path) -> "DataFolder":
        """Give a folder that was filled before.

        Raises:
            NoDataYet: there is nothing.
            DataFolderError: a file, another program's folder, a newer version's, or a moved one.
        """
        if path.is_file():
            raise DataFolderError(f"{path} is a file, not a data folder")
        if not (path / STAMP).exists():
            if path.is_dir() and any(path.iterdir()):
                raise DataFolderError(f"{path} is not a Third Rail data folder: it holds other files and no {STAMP}")
            raise NoDataYet(f"{path} holds no data yet", hint="fill it first: thirdrail replay PATH --feed ID")
        _check_stamp(path)
        return cls(path)

    @classmethod
    def for_writing(cls, path: Path) -> "DataFolder":
        """Give a folder to write into, made when missing.

        Raises:
            DataFolderError: as for ``existing``, or it cannot be written.
        """
        try:
            return cls._for_writing(path)
        except OSError as error:
            raise DataFolderError(f"{path} cannot be written: {error.strerror or error}") from error

    @classmethod
    def _for_writing(cls, path: Path) -> "DataFolder":
        if not path.is_file() and not (path / STAMP).exists() and not (path.is_dir() and any(path.iterdir())):
            path.mkdir(parents=True, exist_ok=True)
            stamp = {
                "kind": "live",
                "format_version": FORMAT_VERSION,
                "created_by": __version__,
                "path": str(path.absolute()),
            }
            # Renamed into place: a stamp cut short by a crash would make the folder foreign to us.
            (path / f".{STAMP}").write_text(json.dumps(stamp, indent=2) + "\n")
            (path / f".{STAMP}").replace(path / STAMP)
        folder = cls.existing(path)
        if not os.access(path, os.W_OK) or os.statvfs(path).f_flag & os.ST_RDONLY:
            raise DataFolderError(f"{path} cannot be written")
        return folder


def _check_stamp(path: Path) -> None:
    """Refuse a folder of another kind, of a newer format, or at another path than its tables name."""
    try:
        stamp = json.loads((path / STAMP).read_text())
        kind, version, home = str(stamp["kind"]), int(stamp["format_version"]), str(stamp["path"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise DataFolderError(f"{path / STAMP} is damaged: {error}") from error
    if kind != "live":
        raise DataFolderError(
            f"{path} holds {kind} data; this command wants live data", hint="give another --data folder"
        )
    if version > FORMAT_VERSION:
        raise DataFolderError(
            f"{path} was written by a newer version ({stamp.get('created_by')}, format {version}; "
            f"this one knows {FORMAT_VERSION})",
            hint="use that version, or another --data folder",
        )
    if Path(home) != path.absolute() and not (Path(home).exists() and Path(home).samefile(path)):
        raise DataFolderMoved(
            f"{path.absolute()} was filled at {home}: its tables name files by that path",
            hint=f"move it back, or link it: ln -s {path.absolute()} {home}",
        )


def check_disk(folder: DataFolder, config: Config) -> None:
    """Refuse to take in more when the disk is nearly full.

    Raises:
        DiskFull: free space lies below the reserve.
    """
    usage = shutil.disk_usage(folder.path)
    reserve = max(GIB, usage.total // 50) if config.spool.reserve_gb is None else int(config.spool.reserve_gb * 1e9)
    if usage.free < reserve:
        raise DiskFull(
            f"{folder.path} has {usage.free / 1e9:,.1f} GB free, below the reserve of {reserve / 1e9:,.1f} GB: "
            "nothing was taken in",
            hint="free some space, or set spool.reserve_gb in the configuration",
        )


@dataclass(slots=True)
class Writing:
    """A data folder opened for writing: the log with its lock, the catalog, the pipeline."""

    folder: DataFolder
    config: Config
    log: Spool
    catalog: SqlCatalog
    pipeline: Pipeline

    def append(self, records: list[tuple[Record, bytes | None]]) -> list[int]:
        """Append to the one partition."""
        return self.log.append(PARTITION, records)

    def note_settings(self, history: str | None = None) -> None:
        """Append a settings record when what decides rows is not what was last recorded."""
        wanted = Settings(
            history=history or self.config.history,
            severities={feed: dict(actions) for feed, actions in self.config.severities.items()},
            pipeline_version=PIPELINE_VERSION,
        )
        if self.log.settings_before(PARTITION, self.log.end(PARTITION)) != wanted:
            self.append([(wanted, None)])

    def drain(self, totals: "Totals", is_stopped: Callable[[], bool] = _never) -> None:
        """Carry everything that the log holds into the tables, or until asked to stop between two commits."""
        while not is_stopped() and (result := self.pipeline.step()) is not None:
            totals.captures += result.captures
            totals.decoded_rows += result.decoded
            for table, rows in result.written.items():
                totals.written[table] = totals.written.get(table, 0) + rows


@dataclass(slots=True)
class Totals:
    """What a run carried: captures and rows, and files that gave none of their own.

    ``skipped`` bodies are in the log already, ``no_message`` files became captures without rows, ``unreadable``
    files were left out.
    """

    captures: int = 0
    skipped: int = 0
    no_message: int = 0
    unreadable: int = 0
    decoded_rows: int = 0
    written: dict[str, int] = field(default_factory=dict)


@contextmanager
def writing(path: Path, config: Config, clock: Clock | None = None) -> Iterator[Writing]:
    """Open a data folder for writing, check that log and tables agree, and close it in order.

    Raises:
        LogBusy: another process writes there.
        LogBehindDestination, CapturesGone, PositionUnknown: log and tables disagree.
        DiskFull: below the reserve.
    """
    clock = clock or SystemClock()
    folder = DataFolder.for_writing(path)
    check_disk(folder, config)
    log = Spool.open(folder.spool, clock, writable=True)
    try:
        catalog = open_catalog(folder.path, create=True)
        _refuse_another_log(folder, catalog, log.log_id)
        limits = Limits(rows=config.batch_rows, bytes=config.batch_bytes, seconds=config.commit_interval_seconds)
        pipeline = Pipeline(log, IcebergSink(catalog, clock), PARTITION, clock, limits=limits)
        pipeline.open()
        yield Writing(folder, config, log, catalog, pipeline)
        pipeline.close()
        log.expire(clock.now(), days=config.spool.retention_days, size=int(config.spool.retention_gb * 1e9))
    finally:
        log.close()


def _refuse_another_log(folder: DataFolder, catalog: SqlCatalog, log_id: str) -> None:
    """Refuse tables that were filled from another log: this one cannot say what of its captures they hold.

    Raises:
        PositionUnknown: naming the table and the log that it knows.
    """
    for table in TABLES:
        try:
            found = current_positions(catalog.load_table((NAMESPACE, table.name)).metadata)
        except NoSuchTableError:
            continue
        if found and (log_id, PARTITION) not in found:
            known = ", ".join(sorted(name for name, _ in found))
            raise PositionUnknown(
                f"{table.name} was filled from capture log {known}, but {folder.spool} holds log {log_id}: "
                "the log was lost, or belongs to other tables",
                hint="put the old log back, or let this one go on beside the old rows: thirdrail captures skip",
            )


def replay(
    work: Writing,
    found: list[Recording],
    feed: Feed,
    *,
    history: str | None,
    progress: Progress,
    note: Callable[[str], None] = _tell_nobody,
    is_stopped: Callable[[], bool] = _never,
) -> tuple[str, Totals]:
    """Take recordings in as one origin, skipping bodies that the log has; give the origin and what was carried.

    ``progress(done, total)`` counts files, ``note`` is told of files that are no feed message or cannot be read.
    Ends early, between commits, once ``is_stopped`` says so. Can be cut off at any moment and repeated.

    Raises:
        DiskFull: below the reserve; what was committed stays.
    """
    origin = f"replay-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    totals = Totals()
    work.note_settings(history)
    work.drain(totals, is_stopped)
    for chunk in _chunks(work.log, found, feed, origin, totals, progress, note):
        if is_stopped():
            break
        check_disk(work.folder, work.config)
        work.append(chunk)
        work.drain(totals, is_stopped)
    return origin, totals


def _chunks(
    log: Spool,
    found: list[Recording],
    feed: Feed,
    origin: str,
    totals: Totals,
    progress: Progress,
    note: Callable[[str], None],
) -> Iterator[list[tuple[Record, bytes | None]]]:
    """Give the records to append, about 12 MB of bodies at a time, and count the files that give none."""
    chunk: list[tuple[Record, bytes | None]] = []
    digests: set[str] = set()
    size = 0
    for done, recording in enumerate(found, start=1):
        body = _body(recording, totals, note)
        digest = hashlib.sha256(body or b"").hexdigest()
        if body is not None and (digest in digests or log.find_body(feed.id, digest) is not None):
            totals.skipped += 1
        elif body is not None:
            if (reason := why_no_message(body)) is not None:
                totals.no_message += 1
                note(f"{recording.path.name}: {reason}")
            source = f"file:{recording.path.name}"
            poll = Poll(feed_id=feed.id, fetched_at=recording.fetched_at, origin=origin, source_url=source)
            chunk.append((poll, body))
            digests.add(digest)
            size += len(body)
        if size >= CHUNK_BYTES or (chunk and done == len(found)):
            yield chunk
            chunk, size = [], 0
        progress(done, len(found))


def _body(recording: Recording, totals: Totals, note: Callable[[str], None]) -> bytes | None:
    try:
        return recording.body()
    except NoInput as error:
        totals.unreadable += 1
        note(str(error))
        return None


def pinned(folder: DataFolder, table: Table) -> PinnedTable:
    """Give one snapshot of a table.

    Raises:
        NoDataYet: the table does not exist.
    """
    try:
        return pin(open_catalog(folder.path, create=False), table)
    except NoSuchTableError as error:
        raise NoDataYet(
            f"{folder.path} holds no table {table.name} yet", hint="thirdrail replay PATH --feed ID"
        ) from error


def audit(folder: DataFolder, since: int | None, progress: Progress | None = None) -> AuditReport:
    """Recompute from the log what each table must hold and compare; works beside a writer."""
    log = Spool.open(folder.spool, SystemClock(), writable=False)
    try:
        readers = {table.name: pinned(folder, table) for table in reversed(TABLES)}
        return Audit(log, PARTITION, readers, progress=progress).run(since)
    finally:
        log.close()


def _capture_of(text: str) -> int:
    try:
        return parse_quarantine_id(text)[1]
    except ValueError as error:
        raise NoInput(f"{text!r} is no quarantine id", hint="thirdrail quarantine list shows them") from error


def order_replay(work: Writing, quarantine_ids: list[str]) -> Totals:
    """Ask that quarantined rows be judged again under today's settings; give what was carried.

    Raises:
        NoInput: a text is no quarantine id.
    """
    captures = {_capture_of(text) for text in quarantine_ids}
    work.note_settings()
    work.drain(Totals())
    order = ReplayOrder(
        ordered_at=SystemClock().now(), quarantine_ids=tuple(quarantine_ids), captures=tuple(sorted(captures))
    )
    work.append([(order, None)])
    totals = Totals()
    work.drain(totals)
    return totals


def skip_ahead(path: Path, config: Config) -> tuple[int, dict[str, tuple[int, int]]]:
    """Let the log go on a million offsets above everything; give the next offset and the gaps accepted.

    A table whose position the log can no longer serve is moved to the log's first offset; the captures between
    are lost to it, and are named in the result: table → (from, to). A log that no table knows is taken on.
    """
    clock = SystemClock()
    DataFolder.existing(path)
    folder = DataFolder.for_writing(path)
    check_disk(folder, config)
    log = Spool.open(folder.spool, clock, writable=True)
    try:
        sink = IcebergSink(open_catalog(folder.path, create=True), clock)
        writers = {table: sink.open(table, log.log_id, PARTITION) for table in TABLES}
        positions = {table: writer.position or 0 for table, writer in writers.items()}
        ahead = log.skip(max(positions.values()))
        first = log.first(PARTITION)
        gaps = {}
        if all(writer.position is None for writer in writers.values()):
            for table, writer in writers.items():
                writer.commit(table.arrow_schema.empty_table(), Span(first, first))
        for table, writer in writers.items():
            if writer.position is not None and writer.position < first:
                gaps[table.name] = (writer.position, first)
                writer.commit(table.arrow_schema.empty_table(), Span(writer.position, first))
                writer.close()
        return ahead, gaps
    finally:
        log.close()
