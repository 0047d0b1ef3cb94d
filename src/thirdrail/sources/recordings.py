"""Recorded feed messages in files: which there are, when each was fetched, and what its bytes are."""

import gzip
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from thirdrail.decode.gtfs_realtime import decode, peek
from thirdrail.errors import NoInput, UsageError
from thirdrail.model.feeds import Feed

BIGGEST_BODY = 256 << 20
"""Decompressed; the largest feed known is under 10 MB."""

_ZONED = re.compile(
    r"(?P<day>\d{4}-?\d{2}-?\d{2})[T_](?P<time>\d{2}[:.-]?\d{2}[:.-]?\d{2})(?P<fraction>\.\d{1,6})?(?P<zone>Z|[+-]\d{2}:?\d{2})"
)
_SECOND_US = 1_000_000
_YEAR_3000_S = 32_503_680_000


@dataclass(frozen=True, slots=True)
class Recording:
    """One file: when its message was fetched (µs UTC) and how that is known: name, header or file."""

    path: Path
    fetched_at: int
    known_from: str

    def body(self) -> bytes:
        """Give the bytes, decompressed; reads the file."""
        return read_body(self.path)


def recordings(paths: Iterable[Path]) -> list[Recording]:
    """Give every file of the paths and of the folders among them, in order of time, then name.

    Raises:
        NoInput: a path does not exist, or nothing was found.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
            if not found:
                raise NoInput(f"{path} holds no files", hint="give a recording, or a folder of recordings")
            files += found
        elif path.exists():
            files.append(path)
        else:
            raise NoInput(f"{path} does not exist")
    return sorted((_described(file) for file in files), key=lambda each: (each.fetched_at, each.path.name))


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
    except (OSError, EOFError) as error:
        raise NoInput(f"{path} cannot be read: {error}") from error
    if len(body) > BIGGEST_BODY:
        raise NoInput(f"{path} is larger than {BIGGEST_BODY >> 20} MB: no feed message is")
    return body


def time_in_name(name: str) -> int | None:
    """Give the instant (µs UTC) that a file's name states with time and zone; None when it states none."""
    found = _ZONED.search(name)
    if found is None:
        return None
    day = found["day"].replace("-", "")
    time = re.sub(r"[:.-]", "", found["time"])
    zone = "+0000" if found["zone"] == "Z" else found["zone"].replace(":", "")
    try:
        moment = datetime.strptime(f"{day}{time}{zone}", "%Y%m%d%H%M%S%z")
    except ValueError:
        return None
    fraction = round(float(f"0{found['fraction']}") * _SECOND_US) if found["fraction"] else 0
    return int(moment.timestamp()) * _SECOND_US + fraction


def _described(path: Path) -> Recording:
    named = time_in_name(path.name)
    if named is not None:
        return Recording(path, named, "name")
    seen = peek(read_body(path))
    if seen is not None and seen[0] is not None and 0 < seen[0] < _YEAR_3000_S:
        return Recording(path, seen[0] * _SECOND_US, "header")
    return Recording(path, int(path.stat().st_mtime * _SECOND_US), "file")


def check_family(feed: Feed, recording: Recording, body: bytes) -> bool:
    """Tell whether a recording could be judged, and refuse one that is of another family than the feed.

    Raises:
        UsageError: alerts, or a message without NYCT's header, given as a subway feed.
    """
    decoded = decode([body])
    if decoded.failed or not len(decoded.entities):
        return False
    marks = {
        name: sum(decoded.entities.column(name).to_pylist()) for name in ("has_trip_update", "has_vehicle", "has_alert")
    }
    if not marks["has_trip_update"] and not marks["has_vehicle"]:
        raise UsageError(
            f"{recording.path} holds {marks['has_alert']} alerts and no trips or vehicles: "
            f"it is no recording of {feed.id}",
            hint="alerts are not taken in by this version",
        )
    if feed.family == "subway" and decoded.headers.column("mta_version")[0].as_py() is None:
        raise UsageError(
            f"{recording.path} lacks the NYCT header that every subway feed has: it is no recording of {feed.id}",
            hint="railroads, buses and other agencies are not taken in by this version",
        )
    return True


def as_text(microseconds: int) -> str:
    """Give an instant as ISO 8601 in UTC."""
    return datetime.fromtimestamp(microseconds / _SECOND_US, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
