"""Events: declared once, a sentence or a line of JSON for each, and no secret in either."""

import ast
import json
import logging
import re
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from thirdrail.observe.logs import BY_NAME, EVENTS, HUMAN, JSON, Event, Log, libraries_heard
from thirdrail.observe.redaction import Redaction

SOURCE = Path(__file__).parents[2] / "src"
NOTHING = Redaction(())


def events_of_the_code() -> list[tuple[str, set[str]]]:
    found = []
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Event":
                name = node.args[0]
                assert isinstance(name, ast.Constant), ast.unparse(node)
                fields = {"exception" if word.arg == "exc_info" else str(word.arg) for word in node.keywords}
                found.append((name.value, fields))
    return found


def test_every_event_of_the_code_is_declared_with_its_fields_and_none_is_left_over() -> None:
    said: dict[str, set[str]] = {}
    for name, fields in events_of_the_code():
        assert name in BY_NAME, name
        said[name] = said.get(name, set()) | fields
    assert said == {event.name: set(event.fields) for event in EVENTS}


def test_declarations_say_what_they_mean() -> None:
    assert len(BY_NAME) == len(EVENTS)
    for event in EVENTS:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", event.name)
        assert event.level in {"info", "warning", "error"}
        assert event.meaning
        assert not {"event", "level", "time", "text"} & set(event.fields)


def test_an_event_that_is_not_declared_is_an_error() -> None:
    with pytest.raises(KeyError, match="guess"):
        Event("guess", "who knows")


def test_a_person_reads_the_sentence_and_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    shown: list[str] = []
    Log(HUMAN, shown.append, NOTHING)(Event("feed_recovered", "x: answers again", feed="x", failures=3))
    assert shown == ["x: answers again"]
    assert capfd.readouterr() == ("", "")


def test_a_machine_reads_a_line_of_json_with_name_level_time_sentence_and_fields(
    capfd: pytest.CaptureFixture[str],
) -> None:
    log = Log(JSON, pytest.fail, NOTHING)
    log(Event("feed_failed", "x: bad\nbody \udcff é", feed="x", status=None, failures=3, reason=""))
    out, err = capfd.readouterr()
    (line,) = err.splitlines()
    found = json.loads(line)
    said_at = datetime.fromisoformat(found.pop("time"))
    assert abs(datetime.now(UTC) - said_at) < timedelta(minutes=1)
    assert said_at.utcoffset() == timedelta(0)
    wanted = {"event": "feed_failed", "level": "warning", "text": "x: bad\nbody \udcff é"}
    assert found == {**wanted, "feed": "x", "failures": 3}
    assert list(json.loads(line))[:4] == ["event", "level", "time", "text"]
    assert out == ""


def test_an_exception_becomes_its_traceback_for_a_machine_alone(capfd: pytest.CaptureFixture[str]) -> None:
    shown: list[str] = []
    event = Event("sink_failed", "s: division", sink="s", exc_info=raised("by zero"))
    Log(HUMAN, shown.append, NOTHING)(event)
    Log(JSON, shown.append, NOTHING)(event)
    assert shown == ["s: division"]
    assert "in raised\n" in json.loads(capfd.readouterr().err)["exception"]


def raised(words: str) -> Exception:
    try:
        int(words)
    except ValueError as error:
        return error
    raise AssertionError(words)


def test_a_terminal_that_has_gone_stops_nobody() -> None:
    def gone(_: str) -> None:
        raise BrokenPipeError

    Log(HUMAN, gone, NOTHING)(Event("stopped", "stopped"))


def test_what_libraries_log_or_warn_of_is_heard_and_only_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own, which raise
    said: list[Event] = []
    library = logging.getLogger("pyiceberg.somewhere")
    with libraries_heard(said.append):
        library.info("nothing new")
        library.warning("%d files", 3)
        library.warning("%d files", "many")  # cannot be formatted
        library.error("failed", exc_info=raised("by zero"))
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(capture=True)
            warnings.warn("old", DeprecationWarning, stacklevel=1)
    library.warning("later")
    assert [event.declared.name for event in said] == ["library_warned"] * 4
    assert [str(event) for event in said[:3]] == [
        "pyiceberg.somewhere: 3 files",
        "pyiceberg.somewhere: %d files",
        "pyiceberg.somewhere: failed",
    ]
    assert isinstance(said[2].fields["exc_info"], ValueError)
    assert "DeprecationWarning: old" in str(said[3])


# Each is planted in a sentence, in a field, in a list, in a traceback, and percent-encoded.
PLANTED = ("s3cr3t-K3y/with+signs=", 'pass "word" \\ here', "ключ-от-города", "0123456789abcdef")


def spoken(form: str, redaction: Redaction, capfd: pytest.CaptureFixture[str]) -> str:
    """Give all that is said of events that hold the planted secrets."""
    shown: list[str] = []
    log = Log(form, shown.append, redaction)
    for secret in PLANTED:
        text = f"401: no such key {secret}; asked {json.dumps({'k': secret})} and {secret!r}"
        log(Event("sink_failed", text, reason=text, hint=f"not {secret}", failures=1, exc_info=raised(f"at {secret}")))
        log(Event("started", "begins", feeds=[secret], data=Path("/d") / secret.replace("/", "_"), kind={"x": secret}))
    return "\n".join(shown) + capfd.readouterr().err


def leaks(said: str) -> list[str]:
    """Give the secrets that can be read in what was said, by an eye or after JSON's own decoding."""
    texts = [said]
    for line in said.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        texts += [str(each) for each in (found["text"], found.get("exception", ""), found)]
    return [secret for secret in PLANTED if any(secret in text for text in texts)]


@pytest.mark.parametrize("form", [HUMAN, JSON])
def test_no_planted_secret_is_said_and_without_redaction_each_would_be(
    form: str, capfd: pytest.CaptureFixture[str]
) -> None:
    said = spoken(form, Redaction(PLANTED), capfd)
    assert leaks(said) == []
    assert "***" in said
    assert leaks(spoken(form, NOTHING, capfd)) == list(PLANTED)


def test_fields_named_as_secrets_are_hidden_whole(capfd: pytest.CaptureFixture[str]) -> None:
    named = {"password": "a", "api_key": "b", "rest_token": 7, "private_key_passphrase": ["c"], "key_path": "/k"}
    Log(JSON, pytest.fail, NOTHING)(Event("started", "x", **named))
    found = json.loads(capfd.readouterr().err)
    assert {name: found[name] for name in named} == {**dict.fromkeys(named, "***"), "key_path": "/k"}
