"""The real client, our sink, and the emulator: a small table, and rows that a span always has."""

import time
from pathlib import Path
from random import Random
from typing import Any, Protocol

import pyarrow as pa

from thirdrail.config.settings import SnowflakeConfig
from thirdrail.emulator.limits import Limits
from thirdrail.emulator.rows import Column as Kind
from thirdrail.emulator.server import ACCOUNT, USER, EmulatorServer
from thirdrail.errors import SinkError
from thirdrail.model.ports import DeferredWriter
from thirdrail.model.records import Rejection, Span
from thirdrail.model.tables import Column, Role, Table
from thirdrail.observe.clock import SystemClock
from thirdrail.sinks.snowflake.account import account_of
from thirdrail.sinks.snowflake.notes import ChannelNotes
from thirdrail.sinks.snowpipe_streaming.sink import StreamingSink
from thirdrail.sinks.snowpipe_streaming.writer import StreamingWriter

EVENTS = Table(
    "events",
    "what tests send",
    (
        Column("feed_id", "string", "feed", Role.IDENTITY, required=True),
        Column("capture_log", "string", "log", Role.IDENTITY, required=True),
        Column("capture_offset", "long", "offset", Role.IDENTITY, required=True),
        Column("entity_ordinal", "int", "row of the offset", Role.IDENTITY, required=True),
        Column("fetched_at", "timestamptz", "time", Role.IDENTITY, required=True),
        Column("payload", "string", "text"),
        Column("ratio", "double", "number"),
    ),
    key=(),
    sort=("capture_offset",),
)
PIPE, LOG = "EVENTS_PIPE", "log"
NO_LIMITS = Limits(None, None, None, None)


def rows(span: Span, payload: int = 20) -> pa.Table:
    """Give the rows of a span: none to four per offset."""
    return pa.Table.from_pylist(
        [
            {
                "feed_id": "line",
                "capture_log": LOG,
                "capture_offset": offset,
                "entity_ordinal": ordinal,
                "fetched_at": 1_780_000_000_000_000 + offset * 1_234_567,
                "payload": f'{offset}.{ordinal} é\n"' + "x" * payload,
                "ratio": None if ordinal == 1 else offset / 3,
            }
            for offset in range(span.start, span.end)
            for ordinal in range(offset * 7 % 5)
        ],
        schema=EVENTS.arrow_schema,
    )


def emulated(folder: Path, **options: object) -> EmulatorServer:
    """Give an emulator with the small table."""
    columns = {column.name: Kind(column.type, column.required) for column in EVENTS.columns}
    given = {"commit_delay_s": 0.2, "limits": NO_LIMITS} | options
    return EmulatorServer(folder, tables={EVENTS.name: columns}, **given)  # type: ignore[arg-type]


def configured(emulator: EmulatorServer, **keys: object) -> SnowflakeConfig:
    """Give a configuration that leads to an emulator."""
    given = {
        "account": ACCOUNT,
        "user": USER,
        "private_key_path": str(emulator.key_file),
        "url": emulator.url,
        "ca_file": str(emulator.ca_file),
        "stuck_seconds": 30.0,
    }
    return SnowflakeConfig(**(given | keys))  # type: ignore[arg-type]


class Rig:
    """One process of ours, as often begun anew as a test likes."""

    def __init__(self, folder: Path, emulator: EmulatorServer, deployment: str = "main", **keys: object) -> None:
        self.emulator, self.deployment = emulator, deployment
        self.config = configured(emulator, deployment=deployment, **({"retry_seconds": 2.0} | keys))
        self._notes = folder / f"channels-{deployment}.json"
        self.rejections: list[Rejection] = []
        self.sink = self.new_sink()
        self.writer: StreamingWriter | None = None

    def new_sink(self, earlier: int | None = None) -> StreamingSink:
        """Give a sink as a new process would; ``earlier`` is how far files have filled the table."""
        account, notes = account_of(self.config, {}), ChannelNotes(self._notes)
        told = self.rejections.append
        return StreamingSink.of(self.config, account, SystemClock(), notes, told, lambda *_: earlier)

    def open(self, log_id: str = LOG) -> StreamingWriter:
        """Open the table's writer, and let go of the one before."""
        self.close()
        self.writer = self.sink.open(EVENTS, log_id, "0")
        return self.writer

    def close(self) -> None:
        """Let go of the writer: the client's own finaliser would wait for its rows, in whatever thread it runs."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    @property
    def channel(self) -> str:
        """The channel's name."""
        return f"thirdrail-{self.deployment}-0"

    def found(self) -> list[tuple[int, int]]:
        """Give what the emulator has of this deployment, in its order."""
        table = self.emulator.storage.rows(EVENTS.name)
        channels = table.column("_channel").to_pylist()
        pairs = zip(table.column("capture_offset").to_pylist(), table.column("entity_ordinal").to_pylist(), strict=True)
        return [pair for pair, channel in zip(pairs, channels, strict=True) if channel == self.channel]


def pairs(start: int, end: int) -> list[tuple[int, int]]:
    """Give what a span must have brought, in order."""
    return [(offset, ordinal) for offset in range(start, end) for ordinal in range(offset * 7 % 5)]


def settle(writer: DeferredWriter, position: int, within_s: float = 12.0) -> None:
    """Wait until a position is durable."""
    deadline = time.monotonic() + within_s
    while (writer.settle() or 0) < position:
        assert time.monotonic() < deadline, f"at {writer.position}, not at {position}, after {within_s} s"
        time.sleep(0.02)


class Opens(Protocol):
    """A rig of either method."""

    sink: Any

    def open(self) -> DeferredWriter:
        """Open the table's writer."""
        ...

    def new_sink(self) -> Any:
        """Give a sink as a new process would."""
        ...


def deliver(rig: Opens, end: int, random: Random, *, within_s: float = 90.0) -> int:
    """Bring offsets 0 to ``end`` over, beginning anew after every error; give how many errors there were."""
    errors, deadline = 0, time.monotonic() + within_s
    while True:
        assert time.monotonic() < deadline, f"{errors} errors, and not done after {within_s} s"
        try:
            writer = rig.open()
            if writer.position is None:
                writer.submit(rows(Span(0, 0)), Span(0, 0))
            position = writer.position or 0
            while position < end:
                span = Span(position, min(end, position + random.randint(1, 40)))
                writer.submit(rows(span), span)
                position = span.end
                writer.settle()
            settle(writer, end, within_s)
        except SinkError:
            errors += 1
            if random.random() < 0.3:
                rig.sink = rig.new_sink()  # as a new process would, with the old one's requests still on their way
            time.sleep(0.05)
            continue
        writer.close()
        return errors
