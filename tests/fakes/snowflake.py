"""A Snowflake in memory that a seed drives: commits late and in part, discards on opening, dies with its caller."""

from random import Random
from types import SimpleNamespace

import msgspec
from snowflake.ingest.streaming import StreamingIngestError, StreamingIngestErrorCode

from tests.fakes.sinks import Crashed

STALE = "STALE_CONTINUATION_TOKEN_SEQUENCER: Channel sequencer in the continuation token is stale"


class Channel:
    """What the server knows of a channel."""

    def __init__(self) -> None:
        self.token: str | None = None
        self.sequencer = 0
        self.rows: list[bytes] = []
        self.waiting: list[tuple[list[bytes], str]] = []
        self.refused = 0

    def commit(self, calls: int) -> None:
        """Commit so many of the calls that wait, in order."""
        for lines, token in self.waiting[:calls]:
            self.rows += lines
            self.token = token
        del self.waiting[:calls]


class FakeSnowflake:
    """All pipes of an account. ``crash_rate`` is the chance of each call that its process dies, before or after it."""

    def __init__(self, random: Random, *, crash_rate: float = 0.0, theft_rate: float = 0.0) -> None:
        self.random, self.crash_rate, self.theft_rate = random, crash_rate, theft_rate
        self.channels: dict[tuple[str, str], Channel] = {}

    def connect(self, pipe: str) -> "FakeClient":
        """Give a client of a pipe."""
        return FakeClient(self, pipe)

    def rows(self, pipe: str) -> list[dict[str, object]]:
        """Give what a pipe's channels committed."""
        return [
            msgspec.json.decode(line) for (name, _), each in self.channels.items() if name == pipe for line in each.rows
        ]


class FakeClient:
    """As the official one, as far as the sink uses it."""

    def __init__(self, server: FakeSnowflake, pipe: str) -> None:
        self._server, self._pipe = server, pipe

    def is_closed(self) -> bool:
        """Never."""
        return False

    def close(self, **_: object) -> None:
        """Nothing is held."""

    def open_channel(self, name: str, token: str | None = None) -> tuple["FakeChannel", SimpleNamespace]:
        """Open: what waits is committed first, or thrown away."""
        channel = self._server.channels.setdefault((self._pipe, name), Channel())
        channel.commit(self._server.random.randint(0, len(channel.waiting)))
        channel.waiting.clear()
        channel.sequencer += 1
        channel.token = token or channel.token
        opened = FakeChannel(self._server, channel)
        return opened, opened.get_channel_status()


class FakeChannel:
    """One opening of a channel."""

    def __init__(self, server: FakeSnowflake, channel: Channel) -> None:
        self._server, self._channel, self._sequencer = server, channel, channel.sequencer

    def append_rows(self, lines: list[msgspec.Raw], _start: str, end: str) -> None:
        """Take rows, unless the process dies or somebody else has opened the channel."""
        random = self._server.random
        if random.random() < self._server.crash_rate:
            raise Crashed
        if random.random() < self._server.theft_rate:
            self._channel.sequencer += 1
            self._channel.waiting.clear()
        self._check()
        self._channel.waiting.append(([bytes(line) for line in lines], end))
        if random.random() < self._server.crash_rate:
            raise Crashed

    def get_channel_status(self) -> SimpleNamespace:
        """Commit some of what waits, and say how far that is."""
        self._check()
        self._channel.commit(self._server.random.randint(0, len(self._channel.waiting)))
        return SimpleNamespace(
            status_code="SUCCESS",
            latest_committed_offset_token=self._channel.token,
            rows_error_count=self._channel.refused,
            last_error_message="refused",
            last_error_offset_token_upper_bound=self._channel.token,
        )

    def initiate_flush(self) -> None:
        """Nothing is held back."""

    def close(self, **_: object) -> None:
        """Nothing is held."""

    def _check(self) -> None:
        if self._sequencer != self._channel.sequencer:
            code = StreamingIngestErrorCode.INVALID_CHANNEL_ERROR
            raise StreamingIngestError(code, STALE, 409, "Conflict")
