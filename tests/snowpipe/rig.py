"""The official clients of stage and pipe, our sink, and the emulator: the small table of tests/snowpipe_streaming."""

from pathlib import Path

from tests.snowpipe_streaming.rig import EVENTS, LOG, configured
from thirdrail.emulator.server import EmulatorServer
from thirdrail.model.records import Rejection
from thirdrail.observe.clock import SystemClock
from thirdrail.sinks.snowflake.account import account_of
from thirdrail.sinks.snowflake.notes import ChannelNotes
from thirdrail.sinks.snowpipe.sink import SnowpipeSink
from thirdrail.sinks.snowpipe.writer import FilesWriter
from thirdrail.sinks.snowpipe_streaming.sink import StreamingSink

STAGED = "THIRDRAIL_STAGE"


class FilesRig:
    """One process of ours, as often begun anew as a test likes."""

    def __init__(self, folder: Path, emulator: EmulatorServer, deployment: str = "main", **keys: object) -> None:
        self.emulator = emulator
        usual = {"retry_seconds": 5.0, "batch_seconds": 0.3, "ingestion_method": "snowpipe"}
        self.config = configured(emulator, deployment=deployment, **(usual | keys))
        self._notes = folder / f"channels-{deployment}.json"
        self.rejections: list[Rejection] = []
        self.settled: set[str] = set()
        self.sink = self.new_sink()
        self.writer: FilesWriter | None = None

    def new_sink(self, log_end: int | None = None) -> SnowpipeSink:
        """Give a sink as a new process would."""
        account, notes, clock = account_of(self.config, {}), ChannelNotes(self._notes), SystemClock()
        channels = StreamingSink.of(self.config, account, clock, notes, self.rejections.append)
        return SnowpipeSink.of(
            self.config,
            account,
            clock,
            notes,
            self.rejections.append,
            earlier=channels.token,
            settled=lambda _table, file, _since: file in self.settled,
            log_end=log_end,
        )

    def open(self, log_id: str = LOG) -> FilesWriter:
        """Open the table's writer, and let go of the one before."""
        self.close()
        self.writer = self.sink.open(EVENTS, log_id, "0")
        return self.writer

    def close(self) -> None:
        """Let go of the writer."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def found(self) -> list[tuple[int, int]]:
        """Give what the emulator has loaded from files, in its order."""
        table = self.emulator.storage.rows(EVENTS.name)
        origins = table.column("_channel").to_pylist()
        pairs = zip(table.column("capture_offset").to_pylist(), table.column("entity_ordinal").to_pylist(), strict=True)
        return [pair for pair, origin in zip(pairs, origins, strict=True) if origin.endswith(".parquet")]

    def staged(self) -> list[str]:
        """Give the names of the files on the stage."""
        return [name for name, _ in self.emulator.snowpipe.stages.files(STAGED, "")]
