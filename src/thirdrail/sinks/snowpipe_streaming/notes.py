"""What a data folder remembers of its channels, since a channel that is gone cannot say that it ever was.

Not how far anything is: that the channels say. Without this file a dropped channel looks like that of a new table, and
rows that were committed and not yet listed in ``feed_messages`` would be sent a second time.
"""

from pathlib import Path

import msgspec

from thirdrail.sinks.iceberg.files import put_file


class Known(msgspec.Struct):
    """Channels that were made (``pipe/channel``), and of each how many refused rows the log has been told of."""

    channels: dict[str, int] = {}


class ChannelNotes:
    """The file, read at birth and written whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = msgspec.json.decode(path.read_bytes(), type=Known) if path.exists() else Known()

    def __contains__(self, channel: str) -> bool:
        return channel in self._known.channels

    def rejected(self, channel: str) -> int:
        """Give how many refused rows of a channel the log knows."""
        return self._known.channels.get(channel, 0)

    def note(self, channel: str, rejected: int) -> None:
        """Remember a channel, durably."""
        if self._known.channels.get(channel) != rejected:
            self._known.channels[channel] = rejected
            put_file(self._path, msgspec.json.format(msgspec.json.encode(self._known), indent=1) + b"\n")

    def forget(self, channel: str) -> None:
        """A person has dropped it."""
        if self._known.channels.pop(channel, None) is not None:
            put_file(self._path, msgspec.json.format(msgspec.json.encode(self._known), indent=1) + b"\n")
