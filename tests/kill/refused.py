"""A process that carries what the log holds, or has refused rows sent again, and dies by SIGKILL at a named point."""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.snowflake.test_hand_over import AT, FEEDS
from thirdrail import app
from thirdrail.app.writing import writing
from thirdrail.capturelog.spool import Spool
from thirdrail.city.messages import body, header_time
from thirdrail.config.reading import load
from thirdrail.errors import StagedFileRefused
from thirdrail.model.records import Poll, Rejection, ReplayOrder
from thirdrail.sinks.snowflake.notes import ChannelNotes
from thirdrail.sinks.snowpipe import writer as files_writer
from thirdrail.sinks.snowpipe.writer import FilesWriter
from thirdrail.sinks.snowpipe_streaming.writer import StreamingWriter

TABLE = "stop_time_updates"


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dies_after(owner: type, name: str, when: Callable[..., bool]) -> None:
    """Let a method be the last thing that this process does, once it was called so."""
    real = getattr(owner, name)

    def then_die(self: Any, *arguments: Any, **more: Any) -> Any:
        given = real(self, *arguments, **more)
        if when(self, *arguments):
            die()
        return given

    setattr(owner, name, then_die)


def _appends(kind: type) -> Callable[..., bool]:
    return lambda _self, _partition, records: any(isinstance(record, kind) for record, _ in records)


POINTS: dict[str, Callable[[], None]] = {
    "": lambda: None,
    "the server has refused, nobody knows": lambda: setattr(StreamingWriter, "_learn", die),
    "the log is told": lambda: dies_after(Spool, "append", _appends(Rejection)),
    "it is noted": lambda: dies_after(ChannelNotes, "note", lambda _self, _channel, rejected: rejected > 0),
    "it is ordered": lambda: dies_after(Spool, "append", _appends(ReplayOrder)),
    "rows are handed over": lambda: dies_after(StreamingWriter, "_append", lambda *_: True),
    "rows are committed, nobody knows": lambda: setattr(StreamingWriter, "_learn", die),
    "the file is refused, nobody knows": lambda: setattr(FilesWriter, "_tell", die),
    "the file is behind us": lambda: dies_after(FilesWriter, "_pass_over", lambda *_: True),
    "rows are loaded, nobody knows": lambda: dies_after(FilesWriter, "_is_done", lambda *_: True),
}


def main(data: Path, config_file: Path, what: str, point: str, payloads: str) -> None:
    """Do a step: ``minute N`` polls and carries, ``carry`` carries alone, ``replay`` has refused rows sent again.

    A file that is refused stops the sink: that ends a step, too.
    """
    files_writer.ASK_S = 0.1
    POINTS[point]()
    with suppress(StagedFileRefused), writing(data, load(config_file)) as work:
        if what.startswith("minute"):
            minute = int(what.split()[1])
            work.note_settings()
            work.append(
                [
                    (Poll(feed_id=feed, fetched_at=(header_time(feed, AT) + 60 * minute + 3) * 1_000_000), text)
                    for feed in FEEDS[:1]
                    for text in (body(0, feed, AT + 60 * minute),)
                ]
            )
        if what == "replay":
            found, lines = app.open_rejections(work.folder), Path(payloads)
            text = lines.read_text() if lines.exists() else None
            app.order_replay(work, [], app.sent_again(work.log, found.values(), text))
        work.drain(app.Totals())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:6])
