"""What a data folder remembers of Snowflake, since a channel that is gone cannot say that it ever was.

Of channels not how far they are: that they say themselves. Without this file a dropped channel looks like that of a
new table, and rows that were committed and not yet listed in ``feed_messages`` would be sent a second time. Of staged
files how far they were loaded: Snowflake forgets after a fortnight, and loaded files are removed.
"""

import threading
from pathlib import Path

import msgspec

from thirdrail.errors import PositionUnknown
from thirdrail.model.records import Position
from thirdrail.model.tables import Table
from thirdrail.sinks.iceberg.files import put_file


class Known(msgspec.Struct):
    """Channels that were made (``pipe/channel``), and of each how many refused rows the log has been told of.

    ``files`` is the position up to which a table's (``table/partition``) staged files were loaded, until a channel of
    its own has gone beyond; ``refused`` are files (path → why) above it that Snowflake has not loaded. ``skipped`` is,
    by log, where a person let all tables go on: captures below are lost to those that did not have them. ``place`` is
    the schema that all this is about; empty where an older version wrote it.
    """

    channels: dict[str, int] = {}
    files: dict[str, Position] = {}
    refused: dict[str, dict[str, str]] = {}
    skipped: dict[str, Position] = {}
    place: str = ""


def files_key(table: Table, partition: str) -> str:
    """Give the name under which a table's staged files are remembered."""
    return f"{table.name}/{partition}"


class ChannelNotes:
    """The file, read at birth and written whole; for several threads."""

    def __init__(self, path: Path, place: str = "") -> None:
        """Read what is remembered of a ``place`` (account/database/schema).

        Raises:
            PositionUnknown: it is about another place.
        """
        self._path, self._writing = path, threading.Lock()
        self._known = msgspec.json.decode(path.read_bytes(), type=Known) if path.exists() else Known()
        if place and self._known.place and place != self._known.place:
            raise PositionUnknown(
                f"{path} is about channels and files of {self._known.place}, and the configuration names {place}",
                hint="put the configuration back, or let a data folder of its own fill the other tables "
                "(thirdrail captures export, replay); whoever moved the same tables edits the place in that file",
            )
        self._known.place = self._known.place or place

    def __contains__(self, channel: str) -> bool:
        return channel in self._known.channels

    def rejected(self, channel: str) -> int:
        """Give how many refused rows of a channel the log knows."""
        return self._known.channels.get(channel, 0)

    def note(self, channel: str, rejected: int) -> None:
        """Remember a channel, durably."""
        if self._known.channels.get(channel) != rejected:
            self._known.channels[channel] = rejected
            self._write()

    def forget(self, channel: str) -> None:
        """A person has dropped it."""
        if self._known.channels.pop(channel, None) is not None:
            self._write()

    def loaded(self, table: str) -> Position | None:
        """Give how far a table's staged files were loaded; None when channels alone have filled it."""
        return self._known.files.get(table)

    def note_loaded(self, table: str, position: Position) -> None:
        """Remember how far a table's staged files are loaded, durably."""
        if self._known.files.get(table) != position:
            self._known.files[table] = position
            self._write()

    def forget_loaded(self, table: str) -> None:
        """Its channel has gone beyond."""
        if self._known.files.pop(table, None) is not None:
            self._write()

    def refused(self, table: str) -> dict[str, str]:
        """Give the staged files of a table that were refused, and why."""
        return self._known.refused.get(table, {})

    def note_refused(self, table: str, files: dict[str, str]) -> None:
        """Remember which staged files of a table were refused, durably."""
        if self.refused(table) != files:
            self._known.refused[table] = files
            self._write()

    def skipped(self, log_id: str) -> Position:
        """Give where tables go on at the lowest; 0 when nothing was ever skipped."""
        return self._known.skipped.get(log_id, 0)

    def note_skipped(self, log_id: str, position: Position) -> None:
        """Let tables go on at a position, durably; it never goes back."""
        if position > self.skipped(log_id):
            self._known.skipped[log_id] = position
            self._write()

    def _write(self) -> None:
        with self._writing:
            put_file(self._path, msgspec.json.format(msgspec.json.encode(self._known), indent=1) + b"\n")
