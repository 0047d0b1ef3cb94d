"""What `run` says, with secrets planted where errors hold them, and nothing while all is well."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.faults.process import Victim, run_here, run_once
from tests.live.configured import configured
from thirdrail.city.server import CityServer
from thirdrail.cli.main import run as command_line
from thirdrail.config.settings import Config
from thirdrail.model.feeds import FEEDS
from thirdrail.observe.redaction import Redaction

FORMS = ("human", "json")
KEYS = {"THIRDRAIL_BUSTIME_KEY": "planted/bustime+key=1", "OTHER_AGENCY": "planted other, of a plain name"}
PLANTED = {
    **KEYS,
    "PGPASSWORD": "planted@pg:password",
    "AWS_SECRET_ACCESS_KEY": "planted/aws/secret",
    "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "planted passphrase",
}


def plant(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, secret in PLANTED.items():
        monkeypatch.setenv(name, secret)


def leaks(text: str) -> list[str]:
    spelt = {each for secret in PLANTED.values() for each in (secret, quote(secret), quote(secret, safe=""))}
    return [secret for secret in spelt if secret in text or secret in text.replace("\\", "")]


@contextmanager
def refusing() -> Iterator[str]:
    """Give the address of a server that refuses everybody with 401, and says which key it was asked with."""

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"no such key: {self.headers.get('X-Api-Key', '')} {self.path}".encode()
            self.send_response(401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("form", FORMS)
def test_a_key_that_a_refusing_feed_gives_back_is_not_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str
) -> None:
    plant(monkeypatch)
    with refusing() as address:
        config = tmp_path / "run.toml"
        parts = [
            f'[feeds.mine]\nurl = "{address}/mine"\nkey_env = "OTHER_AGENCY"\nkey_header = "X-Api-Key"',
            f'[feeds.bus_alerts]\nurl = "{address}/b"',
            *(f"[feeds.{feed.id}]\nenabled = false" for feed in FEEDS if feed.id != "bus_alerts"),
        ]
        config.write_text("\n".join(parts))
        arguments = ("run", "--data", str(tmp_path / "d"), "--config", str(config), "--listen", "off", "--for", "4s")
        with Victim(tmp_path / "log", *arguments, "--logs", form) as victim:
            assert victim.ends(30) == 0
            said = victim.output
    assert leaks(said) == []
    assert "mine: http_error: status 401: refused; set OTHER_AGENCY to a valid key. no such key: ***" in said
    assert "set THIRDRAIL_BUSTIME_KEY to a valid key. no such key:" in said
    if form == "json":
        failed = [line for line in lines(said) if line["event"] == "feed_failed"]
        assert {line["feed"] for line in failed} == {"mine", "bus_alerts"}
        assert {line["status"] for line in failed} == {401}


@pytest.mark.parametrize("form", FORMS)
def test_a_password_in_the_address_of_a_catalog_that_is_down_is_not_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], form: str
) -> None:
    config, data = tmp_path / "run.toml", tmp_path / "d"
    config.write_text('[catalog]\ntype = "postgresql"\nuri = "postgresql+psycopg://me@127.0.0.1:1/none"\n')
    assert command_line(["run", "--data", str(data), "--config", str(config)]) == 1
    address = data / "catalog.json"  # into which nobody should write one
    address.write_text(address.read_text().replace("me@", "me:planted-in-a-uri@"))
    capfd.readouterr()
    assert command_line(["run", "--data", str(data), "--logs", form]) == 1
    out, err = capfd.readouterr()
    assert "planted-in-a-uri" not in out + err
    assert "me:***@127.0.0.1:1/none cannot be opened" in err
    if form == "json":
        (failed,) = lines(err)
        assert (failed["event"], failed["level"], failed["code"]) == ("failed", "error", 1)


def planted_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str) -> int:
    """Let a run fail by an error that nobody foresaw and whose words hold every secret."""

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError(" and ".join([*PLANTED.values(), *map(quote, PLANTED.values())]))

    plant(monkeypatch)
    monkeypatch.setattr("thirdrail.app.writing", fails)
    path = tmp_path / "run.toml"
    path.write_text('[feeds.mine]\nurl = "http://127.0.0.1:1/x"\nkey_env = "OTHER_AGENCY"\n')
    return command_line(["run", "--data", str(tmp_path / "d"), "--config", str(path), "--logs", form])


def test_what_nobody_foresaw_is_the_last_line_with_its_traceback_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert planted_at_once(monkeypatch, tmp_path, "json") == 1
    said = capfd.readouterr().err
    assert leaks(said) == []
    assert lines(said)[-1]["event"] == "failed"
    assert "RuntimeError" in str(lines(said)[-1]["exception"])


def test_without_redaction_that_line_would_hold_them_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Redaction, "text", lambda _, text: text)
    assert planted_at_once(monkeypatch, tmp_path, "json") == 1
    assert set(PLANTED.values()) <= set(leaks(capfd.readouterr().err))


def test_a_traceback_that_python_prints_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    monkeypatch.delenv("OTHER_AGENCY")  # known by the configuration alone, which is not read here
    script = (
        "import os; from thirdrail.cli import main\n"
        "def fails(_): raise RuntimeError(repr(dict(os.environ)))\n"
        "main.run = fails; main.main()"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert "Traceback" in found.stderr
    assert leaks(found.stderr) == []


def test_a_run_in_which_all_is_well_says_that_it_started_and_stopped_and_nothing_else(tmp_path: Path) -> None:
    with CityServer(seed=1) as city:
        config = configured(tmp_path / "run.toml", city, commit_interval_seconds=0.5)
        config.write_text(f'{config.read_text()}\n[observe]\nlogs = "json"\n')
        found = run_once("run", "--data", tmp_path / "d", "--config", config, "--for", "8s")
    assert found.returncode == 0
    assert found.stdout == ""
    said = lines(found.stderr)
    assert [line["event"] for line in said] == ["started", "listening", "stopped"]
    polls = json.loads(run_here("status", "--json", "--data", tmp_path / "d").stdout)["feeds"]
    assert sum(feed["polls"] for feed in polls) >= 24
    assert int(str(said[-1]["captures"])) >= 8


def test_a_signal_is_an_event(tmp_path: Path) -> None:
    arguments = ("demo", "--data", str(tmp_path / "d"), "--listen", "off", "--logs", "json")
    with Victim(tmp_path / "log", *arguments) as demo:
        demo.until_said("started", 30)
        demo.terminate()
        assert demo.ends(20) == 0
        assert [line["event"] for line in lines(demo.output)] == ["started", "stopping", "stopped"]


def test_sentences_are_the_default() -> None:
    assert Config().observe.logs == "human"
