"""Recordings in files: their times, their order, their bytes."""

import gzip
import os
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle.synthetic import HEADER_AT, subway_message
from thirdrail.errors import DecodeError, NoInput, UsageError
from thirdrail.model.feeds import feed
from thirdrail.sources.recordings import (
    name_for,
    read_body,
    recordings,
    refuse_other_family,
    time_in_name,
    why_no_message,
)

FEED = feed("subway_ace")
BODY = subway_message(3, 4)


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("nyct_subways_gtfs_rt.2023-05-29T14:03:24-04:00.pb", 1_685_383_404),
        ("mta-nyct-2024-02-28T18:15:26+01:00.gtfs-rt.pbf", 1_709_140_526),
        ("20240120T235938Z", 1_705_795_178),
        ("gtfs_7_20190601_112955-0400.gtfs", 1_559_402_995),
        ("ace.2024-01-20T23-59-38Z.pb.gz", 1_705_795_178),
        ("ace_1705795178.pb", 1_705_795_178),
        ("x.2024-01-20T23:59:38+05:45.pb", 1_705_774_478),
    ],
)
def test_a_name_with_time_and_zone_tells_the_instant(name: str, seconds: int) -> None:
    assert time_in_name(name) == seconds * 1_000_000


@pytest.mark.parametrize(
    "name",
    [
        "gtfs_7_20190601_112955.gtfs",
        "gtfs_7_20190601_112955-1234.gtfs",
        "2023-05-29T14:03:24.pb",
        "2023-05-29.pb",
        "2023-13-45T14:03:24Z.pb",
        "ace.dat",
        "170579517.pb",
        "17057951789.pb",
        "00001705795178.pb",
    ],
)
def test_a_name_without_zone_or_sense_tells_nothing(name: str) -> None:
    assert time_in_name(name) is None


@given(
    st.integers(0, 4_000_000_000_000_000), st.integers(0, 10**12 - 1), st.sampled_from(["subway_ace", "bus/1234567890"])
)
def test_a_name_that_we_give_tells_the_very_instant(fetched_at: int, offset: int, feed_id: str) -> None:
    assert time_in_name(name_for(feed_id, offset, fetched_at)) == fetched_at


def test_recordings_come_in_order_of_time_then_name_however_deep_they_lie(tmp_path: Path) -> None:
    names = ["b/late.2026-01-01T00:00:02Z", "z/early.2026-01-01T01:00:00+01:00", "a/late.2026-01-01T00:00:02Z"]
    for name in [*names, ".hidden", "b/.DS_Store"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(BODY)

    found = recordings([tmp_path])

    assert [each.path.name.split(".")[0] for each in found] == ["early", "late", "late"]
    assert {each.known_from for each in found} == {"name"}


def test_without_a_time_in_its_name_the_header_tells_else_the_file(tmp_path: Path) -> None:
    (tmp_path / "headed.pb.gz").write_bytes(gzip.compress(BODY))
    (tmp_path / "page.pb").write_bytes(b"<html>")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(BODY)[:40])
    for name in ("page.pb", "cut.gz"):
        os.utime(tmp_path / name, (1_700_000_000, 1_700_000_000))

    found = {each.path.name: (each.fetched_at, each.known_from) for each in recordings([tmp_path])}

    assert found == {
        "headed.pb.gz": (HEADER_AT * 1_000_000, "header"),
        "page.pb": (1_700_000_000_000_000, "file"),
        "cut.gz": (1_700_000_000_000_000, "file"),
    }


def test_bodies_are_the_same_plain_gzipped_and_in_zstandard(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(BODY)
    (tmp_path / "a.gz").write_bytes(gzip.compress(BODY))
    with pa.output_stream(str(tmp_path / "a.zst"), compression="zstd") as stream:
        stream.write(BODY)

    assert all(read_body(tmp_path / name) == BODY for name in ("a", "a.gz", "a.zst"))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("cut.gz", gzip.compress(BODY)[:-9]),
        ("flipped.gz", gzip.compress(BODY)[:200] + b"\xff" * 50 + gzip.compress(BODY)[250:]),
        ("plain.gz", BODY),
        ("plain.zst", BODY),
    ],
)
def test_a_damaged_archive_is_named(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)

    with pytest.raises(NoInput, match=f"{name} cannot be read"):
        read_body(tmp_path / name)


def test_a_file_larger_than_any_message_is_refused_without_being_held(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate((256 << 20) + 1)

    with pytest.raises(NoInput, match="larger than 256 MB"):
        read_body(tmp_path / "huge")


@pytest.mark.parametrize(
    ("body", "reason"), [(b"", "empty"), (b"<html>", "HTML"), (b'{"a": 1}', "JSON"), (b"\x00\x01\x02", "not a GTFS")]
)
def test_what_is_no_message_is_said(body: bytes, reason: str) -> None:
    assert reason in str(why_no_message(feed("subway_l"), body))


def test_a_message_is_a_message_also_with_one_bad_entity() -> None:
    assert why_no_message(feed("subway_l"), BODY) is None
    assert why_no_message(feed("subway_l"), BODY + b"\x12\x03\x0a\x01\xff") is None


def written(folder: Path, *bodies: bytes) -> Path:
    for place, body in enumerate(bodies):
        (folder / f"{place}.pb").write_bytes(body)
    return folder


def test_a_message_without_entities_does_not_decide_the_family(tmp_path: Path) -> None:
    from google.transit.gtfs_realtime_pb2 import FeedMessage  # noqa: PLC0415

    hollow = FeedMessage()
    hollow.header.gtfs_realtime_version = "1.0"
    alert = FeedMessage()
    alert.CopyFrom(hollow)
    alert.entity.add(id="1").alert.header_text.translation.add(text="delays")
    only_hollow = written(tmp_path, hollow.SerializeToString())

    refuse_other_family(FEED, recordings([only_hollow]))
    with pytest.raises(UsageError, match="1 alerts and no trips"):
        refuse_other_family(
            FEED, recordings([written(tmp_path, hollow.SerializeToString(), alert.SerializeToString())])
        )


def test_one_message_among_bad_files_is_enough_to_go_on(tmp_path: Path) -> None:
    refuse_other_family(FEED, recordings([written(tmp_path, b"<html>", b"{}", BODY)]))

    with pytest.raises(DecodeError, match="none of 2 files"):
        refuse_other_family(FEED, recordings([tmp_path / "0.pb", tmp_path / "1.pb"]))
    with pytest.raises(DecodeError, match=r"the file is no GTFS-Realtime message: .*0\.pb"):
        refuse_other_family(FEED, recordings([tmp_path / "0.pb"]))
