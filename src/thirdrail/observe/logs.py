"""What a run says: every event declared once, one for a fact, for a person or as JSON, never with a secret in it.

Nothing is said of a poll or a commit that went well. Files, and their rotation, are the platform's affair.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import structlog

from thirdrail.observe.redaction import Redaction

HUMAN, JSON = "human", "json"
_STANDARD_ERROR = 2


@dataclass(frozen=True, slots=True)
class Declared:
    """One event: ``level`` is info for what is as it should be, warning for what mends itself, error for the rest."""

    name: str
    level: str
    meaning: str
    fields: tuple[str, ...] = ()


EVENTS: tuple[Declared, ...] = (
    Declared("started", "info", "a run began", ("data", "feeds", "kind", "version")),
    Declared("listening", "info", "metrics and health are served", ("url",)),
    Declared("stopping", "info", "somebody asked it to stop"),
    Declared("stopped", "info", "it stopped; all is committed", ("captures", "rows_in", "rows_written")),
    Declared("failed", "error", "the run ended by an error", ("code", "hint", "exception")),
    Declared("feed_failed", "warning", "a feed gave no message", ("feed", "outcome", "status", "failures", "reason")),
    Declared("feed_recovered", "info", "it gives messages again", ("feed", "failures")),
    Declared("no_feed_reached", "warning", "no feed can be reached: look at the network", ("reason",)),
    Declared("clock_off", "warning", "this machine's clock is wrong", ("seconds",)),
    Declared("polling_paused", "warning", "nothing is taken in until there is space", ("reason",)),
    Declared("poller_failed", "error", "the poller ended; the run ends, too", ("reason", "exception")),
    Declared("append_failed", "error", "polls wait in memory for the disk to take them", ("reason",)),
    Declared("polls_lost", "error", "the run stopped before the disk took them", ("polls", "reason")),
    Declared("sink_failed", "error", "nothing is committed", ("sink", "failures", "reason", "hint", "exception")),
    Declared("sink_recovered", "info", "it commits again", ("sink", "failures")),
    Declared("sink_troubled", "warning", "it commits, and something is wrong", ("sink", "reason")),
    Declared("sink_behind", "info", "a stop left captures in the log for the next start", ("sink", "captures")),
    Declared("call_pending", "warning", "a stop did not wait for a call to the sink", ("sink",)),
    Declared("part_late", "warning", "a part has not come back from what it does", ("part", "seconds")),
    Declared("part_restarted", "error", "it hung and is begun anew", ("part", "seconds", "restarts")),
    Declared("part_not_restarted", "error", "it could not be begun anew", ("part", "reason", "hint", "exception")),
    Declared("part_recovered", "info", "it moves again", ("part", "restarts")),
    Declared("maintenance_failed", "warning", "tables are not cared for", ("reason", "exception")),
    Declared("retention_failed", "warning", "old captures cannot be deleted", ("reason", "hint")),
    Declared("library_warned", "warning", "a library warned of something", ("library", "exception")),
)
BY_NAME = {event.name: event for event in EVENTS}


class Event:
    """A fact: a declared name, the sentence for a person, and the same in fields. ``str`` gives the sentence.

    Empty fields are left out; ``exc_info`` takes an exception, whose traceback is the field ``exception``.
    """

    def __init__(self, name: str, text: str, /, **fields: object) -> None:
        self.declared, self.text = BY_NAME[name], text
        self.fields = {name: value for name, value in fields.items() if value not in ("", None)}

    def __str__(self) -> str:
        return self.text


Say = Callable[[Event], None]


class Log:
    """Takes events from any thread, and from a handler of signals; gives each to a person or to a machine."""

    def __init__(self, form: str, show: Callable[[str], None], redaction: Redaction) -> None:
        def redact(_: object, __: str, fields: MutableMapping[str, Any]) -> Mapping[str, Any]:
            return redaction.fields(fields)

        write, last = (_to_standard_error, _as_json) if form == JSON else (show, _as_text)
        self._logger = structlog.wrap_logger(
            _Writer(write),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
                structlog.processors.format_exc_info,
                redact,
                last,
            ],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        )

    def __call__(self, event: Event) -> None:
        """Say an event. A terminal that has gone or a full disk must stop nobody's work."""
        with suppress(OSError, ValueError):
            getattr(self._logger, event.declared.level)(event.declared.name, text=event.text, **event.fields)


@contextmanager
def libraries_heard(say: Say) -> Iterator[None]:
    """Let what libraries log or warn of become events."""
    handler = _Libraries(say)
    logging.getLogger().addHandler(handler)
    logging.captureWarnings(capture=True)
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        logging.getLogger().removeHandler(handler)


class _Libraries(logging.Handler):
    def __init__(self, say: Say) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Say it."""
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - a library that cannot format its own message
            text = str(record.msg)
        cause = record.exc_info[1] if record.exc_info else None
        self._say(Event("library_warned", f"{record.name}: {text.strip()}", library=record.name, exc_info=cause))


class _Writer:
    """What structlog takes for a logger: each level is the same function."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.info = self.warning = self.error = write


def _as_text(_: object, __: str, fields: MutableMapping[str, Any]) -> str:
    return str(fields["text"])


_render = structlog.processors.JSONRenderer()


def _as_json(logger: object, method: str, fields: MutableMapping[str, Any]) -> str:
    head = {name: fields.pop(name) for name in ("event", "level", "time", "text")}
    return str(_render(logger, method, {**head, **fields}))


def _to_standard_error(line: str) -> None:
    """Write a line at once, without a lock: a handler of signals may interrupt another line's writer."""
    left = f"{line}\n".encode()
    while left:
        left = left[os.write(_STANDARD_ERROR, left) :]


def reference() -> str:
    """Give the page of all events in Markdown."""
    lines = [
        "# Events",
        "",
        'What `run` and `demo` say. A person reads sentences; with `observe.logs = "json"` or `--logs json` each event',
        "is one line on standard error: `event`, `level`, `time` (UTC), `text` (the sentence) and its fields, without",
        "empty ones. Polls and commits that go well are no events: [metrics.md](metrics.md) counts them. The same",
        "trouble is said once in five minutes. Secrets stand as `***`. Made by `thirdrail config events`.",
        "",
        "| event | level | fields | meaning |",
        "|---|---|---|---|",
    ]
    lines += [f"| `{e.name}` | {e.level} | {', '.join(e.fields)} | {e.meaning} |" for e in EVENTS]
    return "\n".join([*lines, ""])
