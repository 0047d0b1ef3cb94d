"""The doctor names the step at fault: each step is broken in turn, against the stand-in and the official client."""

import base64
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from tests.snowflake.conftest import Done, command
from thirdrail.config.reading import load
from thirdrail.emulator.faults import Fault
from thirdrail.emulator.rows import our_tables
from thirdrail.emulator.server import EmulatorServer
from thirdrail.errors import ConfigError
from thirdrail.model.tables.doctor import DOCTOR
from thirdrail.observe.clock import SystemClock
from thirdrail.sinks.snowflake.account import Account, account_of
from thirdrail.sinks.snowflake.doctor import STEPS, Doctor
from thirdrail.sinks.snowflake.examination import Step
from thirdrail.sinks.snowflake.file_steps import FILE_STEPS
from thirdrail.sinks.snowflake.key_pair import read_key
from thirdrail.sinks.snowflake.statements import names_of


def _doctor(config_file: Path, *options: str) -> Done:
    return command("doctor", "--config", str(config_file), *options)


def _steps(done: Done) -> dict[str, Step]:
    return {each["step"]: Step(**each) for each in json.loads(done.out)["steps"]}


def _fault(done: Done, at: str) -> Step:
    """The one step that is at fault, after others that hold and before others that are not reached."""
    steps = _steps(done)
    place = STEPS.index(at)
    assert [steps[name].ok for name in STEPS] == [True] * place + [False] + [None] * (len(STEPS) - place - 1), steps
    assert done.code == 1
    return steps[at]


def _key(path: Path, key: PrivateKeyTypes | None = None, *, passphrase: str = "", pkcs1: bool = False) -> Path:
    encryption = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else None
    kind = serialization.PrivateFormat.TraditionalOpenSSL if pkcs1 else serialization.PrivateFormat.PKCS8
    path.write_bytes(
        (key or rsa.generate_private_key(65537, 2048)).private_bytes(
            serialization.Encoding.PEM, kind, encryption or serialization.NoEncryption()
        )
    )
    return path


def _changed(config_file: Path, **values: object) -> Path:
    """The configuration with some keys of [snowflake] set otherwise."""
    lines = config_file.read_text().splitlines()
    kept = [line for line in lines if line.partition(" = ")[0] not in values]
    config_file.write_text("\n".join([*kept, *(f"{name} = {json.dumps(str(each))}" for name, each in values.items())]))
    return config_file


def test_every_step_holds_and_the_time_until_the_commit_is_told(config_file: Path, emulator: EmulatorServer) -> None:
    done = _doctor(config_file, "--json")
    assert done.code == 0, done
    assert [step.ok for step in _steps(done).values()] == [True] * len(STEPS), done.out
    assert 0 < json.loads(done.out)["commit_seconds"] < 30
    assert read_key(emulator.key_file, "").fingerprint in done.out
    assert len(emulator.storage.rows(DOCTOR.name)) == 1


def _uploading(folder: Path, keys: Path, *arguments: str) -> dict[str, Step]:
    shutil.copytree(keys, folder / "emulator")
    command = [sys.executable, "-m", "tests.snowflake.uploading", str(folder / "emulator"), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=90)
    return {each["step"]: Step(**each) for each in json.loads(ended.stdout)}


def test_what_is_uploaded_reaches_the_bucket(tmp_path: Path, keys: Path) -> None:
    step = _uploading(tmp_path, keys)["upload"]
    assert step.ok, step
    assert "4 MB were uploaded" in step.found
    assert list((tmp_path / "emulator" / "stage").rglob("*.ndjson"))


def test_a_bucket_that_is_not_reached_is_a_fault_of_the_upload(tmp_path: Path, keys: Path) -> None:
    steps = _uploading(tmp_path, keys, "hangs")
    assert [step.ok for step in steps.values()] == [True] * (len(STEPS) - 1) + [False]
    assert "Fail to upload file" in steps["upload"].found
    assert "SELECT SYSTEM$ALLOWLIST()" in steps["upload"].fix
    assert steps["upload"].seconds < 20


def test_both_doctor_and_ddl_say_why_the_property_of_the_older_client_is_not_needed(config_file: Path) -> None:
    for arguments in (["ddl"], ["doctor", "--config", str(config_file)]):
        said = command(*arguments).out
        assert "ENABLE_ICEBERG_STREAMING is not" in said
        assert "older streaming" in said


def _files(config_file: Path) -> Path:
    return _changed(config_file, ingestion_method="snowpipe")


def test_the_steps_of_staged_files_hold_and_leave_nothing_there(config_file: Path, emulator: EmulatorServer) -> None:
    done = _doctor(_files(config_file), "--json")
    assert done.code == 0, done
    assert {name: step.ok for name, step in _steps(done).items()} == dict.fromkeys(FILE_STEPS, True)
    assert emulator.snowpipe.stages.files("THIRDRAIL_STAGE", "") == []


def test_a_stage_that_is_not_granted_is_named_with_its_grants(config_file: Path, emulator: EmulatorServer) -> None:
    emulator.sessions.refuses = "SQL access control error: Insufficient privileges to operate on stage"
    done = _doctor(_files(config_file), "--json")
    steps = _steps(done)
    assert (done.code, steps["token"].ok, steps["stage"].ok, steps["pipes"].ok) == (1, True, False, None)
    assert "Insufficient privileges" in steps["stage"].found
    assert "GRANT WRITE ON STAGE MTA.REALTIME.THIRDRAIL_STAGE TO ROLE THIRDRAIL_INGEST;" in steps["stage"].fix


def test_a_pipe_for_files_that_there_is_not_is_named(tmp_path: Path, keys: Path) -> None:
    shutil.copytree(keys, tmp_path / "emulator")
    tables = {name: columns for name, columns in our_tables().items() if name != "alerts"}
    with EmulatorServer(tmp_path / "emulator", tables=tables) as server:
        config_file = tmp_path / "c.toml"
        config_file.write_text(server.configuration())
        step = _steps(_doctor(_files(config_file), "--json"))["pipes"]
    assert (step.ok, "1 are missing" in step.found, "ALERTS_FILES_PIPE" in step.found) == (False, True, True)
    assert "GRANT MONITOR ON PIPE MTA.REALTIME.ALERTS_FILES_PIPE TO ROLE THIRDRAIL_INGEST;" in step.fix


def test_another_key_is_a_fault_of_the_token_step_and_the_sql_sets_it(config_file: Path, tmp_path: Path) -> None:
    other = _key(tmp_path / "other.p8")
    step = _fault(_doctor(_changed(config_file, private_key_path=other), "--json"), "token")
    assert f"ALTER USER INGEST SET RSA_PUBLIC_KEY = '{read_key(other, '').public}';" in step.fix
    assert read_key(other, "").fingerprint in step.fix


def test_a_role_that_was_not_granted_is_named(config_file: Path, emulator: EmulatorServer) -> None:
    emulator.faults.add(
        Fault("token", status=403, body="Role 'THIRDRAIL_INGEST' is not granted to this user", times=99)
    )
    step = _fault(_doctor(config_file, "--json"), "token")
    assert step.fix == "GRANT ROLE THIRDRAIL_INGEST TO USER INGEST;"


def test_a_wrong_port_is_a_fault_of_the_network(config_file: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    step = _fault(_doctor(_changed(config_file, url=f"https://127.0.0.1:{port}"), "--json"), "network")
    assert "refuses the connection" in step.found


def test_an_unknown_name_is_a_fault_of_the_network(config_file: Path) -> None:
    step = _fault(_doctor(_changed(config_file, url="https://no.such.invalid"), "--json"), "network")
    assert "(DNS)" in step.found


def test_a_certificate_that_is_not_trusted_is_a_fault_of_the_network(config_file: Path) -> None:
    step = _fault(_doctor(_changed(config_file, ca_file=""), "--json"), "network")
    assert "snowflake.ca_file" in step.found


def test_a_clock_that_is_wrong_is_named(config_file: Path) -> None:
    class Hasty(SystemClock):
        def now(self) -> int:
            return super().now() + 600_000_000

    config = load(config_file).snowflake
    doctor = Doctor(account_of(config, {}), config, names_of(config, {}), Hasty())
    steps = {step.step: step for step in doctor.examine()}
    # Some servers tell their time; one that does not shows a wrong clock as a token that is not taken.
    assert steps["network"].ok is False
    assert "clock is 600 s off" in steps["network"].found or "clock is 599 s off" in steps["network"].found


@pytest.mark.parametrize(("gone", "wanted"), [(DOCTOR.name, "CREATE PIPE IF NOT EXISTS"), ("alerts", "GRANT OPERATE")])
def test_a_pipe_that_there_is_not_is_named_with_the_sql_that_makes_it(
    tmp_path: Path, keys: Path, gone: str, wanted: str
) -> None:
    shutil.copytree(keys, tmp_path / "emulator")
    tables = {name: columns for name, columns in our_tables().items() if name != gone}
    with EmulatorServer(tmp_path / "emulator", tables=tables) as server:
        config_file = tmp_path / "c.toml"
        config_file.write_text(server.configuration())
        step = _fault(_doctor(config_file, "--json"), "pipes")
    assert f"{gone.upper()}_PIPE" in step.found
    assert f"{wanted}" in step.fix
    assert "GRANT OPERATE ON PIPE MTA.REALTIME." in step.fix


def test_a_commit_that_does_not_come_is_a_fault_of_the_latency_step(
    config_file: Path, emulator: EmulatorServer
) -> None:
    emulator.faults.is_frozen = True
    step = _fault(_doctor(config_file, "--json", "--patience", "2"), "latency")
    assert "nothing is committed after" in step.found


def test_a_row_that_is_refused_is_shown_with_what_snowflake_said(config_file: Path, emulator: EmulatorServer) -> None:
    emulator.faults.spoil[DOCTOR.name] = b"doctor"
    step = _fault(_doctor(config_file, "--json"), "latency")
    assert "refused the row" in step.found
    assert "ERROR_TABLE(MTA.REALTIME.THIRDRAIL_DOCTOR)" in step.fix


def test_a_recorded_report_holds_the_steps_and_no_names_hosts_paths_or_keys(config_file: Path, tmp_path: Path) -> None:
    other = _key(tmp_path / "other.p8")
    config = load(_changed(config_file, private_key_path=other)).snowflake
    report = tmp_path / "report.json"
    _doctor(config_file, "--record", str(report))

    text = report.read_text()
    shown = json.loads(text)
    assert [step["step"] for step in shown["steps"]] == list(STEPS)
    assert shown["is_well"] is False
    account: Account = account_of(config, {})
    pair = read_key(other, "")
    for secret in (account.account, account.user, account.host, str(other), pair.public, pair.fingerprint, "127.0.0.1"):
        assert secret.lower() not in text.lower(), secret


def test_each_mistake_with_the_key_file_has_its_own_sentence(tmp_path: Path) -> None:
    fine = _key(tmp_path / "fine.p8")
    closed = _key(tmp_path / "closed.p8", passphrase="open sesame")
    assert read_key(closed, "open sesame").fingerprint.startswith("SHA256:")
    public = tmp_path / "public.pem"
    public.write_text(f"-----BEGIN PUBLIC KEY-----\n{read_key(fine, '').public}\n-----END PUBLIC KEY-----\n")
    broken = tmp_path / "broken.p8"
    broken.write_text(f"-----BEGIN PRIVATE KEY-----\n{base64.b64encode(b'no').decode()}\n-----END PRIVATE KEY-----\n")
    text = tmp_path / "text"
    text.write_text("hello")
    for path, passphrase, expected in (
        (tmp_path / "none", "", "No such file"),
        (closed, "", "is encrypted"),
        (closed, "wrong", "the passphrase does not open it"),
        (_key(tmp_path / "old.pem", pkcs1=True), "", "PKCS 1, not PKCS 8"),
        (_key(tmp_path / "short.p8", rsa.generate_private_key(65537, 1024)), "", "no RSA key of 2048 bits"),
        (_key(tmp_path / "curve.p8", ec.generate_private_key(ec.SECP256R1())), "", "no RSA key of 2048 bits"),
        (public, "", "is the public half"),
        (broken, "", "cannot be read as a key"),
        (text, "", "no private key in PEM"),
    ):
        with pytest.raises(ConfigError, match=expected) as raised:
            read_key(path, passphrase)
        assert raised.value.hint
