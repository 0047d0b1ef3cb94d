"""The emulator by hand-written requests, none of which our sink or the official client made.

What each must answer was measured with the official client, or stands in Snowflake's documents (docs/emulator.md).
"""

import base64
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import zstandard
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from tests.faults.process import eventually
from thirdrail.emulator.certificates import fingerprint
from thirdrail.emulator.limits import Limits
from thirdrail.emulator.rows import Column
from thirdrail.emulator.server import EmulatorServer

TABLES = {"trips": {"id": Column("long", required=True), "name": Column("string"), "at": Column("timestamptz")}}
PIPE = "/v2/streaming/databases/DB/schemas/SC/pipes/TRIPS_PIPE"
DATA = "/v2/streaming/data/databases/DB/schemas/SC/pipes/TRIPS_PIPE/channels/one"


def part(claims: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()


def jwt(key_file: Path, *, expires_ms: int | None = None, issuer: str | None = None, per_second: int = 1000) -> str:
    """Give a key pair's JWT as the official client 1.9.1 makes it, its times in milliseconds; others take seconds."""
    now = int(time.time() * per_second)
    claims = {
        "iss": issuer or f"ORG-ACCT.INGEST.{fingerprint(key_file)}",
        "sub": "ORG-ACCT.INGEST",
        "iat": now,
        "exp": expires_ms or now + 3_540 * per_second,
    }
    message = f"{part({'typ': 'JWT', 'alg': 'RS256'})}.{part(claims)}"
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    signed = key.sign(message.encode(), padding.PKCS1v15(), hashes.SHA256())  # type: ignore[union-attr,call-arg,arg-type]
    return f"{message}.{base64.urlsafe_b64encode(signed).rstrip(b'=').decode()}"


class Hand:
    """Sends one request at a time."""

    def __init__(self, server: EmulatorServer) -> None:
        self.server, self._session = server, requests.Session()
        self._session.trust_env = False  # REQUESTS_CA_BUNDLE would win over the line below
        self._session.verify = str(server.ca_file)
        self.token = self.call("POST", "/oauth/token", jwt(server.key_file), data={"scope": "127.0.0.1"}).text

    def call(self, method: str, path: str, bearer: str | None = None, **given: object) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token if bearer is None else bearer}"}
        headers |= given.pop("headers", {})  # type: ignore[arg-type]
        return self._session.request(method, self.server.url + path, headers=headers, timeout=10, **given)  # type: ignore[arg-type]

    def open(self, channel: str = "one", **body: object) -> requests.Response:
        return self.call("PUT", f"{PIPE}/channels/{channel}", json={"fail_on_uncommitted_rows": True} | body)

    def append(self, continuation: str, *lines: object, end: str = "") -> requests.Response:
        text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines) + "\n"
        return self.call(
            "POST",
            f"{DATA}/rows?endOffsetToken={end}&continuationToken={continuation}&requestId=r&retryCount=0",
            data=zstandard.ZstdCompressor().compress(text.encode()),
            headers={"Content-Encoding": "zstd", "Content-Type": "application/x-ndjson"},
        )

    def status(self, channel: str = "one") -> dict[str, object] | None:
        answer = self.call("POST", f"{PIPE}:bulk-channel-status", json={"channel_names": [channel]})
        return answer.json()["channel_statuses"].get(channel)

    def committed(self, end: str) -> None:
        eventually(lambda: (self.status() or {}).get("last_committed_offset_token") == end, 10, f"{end} is committed")

    def ids(self) -> list[int]:
        return self.server.storage.rows("trips").column("id").to_pylist()


@pytest.fixture
def hand(tmp_path: Path) -> Iterator[Hand]:
    with EmulatorServer(tmp_path, tables=TABLES, commit_delay_s=0.1) as server:
        made = Hand(server)
        yield made
        made._session.close()


def test_the_host_is_plain_text_and_wants_a_jwt(hand: Hand) -> None:
    answer = hand.call("GET", "/v2/streaming/hostname", jwt(hand.server.key_file))
    assert (answer.status_code, answer.text) == (200, "127.0.0.1")
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("wrong", ["expired", "issuer", "signature", "none"])
def test_a_wrong_jwt_is_401(hand: Hand, tmp_path: Path, wrong: str) -> None:
    key = hand.server.key_file
    token = {
        "expired": jwt(key, expires_ms=int(time.time() * 1000) - 1),
        "issuer": jwt(key, issuer="ORG-ACCT.INGEST.SHA256:other"),
        "signature": jwt(key)[:-4] + "AAAA",
        "none": "",
    }[wrong]
    assert hand.call("POST", "/oauth/token", token, data={"scope": "x"}).status_code == 401


def test_a_token_that_has_expired_is_401_and_a_new_one_is_taken(hand: Hand) -> None:
    assert hand.open().status_code == 200
    hand.server.identity.not_before = time.time()
    assert hand.open().status_code == 401
    hand.token = hand.call("POST", "/oauth/token", jwt(hand.server.key_file), data={"scope": "x"}).text
    assert hand.open().status_code == 200


def test_rows_are_committed_after_they_were_accepted_in_order(hand: Hand) -> None:
    hand.server.storage.commit_delay_s = 0.6
    first = hand.open().json()
    assert first["channel_status"]["last_committed_offset_token"] is None
    second = hand.append(first["next_continuation_token"], {"id": 1}, {"id": 2}, end="2")
    third = hand.append(second.json()["next_continuation_token"], {"id": 3}, end="3")
    assert (second.status_code, third.status_code) == (200, 200)
    assert hand.status()["last_committed_offset_token"] is None  # type: ignore[index]
    hand.committed("3")
    assert hand.ids() == [1, 2, 3]
    assert (hand.status()["rows_inserted"], hand.status()["rows_parsed"]) == (3, 3)  # type: ignore[index]


def test_a_request_that_is_sent_again_is_answered_alike_and_not_applied_again(hand: Hand) -> None:
    token = hand.open().json()["next_continuation_token"]
    answers = [hand.append(token, {"id": 1}, end="1").json() for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    hand.committed("1")
    assert hand.ids() == [1]


def test_a_token_of_an_earlier_opening_is_stale_and_one_from_the_future_a_gap(hand: Hand) -> None:
    old = hand.open().json()["next_continuation_token"]
    new = hand.open().json()["next_continuation_token"]
    stale = hand.append(old, {"id": 1})
    assert (stale.status_code, stale.json()["code"]) == (400, "STALE_CONTINUATION_TOKEN_SEQUENCER")
    client, _, row = new.partition("_")
    gap = hand.append(f"{client}_{int(row) + 1}", {"id": 1})
    assert gap.status_code == 400
    assert gap.json()["code"].endswith("ROW_SEQ_GAP")
    assert hand.ids() == []


def test_a_channel_with_uncommitted_rows_is_not_opened_unless_they_are_given_up(hand: Hand) -> None:
    hand.server.faults.is_frozen = True
    token = hand.open().json()["next_continuation_token"]
    hand.append(token, {"id": 1}, end="1")
    refused = hand.open()
    assert (refused.status_code, refused.json()["code"]) == (409, "ERR_CHANNEL_HAS_UNCOMMITTED_DATA")
    forced = hand.open(fail_on_uncommitted_rows=False)
    assert forced.status_code == 200
    hand.server.faults.is_frozen = False
    hand.append(forced.json()["next_continuation_token"], {"id": 2}, end="2")
    hand.committed("2")
    assert hand.ids() == [2]


def test_bad_rows_are_left_out_counted_and_kept_and_the_offset_goes_on(hand: Hand) -> None:
    token = hand.open().json()["next_continuation_token"]
    bad = ({"id": None}, {"id": "x"}, {"id": 2**63}, {"name": "no id"}, {"id": 5, "at": "2026-13-01T00:00:00Z"}, "{\n")
    hand.append(token, {"id": 1, "more": 3}, *bad, {"id": 2, "at": "2026-01-01T00:00:00"}, end="9")
    hand.committed("9")
    state = hand.status()
    assert state is not None
    assert hand.ids() == [1, 2]
    assert (state["rows_inserted"], state["rows_error_count"], state["rows_parsed"]) == (2, 6, 8)
    assert state["last_error_offset_upper_bound"] == "9"
    assert state["last_error_message"]
    assert [json.loads(line) for _, line in hand.server.storage.refused("trips")[:2]] == [{"id": None}, {"id": "x"}]


def test_a_first_offset_token_is_kept_and_dropping_gives_the_last(hand: Hand) -> None:
    assert hand.open(offset_token="77").json()["channel_status"]["last_committed_offset_token"] == "77"
    assert hand.call("DELETE", f"{PIPE}/channels/one").json() == {"last_committed_offset_token": "77"}
    assert hand.status() is None
    assert hand.call("DELETE", f"{PIPE}/channels/one").status_code == 404


def test_a_pipe_that_there_is_not_is_404_in_json_and_names_have_no_case(hand: Hand) -> None:
    answer = hand.call("PUT", PIPE.replace("TRIPS", "BUSES") + "/channels/one", json={})
    assert (answer.status_code, answer.json()["code"]) == (404, "ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED")
    hand.open()
    assert hand.call("PUT", PIPE.lower().replace("db", "DB") + "/channels/one", json={}).ok
    default = PIPE.replace("TRIPS_PIPE", "trips-streaming")
    assert hand.call("PUT", f"{default}/channels/one", json={}).status_code == 200


def test_the_documented_limits_hold(tmp_path: Path) -> None:
    limits = Limits(body_bytes=1_000, requests_per_second=3, channels_per_pipe=1)
    with EmulatorServer(tmp_path, tables=TABLES, commit_delay_s=0.1, limits=limits) as server:
        hand = Hand(server)
        token = hand.open().json()["next_continuation_token"]
        noise = base64.b64encode(os.urandom(3_000)).decode()
        assert hand.append(token, {"id": 1, "name": noise}).status_code == 413
        assert hand.open("two").status_code == 400
        codes = []
        for number in range(6):
            answer = hand.append(token, {"id": number})
            codes.append(answer.status_code)
            token = answer.json().get("next_continuation_token", token)
        assert codes == [200, 200, 200, 429, 429, 429]
        hand._session.close()


def test_what_was_answered_is_there_after_a_new_start(tmp_path: Path) -> None:
    with EmulatorServer(tmp_path, tables=TABLES, commit_delay_s=30) as server:
        hand = Hand(server)
        token = hand.open().json()["next_continuation_token"]
        after = hand.append(token, {"id": 1}, end="1").json()["next_continuation_token"]
        hand._session.close()
    with EmulatorServer(tmp_path, tables=TABLES, commit_delay_s=0) as server:
        hand = Hand(server)
        hand.committed("1")
        assert hand.append(after, {"id": 2}, end="2").status_code == 200
        hand.committed("2")
        assert hand.ids() == [1, 2]
        hand._session.close()
