"""Secrets are known by their variables' names, found in every spelling, and guessed where they are not known."""

from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thirdrail.observe.redaction import Redaction, secrets_of

ENVIRONMENT = {
    "MTA_API_KEY": "mta-key-1",
    "THIRDRAIL_BUSTIME_KEY": "bustime-1\n",
    "THIRDRAIL_REST_TOKEN": "rest-token",
    "PGPASSWORD": "pg-password",
    "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "phrase",
    "AWS_SECRET_ACCESS_KEY": "aws-secret",
    "AWS_SESSION_TOKEN": "aws-session",
    "SLACK_WEBHOOK_URL": "https://hooks.example/T/B/x",
    "BUSES": "named-by-a-feed",
    "SNOWFLAKE_PRIVATE_KEY_PATH": "/run/secrets/key",
    "HOME": "/home/me",
    "SHORT_KEY": "on",
}


def test_secrets_are_known_by_the_names_of_their_variables_and_by_key_env() -> None:
    known = set(secrets_of(ENVIRONMENT, ["BUSES", "", "NOT_SET"]))
    others = {"SNOWFLAKE_PRIVATE_KEY_PATH", "HOME", "SHORT_KEY"}
    assert known == {value.strip() for name, value in ENVIRONMENT.items() if name not in others}


@given(
    secret=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
    spell=st.sampled_from([str, quote, lambda s: quote(s, safe=""), quote_plus, lambda s: quote(quote(s, safe=""))]),
)
def test_a_secret_is_hidden_in_every_spelling(secret: str, spell) -> None:
    assert Redaction((secret,)).known(f"<{spell(secret)}>") == "<***>" or secret in "<>*"


def test_the_longer_of_two_secrets_goes_first() -> None:
    assert Redaction(("abcd", "abcd-efgh")).text("abcd-efgh, abcd") == "***, ***"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "postgresql+psycopg://me:pa:s/s@wo@db.example:5432/x is down",
            "postgresql+psycopg://me:***@db.example:5432/x is down",
        ),
        ("https://x/feed?key=abc&y=1", "https://x/feed?key=***&y=1"),
        ("https://x/f?X-Amz-Signature=0f&a=1", "https://x/f?X-Amz-Signature=***&a=1"),
        ("host=db password='a b' user=me", "host=db password=*** user=me"),
        ('{"access_token": "abc", "n": 1}', '{"access_token": ***, "n": 1}'),
        ("Authorization: Bearer abc.def==", "Authorization: Bearer ***"),
        ("jwt eyJhbGciOi.eyJpc3Mi.c2ln refused", "jwt *** refused"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII=\n-----END RSA PRIVATE KEY-----", "-----BEGIN *** RSA PRIVATE KEY-----"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, wanted: str) -> None:
    assert Redaction(()).text(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "metrics and health at http://127.0.0.1:8001/health",
        "subway_g: http_error: status 401: refused; set THIRDRAIL_BUSTIME_KEY to a valid key.",
        "iceberg: nothing is committed, the log goes on: x (nothing is lost; credentials: PGPASSWORD for PostgreSQL)",
        "committed token: 000000000012",
        "SELECT route_id FROM t WHERE stop_name = 'Times Sq-42 St' AND key = 'a'",
    ],
)
def test_ordinary_sentences_stay(text: str) -> None:
    assert Redaction(()).text(text) == text
