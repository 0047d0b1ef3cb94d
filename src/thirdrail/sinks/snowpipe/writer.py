"""One table's files: rows are gathered, staged under a name that says which they are, submitted, and waited for.

Exactly once rests on three things. A file is staged before it is submitted, so whatever may ever be loaded is on the
stage; a name is loaded once; and who opens the table takes over every staged file that is not loaded yet, with its
span, before new spans are cut.
"""

import datetime as dt
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from thirdrail.errors import ChannelStuck, LogBehindDestination, PositionUnknown
from thirdrail.model.ports import Clock
from thirdrail.model.records import Position, Span
from thirdrail.model.tables import Table
from thirdrail.model.tokens import Token, after, in_order
from thirdrail.sinks.snowflake.fit import Reject, fit
from thirdrail.sinks.snowpipe.names import StagedName, parsed
from thirdrail.sinks.snowpipe.ports import Loading, Outcome, Stage, Staged
from thirdrail.sinks.snowpipe.refused import refusal, rejection
from thirdrail.sinks.spans import refuse_gap

ASK_S = 2.0
"""Between two questions what has become of files."""
ASK_HISTORY_S = 60.0
"""A file of which nothing was heard for so long is looked up in the load history."""
REMEMBERED = dt.timedelta(days=13)
"""Snowflake knows for 14 days what it has loaded; an older file of unknown fate is nobody's to load again."""
_SLOW = 5
_STUCK_FOR_GOOD = 50


@dataclass(frozen=True, slots=True)
class Limits:
    """When gathered rows become a file."""

    rows: int
    bytes: int
    seconds: float


class Books(NamedTuple):
    """What a writer remembers outside of itself."""

    loaded: Position | None
    """How far the table was known to be loaded when it was opened."""
    note: Callable[[Position], None]
    """Remember how far it is, durably."""
    reject: Reject
    """Tell the log of rows that Snowflake would refuse, and of files that it did."""
    refused: Mapping[str, str]
    """Files that it was told of and that we have not passed: path → why they were refused."""
    note_refused: Callable[[dict[str, str]], None]
    """Remember them, durably."""
    is_settled: Callable[[str, Position], bool]
    """Whether a person has settled that a file was refused, by what the log holds from a position on."""
    token: Token | None = None
    """How far the table is by channels."""
    log_end: Position | None = None
    """Where the log ended when we began, until the table was opened once: nothing beyond it can be staged by then."""
    skipped: Position = 0
    """Where a table that has a position goes on at the lowest; files that are staged below are loaded all the same."""


class _File(NamedTuple):
    name: StagedName
    size: int
    submitted_at: float


def _overlap(one: StagedName, other: StagedName) -> bool:
    return one.start < other.end and other.start < one.end


class FilesWriter:
    """The one writer of a table and partition; see ``DeferredWriter``. Blocks for a call of Snowflake's."""

    def __init__(
        self,
        table: Table,
        of: tuple[str, str],
        place: tuple[Stage, Loading],
        books: Books,
        clock: Clock,
        *,
        limits: Limits,
        stuck_seconds: float,
    ) -> None:
        """Take over what is staged for a table ``of`` a log and partition.

        Raises:
            StagedFileRefused: Snowflake has not loaded a file, or not all of it, and nobody has settled that.
            PositionUnknown: a staged file is another log's, or so old that nobody knows whether it was loaded.
            LogBehindDestination: a staged file holds rows of records that the log does not have.
        """
        self._table, (self._log_id, self._partition) = table, of
        (self._stage, self._pipe), self._books, self._clock = place, books, clock
        self._limits, self._stuck_seconds = limits, stuck_seconds
        self._files: deque[_File] = deque()
        self._loaded_files: list[StagedName] = []
        self._fates: dict[str, Outcome] = {}
        self._refused = {name: why for path, why in books.refused.items() if (name := parsed(path)) is not None}
        self._passed: set[StagedName] = set()
        self._gathered: list[pl.DataFrame] = []
        self._gathered_from = self._gathered_rows = self._gathered_bytes = 0
        self._since = 0.0
        self._end: Position | None = None
        self._is_noted = books.loaded is not None
        self._asked_at = self._asked_history_at = clock.monotonic()
        self.rows_sent = self.bytes_sent = self.rows_rejected = 0
        self.trouble = ""
        self._known = self._heard_of()
        self._resume = self._known
        self._take_over(self._ours(self._stage.files()))
        if self._resume is not None:
            self._resume = max(self._resume, Token(books.skipped))
        self._tidy()

    def _heard_of(self) -> Token | None:
        """How far the table is by what is remembered, and by channels."""
        known = [] if self._books.loaded is None else [Token(self._books.loaded)]
        return max(known if self._books.token is None else [*known, self._books.token], default=None)

    def _take_over(self, staged: Mapping[StagedName, Staged]) -> None:
        """Learn from the stage and the load history how far the table is, and what is on its way."""
        if staged or self._known is not None:
            # A day at least: of a file that was refused and taken away since, the name must not be used again.
            day_ago = self._now() - dt.timedelta(days=1)
            self._fates = dict(self._pipe.history(min([each.modified for each in staged.values()] + [day_ago])))
        floor = 0 if self._known is None else self._known.offset
        self._passed = self._settled(staged, floor)
        loaded = {name for name in staged if (fate := self._fates.get(name.path)) is not None and fate.is_loaded}
        loaded |= self._passed
        adopted: list[StagedName] = []
        for name in sorted(loaded.union(staged)):
            if name.end <= floor:
                self._loaded_files.append(name)
            elif name in self._passed and not self._files:
                self._pass_over(name)
            elif name not in loaded and (name.start < floor or any(_overlap(name, other) for other in loaded)):
                self._stage.remove(name.path)  # of a cut that was given up before it was submitted
            elif name in loaded and not self._files:
                self._loaded_files.append(name)
                self._known = self._resume = max(self._known or Token(0), Token(name.end))
            else:
                if name not in loaded:
                    self._refuse_unloadable(name, staged[name], adopted)
                    adopted.append(name)
                size = staged[name].size if name in staged else 0
                self._files.append(_File(name, size, self._clock.monotonic()))
                self._resume = Token(name.end)
        if adopted:
            self._pipe.submit([(name.path, staged[name].size) for name in adopted])

    def _settled(self, staged: Mapping[StagedName, Staged], floor: Position) -> set[StagedName]:
        """Tell the log of all files that were refused; give those that a person has settled.

        What is remembered decides, not the stage: rows of a file that was taken away must not be staged a second time,
        since an order brings them.

        Raises:
            StagedFileRefused: naming the first that nobody has settled.
        """
        for name in sorted(staged):
            fate = self._fates.get(name.path)
            if name.end > floor and fate is not None and fate.is_refused and name not in self._refused:
                self._tell(name, fate)
        found = {name for name in self._refused if name.end > floor and self._books.is_settled(name.path, name.start)}
        for name in sorted(self._refused):
            if name.end > floor and name not in found:
                raise refusal(self._table.name, name, self._refused[name])
        return found

    def _tell(self, name: StagedName, fate: Outcome) -> None:
        """Tell the log of a file that was refused, and remember that it knows."""
        told = rejection(self._table.name, name, fate, self._books.token, self._clock.now())
        self._books.reject(told)
        self._refused[name] = told.reason
        self._note_refused()

    def _note_refused(self) -> None:
        self._books.note_refused({name.path: why for name, why in self._refused.items()})

    def _pass_over(self, name: StagedName) -> None:
        """Go on above a file that was refused: an order brings its rows, or a person has given them up."""
        self._books.note(name.end)
        self._known = max(self._known or Token(0), Token(name.end))
        self._resume = max(self._resume or Token(0), self._known)
        self._stage.remove(name.path)
        del self._refused[name]
        self._note_refused()

    def _ours(self, staged: Sequence[Staged]) -> dict[StagedName, Staged]:
        found: dict[StagedName, Staged] = {}
        for each in staged:
            name = parsed(each.path)
            if name is None or name.partition != self._partition:
                continue
            if name.log_id != self._log_id:
                raise PositionUnknown(
                    f"{self._table.name}: file {each.path} is staged from another capture log; this is {self._log_id}",
                    hint="put the old log back, or give this one a snowflake.deployment of its own",
                )
            found[name] = each
        return found

    def _refuse_unloadable(self, name: StagedName, file: Staged, adopted: list[StagedName]) -> None:
        if adopted and _overlap(name, adopted[-1]):
            raise PositionUnknown(
                f"{self._table.name}: files {adopted[-1].path} and {name.path} hold the same rows; neither is loaded",
                hint="when Snowflake has loaded the one that was submitted, the other is removed; should it load none "
                "within minutes, remove the shorter one from the stage",
            )
        if self._books.log_end is not None and name.end > self._books.log_end:
            raise LogBehindDestination(
                f"{self._table.name}: file {name.path} is staged, with rows of captures up to offset {name.end}, but "
                f"the capture log ends at {self._books.log_end}: it was lost or restored from an older copy",
                hint="keep the tables and start the log above them: thirdrail captures skip",
            )
        if name.path not in self._fates and self._now() - file.modified > REMEMBERED:
            raise PositionUnknown(
                f"{self._table.name}: file {name.path} has been on the stage since {file.modified:%Y-%m-%d}, and "
                "Snowflake no longer knows whether it has loaded it",
                hint=f"see whether {self._table.name} has rows of captures {name.start} to {name.end - 1}: if not, "
                "remove the file from the stage; if so, start above it, too (thirdrail captures skip)",
            )

    def _now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._clock.now() / 1e6, dt.UTC)

    @property
    def position(self) -> Position | None:
        """How far the table durably is: below the oldest file that is not loaded, or the rows that are gathered."""
        reached = self._reached
        return None if reached is None else max(reached, self._books.skipped)

    @property
    def _reached(self) -> Position | None:
        if self._files:
            return self._files[0].name.start
        if self._gathered:
            return self._gathered_from
        if self._known is None:
            return self._end
        return max(self._known.offset, self._end or 0)

    @property
    def is_settled(self) -> bool:
        """Whether nothing is on its way."""
        return not self._files and not self._gathered

    def submit(self, rows: pa.Table, span: Span, offsets: pa.Array | None = None) -> None:
        """Gather the rows of a span that the table and the stage do not have."""
        refuse_gap(self._table.name, self._end, span)
        self._begin(span.start)
        self._end = max(span.end, self._end or 0)
        if len(rows):
            self._gather(rows, span, offsets)
        self._cut_if_due()

    def _begin(self, start: Position) -> None:
        """Remember, before anything is staged, that files fill this table: channels then ask how far those are."""
        if self._known is None and not self._files:
            self._known = Token(start)
        if not self._is_noted:
            known = self._known.offset if self._known is not None else self._files[0].name.start
            self._books.note(known)
            self._is_noted = True

    def _gather(self, rows: pa.Table, span: Span, offsets: pa.Array | None) -> None:
        frame = in_order(self._table, rows, offsets)
        start = span.start
        if self._resume is not None:
            frame, start = after(frame, self._resume), max(start, self._resume.offset)
        sent = fit(self._table, frame, self._log_id, self._clock, self._books.reject)
        self.rows_rejected += len(frame) - len(sent)
        if sent.is_empty():
            return
        if not self._gathered:
            self._gathered_from, self._since = start, self._clock.monotonic()
        self._gathered.append(sent.select(self._table.names()))
        self._gathered_rows += len(sent)
        self._gathered_bytes += int(sent.estimated_size())

    def _cut_if_due(self) -> None:
        if self._gathered and (
            self._gathered_rows >= self._limits.rows
            or self._gathered_bytes >= self._limits.bytes
            or self._clock.monotonic() - self._since >= self._limits.seconds
        ):
            self.flush()

    def flush(self) -> None:
        """Stage what is gathered as one file, and have it loaded."""
        if not self._gathered or self._end is None:
            return
        name = StagedName(self._log_id, self._partition, self._gathered_from, self._end)
        while name.path in self._fates:
            name = name._replace(attempt=name.attempt + 1)
        rows = pl.concat(self._gathered).to_arrow().cast(self._table.arrow_schema)
        with tempfile.TemporaryDirectory(prefix="thirdrail-stage-") as folder:
            file = Path(folder) / "rows.parquet"
            pq.write_table(rows, file, compression="zstd", compression_level=3)
            size = file.stat().st_size
            self._stage.put(file, name.path)
        self._pipe.submit([(name.path, size)])
        self._files.append(_File(name, size, self._clock.monotonic()))
        self.rows_sent += len(rows)
        self.bytes_sent += size
        self._gathered, self._gathered_rows, self._gathered_bytes = [], 0, 0

    def settle(self) -> Position | None:
        """Ask what has become of files, at most every few seconds."""
        self._cut_if_due()
        now = self._clock.monotonic()
        if self._files and now - self._asked_at >= ASK_S:
            self._asked_at = now
            self._hear(self._pipe.recent())
            if self._files and now - max(self._files[0].submitted_at, self._asked_history_at) >= ASK_HISTORY_S:
                self._asked_history_at = now
                waited = dt.timedelta(seconds=now - self._files[0].submitted_at + 600)
                self._hear(self._pipe.history(self._now() - waited))
        return self.position

    def _hear(self, fates: Mapping[str, Outcome]) -> None:
        self._fates |= {path: fate for path, fate in fates.items() if fate.is_loaded or fate.is_refused}
        before = len(self._files)
        while self._files and self._is_done(self._files[0].name):
            self._files.popleft()
        if len(self._files) != before:
            self._tidy()
            alive = {each.name.path for each in self._files} | {each.path for each in self._loaded_files}
            self._fates = {path: fate for path, fate in self._fates.items() if path in alive or fate.is_refused}
        self._watch()

    def _is_done(self, name: StagedName) -> bool:
        """Whether the oldest file is behind us, which is noted.

        Raises:
            StagedFileRefused: it is refused.
        """
        if name in self._passed:
            self._pass_over(name)
            return True
        fate = self._fates.get(name.path)
        if fate is None:
            return False
        if fate.is_refused:
            self.rows_rejected += max(1, fate.errors)
            self._tell(name, fate)
            raise refusal(self._table.name, name, self._refused[name])
        self._books.note(name.end)
        self._known = Token(name.end)
        self._loaded_files.append(name)
        return True

    def _tidy(self) -> None:
        """Remove loaded files, all but the newest: that one shows how far the table is to who has lost all else."""
        while len(self._loaded_files) > 1:
            self._stage.remove(self._loaded_files[0].path)
            del self._loaded_files[0]

    def _watch(self) -> None:
        still = self._clock.monotonic() - self._files[0].submitted_at if self._files else 0.0
        if still <= _SLOW * self._stuck_seconds:
            self.trouble = ""
            return
        self.trouble = (
            f"{self._table.name}: file {self._files[0].name.path} was submitted, and Snowflake has not told of it for "
            f"{still // self._stuck_seconds * self._stuck_seconds:.0f} s"
        )
        if still > _STUCK_FOR_GOOD * self._stuck_seconds:
            raise ChannelStuck(self.trouble, hint="it is submitted again, under its name: nothing is loaded twice")

    def close(self) -> None:
        """Let go; gathered rows come from the log again, staged files are taken over by who opens the table next."""
        self._gathered = []
