"""Each fault does what its name says, and the server behaves as the MTA's gateway does."""

import gzip
import json
import urllib.request
from collections import Counter
from contextlib import closing
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from google.transit.gtfs_realtime_pb2 import FeedMessage

from thirdrail.city.faults import BACK_S, FAULTS, FUTURE_S, REPLICA_S, applies, chosen, delivered
from thirdrail.city.lines import A_DIVISION, ROUTES
from thirdrail.city.messages import body
from thirdrail.city.server import SERVED, CityServer

AT = 1_780_000_005


def served(name: str) -> FeedMessage:
    return FeedMessage.FromString(delivered(name, 0, A_DIVISION, AT).body)


def test_faults_of_content_do_what_they_say() -> None:
    header = FeedMessage.FromString(body(0, A_DIVISION, AT)).header.timestamp
    assert len(served("hollow").entity) == 0
    assert served("hollow").header.timestamp == header
    assert served("header_backwards").header.timestamp == header - BACK_S
    assert served("stale_replica").header.timestamp == header - REPLICA_S
    assert served("frozen").header.timestamp % 600 == 0
    twins = Counter(str(entity.trip_update) for entity in served("twin_trip_ids").entity)
    assert max(count for key, count in twins.items() if key) == 2
    zombie = served("zombie").entity[-1].trip_update
    assert header - zombie.stop_time_update[-1].arrival.time > 3_600
    assert FUTURE_S in [entity.vehicle.timestamp - header for entity in served("future_vehicle").entity]
    stamped = served("millisecond_stamps").entity
    assert max(stop.arrival.time for entity in stamped for stop in entity.trip_update.stop_time_update) > 10**12


def test_faults_of_transport_do_what_they_say() -> None:
    whole = body(0, A_DIVISION, AT)
    assert delivered("xml_200", 0, A_DIVISION, AT).body.startswith(b"<")
    assert delivered("http_503", 0, A_DIVISION, AT).status == 503
    assert delivered("empty_body", 0, A_DIVISION, AT).body == b""
    assert delivered("short_body", 0, A_DIVISION, AT).promised == len(whole)
    assert delivered("slow_drip", 0, A_DIVISION, AT).is_dripped
    assert len(gzip.decompress(delivered("gzip_bomb", 0, A_DIVISION, AT).body)) == 80 << 20
    with pytest.raises(Exception, match=r"[Pp]ars"):
        FeedMessage.FromString(delivered("truncated", 0, A_DIVISION, AT).body)


def test_faults_fall_at_their_rate_and_a_rerun_repeats_them() -> None:
    rates = dict.fromkeys(("hollow", "xml_200"), 0.1)
    first = [chosen(rates, 7, A_DIVISION, poll, AT) for poll in range(5_000)]
    assert first == [chosen(rates, 7, A_DIVISION, poll, AT) for poll in range(5_000)]
    assert 0.08 < first.count("hollow") / 5_000 < 0.12
    assert chosen({}, 7, A_DIVISION, 0, AT) is None
    for feed_id in SERVED:
        happened = {chosen({name: 1.0}, 7, feed_id, 0, AT) for name in FAULTS} - {None}
        assert happened == {name for name in FAULTS if applies(name, feed_id)}
    assert all(any(applies(name, feed_id) for feed_id in SERVED) for name in FAULTS)


class Asked(NamedTuple):
    status: int
    headers: Message
    content: bytes


def asked(url: str, **headers: str) -> Asked:
    parts = urlsplit(url)
    with closing(HTTPConnection(parts.hostname or "", parts.port, timeout=5)) as link:
        link.request("GET", parts.path, headers=headers)
        answer = link.getresponse()
        return Asked(answer.status, answer.headers, answer.read())


def test_the_server_keeps_the_mtas_manners_and_a_journal(tmp_path: Path) -> None:
    with CityServer(seed=5, journal=tmp_path / "journal.jsonl") as city:
        for feed_id in ROUTES:
            answer = asked(city.url_of(feed_id), **{"Accept-Encoding": "gzip"})
            assert answer.status == 200
            assert FeedMessage.FromString(gzip.decompress(answer.content)).entity
        plain = asked(city.url_of(A_DIVISION))
        assert plain.headers["Content-Encoding"] is None
        assert plain.headers["Date"]
        assert FeedMessage.FromString(plain.content).entity
        wrong = asked(city.url_of(A_DIVISION).replace("%2F", "/"))
        assert (wrong.status, b"Missing Authentication Token" in wrong.content) == (403, True)
        lost = asked(city.url_of(A_DIVISION) + "x")
        assert (lost.status, b"NoSuchKey" in lost.content) == (200, True)
        assert asked(f"{city.url}/healthz").content == b"ok"
    lines = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert [line["feed_id"] for line in lines] == [*ROUTES, A_DIVISION]
    assert [line["poll"] for line in lines] == [*[0] * len(ROUTES), 1]


def test_a_drip_does_not_hold_the_end_up() -> None:
    with CityServer(faults={"slow_drip": 1.0}) as city:
        answer = urllib.request.urlopen(city.url_of(A_DIVISION), timeout=5)
        assert len(answer.read(1)) == 1
        city.close()
        answer.close()
