"""Rows made by several processes at once, committed by one (decision 0009).

Each worker owns feeds, reads the log by itself, makes the rows of a page and writes their files, while the pipeline
commits those of the page before. What nobody commits is an orphan: positions, commits and acknowledgements stay with
the one pipeline, and a worker that dies is an error after which everything is made again from the log.
"""

import multiprocessing
import pickle
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from zlib import crc32

import pyarrow as pa
import pyarrow.compute as pc

from thirdrail.errors import ThirdRailError, WorkerGone
from thirdrail.model.feeds import Feed
from thirdrail.model.ports import CaptureLog, Prepared, Preparing
from thirdrail.model.records import Span
from thirdrail.model.tables import BY_NAME, FEED_MESSAGES
from thirdrail.pipeline.changes import Unknown
from thirdrail.pipeline.processor import Processor
from thirdrail.pipeline.told import Told, told
from thirdrail.pipeline.transform import Rows


@dataclass(frozen=True, slots=True)
class Team:
    """How many workers, and how each opens the log and the destination for itself: callables that can be pickled."""

    count: int
    open_log: Callable[[], CaptureLog]
    open_sink: Callable[[], Preparing]


_ALONE = "bus_trip_updates"
"""Three rows of four at the MTA's full size are this feed's."""


def owner(feed_id: str, workers: int) -> int:
    """Give the worker that makes a feed's rows: the heaviest has the last one for itself."""
    if workers == 1:
        return 0
    return workers - 1 if feed_id == _ALONE else crc32(feed_id.encode()) % (workers - 1)


@dataclass(frozen=True, slots=True)
class _Job:
    """What a worker is told at its birth."""

    number: int
    team: Team
    partition: str
    position: int
    positions: Mapping[str, int]
    feeds: Mapping[str, Feed]
    unknown: Unknown

    def owns(self, feed_id: str | None) -> bool:
        """Whether this worker makes a feed's rows; those of orders and rejections (None) are the first's."""
        return self.number == (0 if feed_id is None else owner(feed_id, self.team.count))


class Workers:
    """Processes that make rows; ``begin`` spans in order, then ``finish`` them in order. Blocks in ``finish``."""

    def __init__(
        self,
        team: Team,
        partition: str,
        position: int,
        positions: Mapping[str, int],
        feeds: Mapping[str, Feed],
        unknown: Unknown,
    ) -> None:
        """Begin them at a position; ``positions`` are those of the tables, which may be further."""
        self._positions = dict(positions)
        context = multiprocessing.get_context("spawn")  # a fork would copy locks that a thread holds
        self._pipes: list[Connection] = []
        self._processes = []
        for number in range(team.count):
            ours, theirs = context.Pipe()
            job = _Job(number, team, partition, position, positions, feeds, unknown)
            process = context.Process(target=_work, args=(job, theirs), daemon=True, name=f"thirdrail-worker-{number}")
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def begin(self, span: Span) -> None:
        """Let every worker make its rows of a span.

        Raises:
            WorkerGone: one of them has ended.
        """
        for number, pipe in enumerate(self._pipes):
            try:
                pipe.send(span)
            except OSError as error:
                raise self._gone(number) from error

    def finish(self, rows: Rows) -> int:
        """Add the rows of the span begun first; give how many captures it held.

        Raises:
            WorkerGone: a worker has ended.
            ThirdRailError: what a worker met.
        """
        captures, rows.made_from = 0, self._positions
        for number, pipe in enumerate(self._pipes):
            try:
                answer = pipe.recv_bytes()
            except (EOFError, OSError) as error:
                raise self._gone(number) from error
            found = pickle.loads(answer)  # noqa: S301 - from a process of ours, by a pipe that nobody else has
            if isinstance(found, ThirdRailError):
                raise found
            count, decoded_rows, prepared, about = found
            captures += count
            rows.decoded_rows += decoded_rows
            rows.told.add(about)
            for name, files in prepared.items():
                rows.prepared[name] += files
        return captures

    def _gone(self, number: int) -> WorkerGone:
        code = self._processes[number].exitcode
        return WorkerGone(
            f"worker {number} of {len(self._pipes)} has ended" + (f" with status {code}" if code else ""),
            hint="nothing is lost, its rows are made again from the log; killed for memory, it wants fewer beside it",
        )

    def close(self) -> None:
        """Let the workers end; repeating is harmless."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(5)
            if process.is_alive():
                process.kill()
                process.join()
        self._pipes, self._processes = [], []


def _work(job: _Job, pipe: Connection) -> None:
    """Make rows until the pipe ends: the pipeline has closed it, or is no more."""
    for sent_to_all in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sent_to_all, signal.SIG_IGN)  # the pipeline decides when to stop
    pa.set_memory_pool(pa.system_memory_pool())
    log, sink = job.team.open_log(), job.team.open_sink()
    processor = Processor(log, job.partition, job.position, job.feeds, job.owns, job.unknown)
    try:
        while True:
            pipe.send_bytes(pickle.dumps(_answer(processor, log, sink, job, pipe.recv())))
    except (EOFError, OSError):
        log.close()


_Answer = tuple[int, int, dict[str, list[Prepared]], Told]
"""Captures, decoded rows, by table what was made durable, and what the batch has to tell."""


def _answer(processor: Processor, log: CaptureLog, sink: Preparing, job: _Job, span: Span) -> _Answer | ThirdRailError:
    rows = Rows()
    try:
        captures = _processed(processor, log, job.partition, span, rows)
        prepared = {
            name: list(sink.prepare(BY_NAME[name], new)) for name in rows.tables if len(new := _new(name, rows, job))
        }
    except ThirdRailError as error:
        return error
    except Exception as error:  # noqa: BLE001 - a process's top: the pipeline hears it, and begins again
        return ThirdRailError(f"unexpected {type(error).__name__} in a worker: {error}", hint="please report this")
    return captures, rows.decoded_rows, prepared, told(rows.tables.get(FEED_MESSAGES.name, ()))


def _processed(processor: Processor, log: CaptureLog, partition: str, span: Span, rows: Rows) -> int:
    captures, position = 0, span.start
    while position < span.end:
        entries = [entry for entry in log.read(partition, position, 256) if entry.offset < span.end]
        if not entries:
            break
        captures += processor.process(entries, rows)
        position = entries[-1].offset + 1
    return captures


def _new(name: str, rows: Rows, job: _Job) -> pa.Table:
    """Give a table's rows without those that it had when the worker began."""
    whole = pa.concat_tables(rows.tables[name])
    position = job.positions.get(name)
    if position is None or position <= job.position:
        return whole
    return whole.filter(pc.greater_equal(pa.chunked_array(rows.offsets[name]), position))
