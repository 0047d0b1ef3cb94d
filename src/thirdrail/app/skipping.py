"""Going on after the log and the tables have come to disagree."""

from pathlib import Path

from thirdrail.app.data_folder import LIVE, SIMULATED, DataFolder, check_disk
from thirdrail.app.writing import ICEBERG, NOTES, SNOWFLAKE
from thirdrail.capturelog.day_files import PARTITION
from thirdrail.capturelog.spool import Spool
from thirdrail.config.settings import Config
from thirdrail.model.records import Span
from thirdrail.model.tables import TABLES
from thirdrail.observe.clock import SystemClock
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.sink import IcebergSink
from thirdrail.sinks.snowflake.notes import ChannelNotes


def skip_ahead(path: Path, config: Config) -> tuple[int, dict[str, list[Span]]]:
    """Let the log go on a million offsets above everything; give the next offset and the gaps accepted.

    A table whose position the log can no longer serve is moved to the log's first offset, and one that comes to a file
    that was taken away goes on in the next; the captures between are lost to it, and are named in the result, by table.
    A log that no table knows is taken on.
    Snowflake is not asked, it may be away: its tables go on there when they are opened next, and the result has no
    gaps of theirs.
    """
    clock = SystemClock()
    DataFolder.existing(path)
    folder = DataFolder.for_writing(path, LIVE, SIMULATED)
    check_disk(folder, config)
    log = Spool.open(folder.spool, clock, writable=True)
    try:
        first = log.first(PARTITION)
        if SNOWFLAKE in config.sinks:
            ChannelNotes(folder.path / NOTES).note_skipped(log.log_id, first)
        if ICEBERG not in config.sinks:
            return log.skip(0), {}
        sink = IcebergSink(open_catalog(folder.path, create=True), clock)
        writers = {table: sink.open(table, log.log_id, PARTITION) for table in TABLES}
        positions = {table: writer.position or 0 for table, writer in writers.items()}
        holes = log.holes()
        ahead = log.skip(max(positions.values()))
        gaps: dict[str, list[Span]] = {}
        if all(writer.position is None for writer in writers.values()):
            for table, writer in writers.items():
                writer.commit(table.arrow_schema.empty_table(), Span(first, first))
        for table, writer in writers.items():
            lost = [Span(max(positions[table], hole.start), hole.end) for hole in holes if positions[table] < hole.end]
            if writer.position is not None and writer.position < first:
                lost.insert(0, Span(writer.position, first))
            if lost:
                gaps[table.name] = lost
            if writer.position is not None and writer.position < first:
                writer.commit(table.arrow_schema.empty_table(), Span(writer.position, first))
                writer.close()
        return ahead, gaps
    finally:
        log.close()
