"""Every error an operator could meet, one class per thing they would do differently.

::

    ThirdRailError
    ├── UsageError                  the command or the configuration is wrong (exit 2)
    │   ├── UnknownFeed             the feed id is not declared; nearest names are offered
    │   ├── BadDuration             "5 parsecs" is no duration
    │   ├── BadTime                 a time without zone, or no time at all
    │   ├── ConfigError             a key or value of the configuration, with its path
    │   ├── NoInput                 a path that holds nothing to read
    │   ├── DataFolderError         the data folder cannot be used: file, foreign, newer, moved
    │   │   ├── DataFolderMoved     its tables name another absolute path
    │   │   └── NoDataYet           nothing has been written there
    │   ├── QueryError              SQL that does not run, or that writes
    │   └── MissingLibrary          a library that only this call needs is not installed
    ├── BackupFailed                a folder could not be copied: its files went faster than they were copied
    ├── BackupDamaged               a backup is not as it was written; its files are named
    ├── DecodeError                 the bytes are not the message they claim to be (SKIP)
    ├── LogError
    │   ├── LogBusy                 another process appends to this log
    │   ├── LogDamaged              part of the log cannot be read; its offsets are named
    │   ├── CapturesGone            the log no longer holds what a table still needs
    │   ├── LogBehindDestination    a table is further than the log: the log was lost or restored
    │   └── DiskFull                no space; nothing is lost, all resumes when there is space (RETRY)
    └── SinkError
        ├── PositionUnknown         rows, but no position: somebody else wrote this table
        ├── PositionGap             a span that starts above the position (our bug)
        ├── PositionRegressed       a snapshot with a lower position than its parent
        ├── CommitConflict          somebody else committed first (RETRY)
        ├── CommitOutcomeUnknown    the commit may have landed: ask the table (REOPEN)
        ├── SnowflakeUnavailable    Snowflake does not answer in time (RETRY)
        ├── SnowflakeRefused        key, role, grant or pipe: somebody must mend it
        ├── ChannelInvalid          what a channel has not committed is sent again (REOPEN)
        ├── ChannelOwnedElsewhere   another process takes the same channels again and again
        ├── ChannelStuck            a channel says SUCCESS, or a file was submitted, and nothing comes (REOPEN)
        ├── StagedFileRefused       Snowflake has not loaded a staged file whole
        ├── HandOverPending         files of the other method are still being loaded (RETRY)
        ├── SchemaMismatch          the table's columns are not the declared ones
        ├── ChannelInUse            a channel that somebody writes, or whose token is needed, is not dropped
        └── CatalogUnavailable      the catalog does not answer (RETRY)

``remedy`` tells the pipeline what to do, ``hint`` tells a person. Messages say what was expected,
what was seen and where; they never hold a secret.
"""

from enum import StrEnum
from typing import ClassVar


class Remedy(StrEnum):
    """What the caller does about an error."""

    RETRY = "retry"
    REOPEN = "reopen"
    SKIP = "skip"
    HALT = "halt"


class ThirdRailError(Exception):
    """The root; ``str(error)`` is one line for a person, ``hint`` the next step."""

    remedy: ClassVar[Remedy] = Remedy.HALT
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(ThirdRailError):
    """The command line or the configuration asks for something that cannot be."""

    exit_code = 2


class UnknownFeed(UsageError):
    """No feed of this id is declared."""


class BadDuration(UsageError):
    """A duration is a number and a unit: ``90s``, ``15m``, ``24h``, ``7d``."""


class BadTime(UsageError):
    """A time is ISO 8601 with a zone, or a date."""


class ConfigError(UsageError):
    """A key or value of the configuration, named by its path."""


class NoInput(UsageError):
    """A path holds nothing that can be read."""


class DataFolderError(UsageError):
    """The data folder cannot be used as one."""


class DataFolderMoved(DataFolderError):
    """The tables name another absolute path than the one they were found at."""


class NoDataYet(DataFolderError):
    """The folder holds no tables yet."""


class QueryError(UsageError):
    """SQL that does not parse or run, or that would write."""

    exit_code = 1


class MissingLibrary(UsageError):
    """A library that nothing else needs is not installed; the hint installs it."""


class WorkerGone(ThirdRailError):
    """A worker process has ended; its rows are made again from the log."""

    remedy = Remedy.REOPEN


class BackupFailed(ThirdRailError):
    """A data folder could not be copied."""


class BackupDamaged(ThirdRailError):
    """A backup is not finished, or not as it was written."""


class DecodeError(ThirdRailError):
    """Bytes that are not the message they claim to be; only that message is harmed."""

    remedy = Remedy.SKIP


class LogError(ThirdRailError):
    """The capture log."""


class LogBusy(LogError):
    """Another process appends to this log; readers are welcome all the same."""


class LogDamaged(LogError):
    """Part of the log cannot be read; the rest stays readable."""


class CapturesGone(LogError):
    """The log has dropped, or somebody has taken away, captures that are still needed."""


class LogBehindDestination(LogError):
    """A table's position lies above the log's end."""


class DiskFull(LogError):
    """No space left; nothing that was acknowledged is lost."""

    remedy = Remedy.RETRY


class SinkError(ThirdRailError):
    """A destination."""


class PositionUnknown(SinkError):
    """The table holds rows but no snapshot says how far the log was read."""


class PositionGap(SinkError):
    """A span starts above the position: rows between the two would be lost."""


class PositionRegressed(SinkError):
    """A snapshot carries a lower position than its parent."""


class RowsDiffer(SinkError):
    """A rewrite of files would not hold the rows that they hold."""


class CommitConflict(SinkError):
    """The table moved on between reading and committing."""

    remedy = Remedy.RETRY


class CommitOutcomeUnknown(SinkError):
    """The commit may or may not have landed; only the table knows."""

    remedy = Remedy.REOPEN


class SnowflakeUnavailable(SinkError):
    """No answer from Snowflake within the time for tries."""

    remedy = Remedy.RETRY


class SnowflakeRefused(SinkError):
    """Snowflake says no, and will say so again: key, role, grant, pipe."""


class ChannelInvalid(SinkError):
    """A channel takes no more; what it has not committed is sent again through a new one."""

    remedy = Remedy.REOPEN


class ChannelOwnedElsewhere(SinkError):
    """Another process opens the same channels: two installations with one ``snowflake.deployment``."""


class ChannelStuck(SinkError):
    """Rows that a channel accepted, or a file that a pipe was told of, long ago are still not in the table."""

    remedy = Remedy.REOPEN


class StagedFileRefused(SinkError):
    """Snowflake has not loaded a staged file, or not all of it; it is kept there."""


class HandOverPending(SinkError):
    """The method was changed, and files that were submitted by the other one are not loaded yet."""

    remedy = Remedy.RETRY


class SchemaMismatch(SinkError):
    """The table's columns differ from the declaration in a way that cannot be evolved."""


class TableUnreadable(SinkError):
    """Another engine has changed a table in a way that is not read here."""


class ChannelInUse(SinkError):
    """A channel that somebody writes, or whose token is needed, is not dropped."""


class CatalogUnavailable(SinkError):
    """The catalog does not answer in time."""

    remedy = Remedy.RETRY
