"""What came of a poll, judged from the answer alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle.synthetic import subway_message
from thirdrail.model.feeds import BY_ID, SIRI_FLAT, Feed
from thirdrail.sources.answers import Answer, Failure, judged, text_kind
from thirdrail.sources.timing import LONGEST_WAIT_REFUSED_S, LONGEST_WAIT_S, wait_seconds

FEED = BY_ID["subway_g"]
BUS = BY_ID["bus_trip_updates"]
NO_SUCH_KEY = b'<?xml version="1.0"?>\n<Error><Code>NoSuchKey</Code></Error>'


def answer(status: int | None = 200, body: bytes | None = b"", failure: Failure | None = None) -> Answer:
    return Answer(fetched_at=1, received_at=2, duration_ms=3, status=status, body=body, failure=failure)


@pytest.mark.parametrize(
    ("body", "error_class"),
    [
        (NO_SUCH_KEY, "XML"),
        (b"\xef\xbb\xbf  <html>sorry</html>", "XML"),
        (b'{"message": "no"}', "JSON"),
        (b"", "Empty"),
    ],
)
def test_what_is_no_message_is_told_before_any_parser_sees_it(body: bytes, error_class: str) -> None:
    poll, kept = judged(FEED, answer(body=body), attempt=1)

    assert (poll.outcome, poll.error_class) == ("bad_body", error_class)
    assert kept == (body or None)


def test_a_message_is_kept_whole() -> None:
    body = subway_message(0, 3)
    poll, kept = judged(FEED, answer(body=body), attempt=1)

    assert (poll.outcome, kept) == ("ok", body)
    assert (poll.fetched_at, poll.received_at, poll.fetch_duration_ms, poll.http_status) == (1, 2, 3, 200)


def test_a_message_whose_header_is_as_long_as_the_letter_is_no_xml() -> None:
    """A header of 60 bytes makes the message begin with a line feed and ``<``."""
    header = b"\x0a\x031.0\x18\x90\xd4\xe2\xd0\x06" + b"\x1a\x2f" + b"v" * 47
    assert len(header) + 2 == 62
    assert text_kind(b"\x0a\x3c" + header[:60]) is None


@given(st.binary(min_size=1, max_size=200))
def test_no_first_byte_of_a_message_is_taken_for_text(rest: bytes) -> None:
    assert text_kind(b"\x0a\x0c\x0a\x031.0\x18\x90\xd4\xe2\xd0\x06" + rest) is None


def test_a_wrong_path_is_told_from_a_missing_key() -> None:
    lost = answer(403, b'{"message":"Missing Authentication Token"}')
    refused = answer(403, b"Forbidden")

    assert judged(FEED, lost, attempt=1)[0].error_class == "WrongPath"
    assert "no key" in (judged(FEED, lost, attempt=1)[0].error_detail or "")
    assert "THIRDRAIL_BUSTIME_KEY" in (judged(BUS, refused, attempt=1)[0].error_detail or "")
    assert judged(FEED, answer(503, b"<h1>busy</h1>"), attempt=1) == (
        judged(FEED, answer(503, b"<h1>busy</h1>"), attempt=1)[0],
        None,
    )


@pytest.mark.parametrize("spelt", ["a-long/key+of=ours", "a-long%2Fkey%2Bof%3Dours", "a-long%2fkey%2bof%3Dours"])
@pytest.mark.parametrize("status", [401, 417, 500, 200])
def test_a_key_that_a_server_gives_back_is_hidden_also_where_the_body_is_cut(status: int, spelt: str) -> None:
    for before in range(40, 90, 5):
        body = f"<{'x' * before} {spelt}".encode()
        poll, _ = judged(BUS, answer(status, body), attempt=1, key="a-long/key+of=ours")
        assert "a-lon" not in (poll.error_detail or "")


def test_a_key_stands_nowhere_in_a_poll() -> None:
    failure = Failure("network_error", "Connect", "no connection to https://x/?key=s3cret")
    poll, _ = judged(BUS, answer(None, None, failure), attempt=4, key="s3cret")

    assert "s3cret" not in repr(poll)
    assert "key=***" in (poll.error_detail or "")
    assert (poll.outcome, poll.attempt) == ("network_error", 4)


def test_waits_double_up_to_a_cap_and_a_refusal_waits_longer() -> None:
    def waits(outcome: str, status: int | None) -> list[float]:
        return [wait_seconds(15, n, outcome=outcome, status=status, chance=0.5) for n in range(8)]

    assert waits("network_error", None) == [15, 15, 30, LONGEST_WAIT_S, *[LONGEST_WAIT_S] * 4]
    assert waits("http_error", 503)[-1] == LONGEST_WAIT_S
    assert waits("http_error", 404)[-1] == LONGEST_WAIT_REFUSED_S
    assert wait_seconds(3600, 5, outcome="network_error", status=None, chance=0.5) == 3600


@given(st.floats(1, 600), st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_never_shorter_than_nine_tenths_of_the_interval(
    interval: float, failures: int, chance: float
) -> None:
    wait = wait_seconds(interval, failures, outcome="network_error", status=None, chance=chance)
    assert interval * 0.9 <= wait <= max(interval, LONGEST_WAIT_S) * 1.1


SIRI = BY_ID["siri_vehicles"]


@pytest.mark.parametrize(
    ("status", "body", "error_class"),
    [
        (417, b"<Siri><ErrorCondition/></Siri>", "Throttled"),
        (200, b"<Siri><ServiceDelivery/></Siri>", "XML"),
        (200, b"java.lang.NullPointerException", "NotJson"),
        (401, b'{"Siri": {}}', "Http401"),
        (500, b"java.lang.NullPointerException", "Http500"),
    ],
)
def test_siris_errors_are_outcomes_by_their_names(status: int, body: bytes, error_class: str) -> None:
    poll, _ = judged(SIRI, answer(status, body), attempt=1)
    assert poll.outcome in ("http_error", "bad_body")
    assert poll.error_class == error_class


def test_json_is_kept_of_a_feed_in_json_and_flat_records_may_be_csv() -> None:
    for feed_id, body in (("siri_vehicles", b'{"Siri": {}}'), ("ene_current", b" [ ]")):
        assert judged(BY_ID[feed_id], answer(body=body), attempt=1)[0].outcome == "ok"
    flat = Feed(id="flat", family="siri", url="https://x", meaning="", format=SIRI_FLAT)
    assert judged(flat, answer(body=b"VEHICLEREF\nMTA_1\n"), attempt=1)[0].outcome == "ok"
