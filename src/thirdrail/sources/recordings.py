"""Recorded feed messages in files: which there are, when each was fetched, and what its bytes are."""

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from thirdrail.decode.decoded import Decoded
from thirdrail.decode.formats import DECODERS
from thirdrail.decode.gtfs_realtime import peek
from thirdrail.errors import DecodeError, NoInput, UsageError
from thirdrail.model.feeds import GTFS_REALTIME, Feed

BIGGEST_BODY = 256 << 20
"""Decompressed; the largest feed known is under 10 MB."""

_ZONED = re.compile(
    r"(?<!\d)(?P<day>\d{4}-?\d{2}-?\d{2})[T_](?P<time>\d{2}[:.-]?\d{2}[:.-]?\d{2})(?P<fraction>\.\d{1,6})?"
    # Hours and quarters that zones have: a serial number such as -1234 is no zone.
    r"(?P<zone>Z|[+-](?:0\d|1[0-4]):?(?:00|15|30|45)(?!\d))"
)
_POSIX_SECONDS = re.compile(r"(?<!\d)1\d{9}(?!\d)")
"""Ten digits from 2001 to 2033: such a number in a name is a POSIX time, which is UTC by definition."""
_SECOND_US = 1_000_000
_YEAR_3000_S = 32_503_680_000


@dataclass(frozen=True, slots=True)
class Recording:
    """One file: when its message was fetched (µs UTC) and how that is known: name, header or file."""

    path: Path
    fetched_at: int
    known_from: str

    def body(self) -> bytes:
        """Give the bytes, decompressed; reads the file.

        Raises:
            NoInput: as for ``read_body``.
        """
        return read_body(self.path)


def recordings(paths: Iterable[Path]) -> list[Recording]:
    """Give every file of the paths and of the folders among them, in order of time, then name.

    Reads the files whose names state no time; one that cannot be read keeps its place by its own time.

    Raises:
        NoInput: a path does not exist, or a folder holds nothing.
    """
    files = [file for path in paths for file in _files(path)]
    return sorted(map(_described, files), key=lambda each: (each.fetched_at, each.path.name))


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise NoInput(f"{path} does not exist")
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    if not found:
        raise NoInput(f"{path} holds no files", hint="give a recording, or a folder of recordings")
    return found


def read_body(path: Path) -> bytes:
    """Give the bytes of a file; ``.gz`` and ``.zst`` are decompressed.

    Raises:
        NoInput: it cannot be read, is damaged, or is far larger than any feed message.
    """
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as file:
                body = file.read(BIGGEST_BODY + 1)
        elif path.suffix == ".zst":
            with pa.input_stream(str(path), compression="zstd") as stream:
                body = stream.read(BIGGEST_BODY + 1)
        else:
            with path.open("rb") as plain:
                body = plain.read(BIGGEST_BODY + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise NoInput(f"{path} cannot be read: {error}") from error
    if len(body) > BIGGEST_BODY:
        raise NoInput(f"{path} is larger than {BIGGEST_BODY >> 20} MB: no feed message is")
    return body


def time_in_name(name: str) -> int | None:
    """Give the instant (µs UTC) that a file's name states with time and zone; None when it states none.

    ISO 8601 in its long and short forms, or POSIX seconds.
    """
    found = _ZONED.search(name)
    if found is None:
        posix = _POSIX_SECONDS.search(name)
        return None if posix is None else int(posix[0]) * _SECOND_US
    day = found["day"].replace("-", "")
    time = re.sub(r"[:.-]", "", found["time"])
    zone = "+0000" if found["zone"] == "Z" else found["zone"].replace(":", "")
    try:
        moment = datetime.strptime(f"{day}{time}{zone}", "%Y%m%d%H%M%S%z")
    except ValueError:
        return None
    fraction = round(float(f"0{found['fraction']}") * _SECOND_US) if found["fraction"] else 0
    return int(moment.timestamp()) * _SECOND_US + fraction


def name_for(feed_id: str, offset: int, fetched_at: int) -> str:
    """Give the name of a file for one body, from which ``time_in_name`` reads the very same instant."""
    moment = datetime.fromtimestamp(fetched_at // _SECOND_US, UTC)
    fraction = f".{fetched_at % _SECOND_US:06d}" if fetched_at % _SECOND_US else ""
    feed_name = re.sub(r"[^A-Za-z0-9_-]", "_", feed_id)
    return f"{feed_name}.{offset:012d}.{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z.pb"


def _described(path: Path) -> Recording:
    named = time_in_name(path.name)
    if named is not None:
        return Recording(path, named, "name")
    try:
        seen = peek(read_body(path))
    except NoInput:
        seen = None
    if seen is not None and seen[0] is not None and 0 < seen[0] < _YEAR_3000_S:
        return Recording(path, seen[0] * _SECOND_US, "header")
    return Recording(path, path.stat().st_mtime_ns // 1_000, "file")


_NAMES = {GTFS_REALTIME: "GTFS-Realtime"}


def why_no_message(feed: Feed, body: bytes) -> str | None:
    """Give the reason why nothing of a body can be used; None when it is in the feed's format, if damaged."""
    decoder = DECODERS[feed.format]
    return None if decoder.peek(body) is not None else decoder.decode([body]).failed.get(0)


def refuse_other_family(feed: Feed, found: Iterable[Recording]) -> None:
    """Judge the first recording that holds entities; return when it may be one of the feed.

    Reads files until one can be judged.

    Raises:
        UsageError: it holds alerts and the feed has none, or the other way round, or it lacks the NYCT header that
            every subway feed has.
        DecodeError: no file is a feed message at all; the first one's reason is given.
    """
    reasons: list[str] = []
    has_message = False
    for recording, decoded in _decoded(feed, found, reasons):
        has_message = True
        if len(decoded.entities) and feed.format == GTFS_REALTIME:
            _check_family(feed, recording.path, decoded)
            return
    if reasons and not has_message:
        files = "the file is no" if len(reasons) == 1 else f"none of {len(reasons):,} files is a"
        raise DecodeError(
            f"{files} {_NAMES.get(feed.format, feed.format)} message: {reasons[0]}",
            hint="recordings are the feed's bytes as served, not a page about them",
        )


def _decoded(feed: Feed, found: Iterable[Recording], reasons: list[str]) -> Iterator[tuple[Recording, Decoded]]:
    """Give what decodes; why the others do not is added to ``reasons``."""
    for recording in found:
        try:
            decoded = DECODERS[feed.format].decode([recording.body()])
        except NoInput as error:
            reasons.append(str(error))
            continue
        if decoded.failed:
            reasons.append(f"{recording.path}: {decoded.failed[0]}")
            continue
        yield recording, decoded


def _check_family(feed: Feed, path: Path, decoded: Decoded) -> None:
    entities = decoded.entities
    held = {name: pc.sum(entities.column(f"has_{name}")).as_py() or 0 for name in ("trip_update", "vehicle", "alert")}
    moving = held["trip_update"] + held["vehicle"]
    if feed.family == "alerts" and not held["alert"]:
        raise UsageError(f"{path} holds {moving:,} trips and vehicles and no alerts: it is no recording of {feed.id}")
    if feed.family != "alerts" and not moving:
        raise UsageError(
            f"{path} holds {held['alert']:,} alerts and no trips or vehicles: it is no recording of {feed.id}",
            hint="take it in as alerts: --feed alerts_all",
        )
    if feed.family == "subway" and decoded.headers.column("mta_version")[0].as_py() is None:
        raise UsageError(
            f"{path} lacks the NYCT header that every subway feed has: it is no recording of {feed.id}",
            hint="feeds and what they hold: thirdrail feeds list",
        )
