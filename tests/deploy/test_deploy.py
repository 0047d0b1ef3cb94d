"""Containers and systemd as far as no engine is needed; tests/deploy/on_engine.py runs them for real."""

import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from strictyaml.ruamel import YAML

from thirdrail.cli.main import commands
from thirdrail.config.reading import load
from thirdrail.emulator.server import EmulatorServer
from thirdrail.observe.systemd import READY, notify

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = YAML(typ="safe", pure=True).load((ROOT / "deploy" / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
OURS = [name for name, each in SERVICES.items() if "build" in each]
UNIT = ROOT / "deploy" / "systemd" / "thirdrail.service"
DATA = "${THIRDRAIL_DATA:-/var/lib/thirdrail/data}"
TOOLS = ("bash", "dirname", "id", "grep", "tail", "head", "cat", "timeout", "mkdir", "chmod", "chown", "stat", "ls")

# A docker that answers as told: `WITHOUT` names what fails. Everything that it is asked is noted.
DOCKER = """#!/bin/bash
echo "$*" >>"$(dirname "$0")/asked"
case "$WITHOUT:$*" in
    compose:"compose version"*) exit 1 ;;
    daemon:info*) exit 1 ;;
esac
exit 0
"""


class Deploy:
    """deploy.sh in a tree of its own, with a PATH that holds little more than the tools that it uses."""

    def __init__(self, folder: Path) -> None:
        self.root, self.bin = folder / "tree", folder / "bin"
        self.root.mkdir()
        self.bin.mkdir()
        shutil.copy(ROOT / "deploy.sh", self.root)
        shutil.copytree(ROOT / "deploy", self.root / "deploy")
        for tool in (*TOOLS, "rm", "mv", "od", "tr", "sleep"):
            found = shutil.which(tool)
            assert found, tool
            (self.bin / tool).symlink_to(found)

    def with_docker(self) -> "Deploy":
        (self.bin / "docker").write_text(DOCKER)
        (self.bin / "docker").chmod(0o755)
        return self

    def asked(self) -> list[str]:
        path = self.bin / "asked"
        return path.read_text().splitlines() if path.exists() else []

    def __call__(self, *arguments: str, said: str | None = None, **environment: str) -> tuple[int, str, str]:
        run = subprocess.run(
            [str(self.root / "deploy.sh"), *arguments],
            env={"PATH": str(self.bin), "HOME": str(self.root), **environment},
            cwd=self.root,
            input=said or "",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return run.returncode, run.stdout, run.stderr


@pytest.fixture
def deploy(tmp_path: Path) -> Deploy:
    return Deploy(tmp_path)


NEEDS_DOCKER = {
    "setup": [],
    "deploy": [],
    "start": [],
    "stop": [],
    "restart": [],
    "status": [],
    "logs": [],
    "sql": ["SELECT 1"],
    "audit": [],
    "report": [],
    "upgrade": [],
    "backup": ["copy"],
    "restore": ["copy", "new"],
    "cleanup": ["--yes"],
}


@pytest.mark.parametrize("command", NEEDS_DOCKER)
@pytest.mark.parametrize(
    ("without", "code", "words"),
    [
        ("docker", 3, "docker is not installed"),
        ("compose", 4, "no compose plugin"),
        ("daemon", 5, "daemon does not answer"),
    ],
)
def test_every_command_says_in_one_line_what_is_missing(
    deploy: Deploy, command: str, without: str, code: int, words: str
) -> None:
    if without != "docker":
        deploy.with_docker()
    found, out, err = deploy(command, *NEEDS_DOCKER[command], WITHOUT=without)
    assert (found, out) == (code, "")
    assert len(err.splitlines()) == 1
    assert words in err
    assert not (deploy.root / "thirdrail-data").exists()


def test_alone_it_deploys(deploy: Deploy) -> None:
    assert deploy()[0] == 3
    assert "docker is not installed" in deploy()[2]


def test_help_names_every_command_and_needs_nothing(deploy: Deploy) -> None:
    code, out, _ = deploy("help")
    assert code == 0
    for command in (*NEEDS_DOCKER, "health", "help"):
        assert re.search(rf"\b{command}\b", out), command
    assert deploy("--help")[1] == out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--profile", "kafka", "deploy"], "there is no profile kafka: local snowflake rehearsal app"),
        (["--profile"], "--profile wants a name"),
        (["--wait", "soon", "deploy"], "--wait wants whole seconds"),
        (["fly"], "there is no command fly"),
        (["stop", "now"], "stop takes no argument"),
        (["sql"], "sql wants a query"),
        (["backup"], "backup wants a folder"),
        (["restore", "one"], "restore wants two folders"),
        (["cleanup", "everything"], "cleanup takes --data and nothing else"),
    ],
)
def test_wrong_use_is_said_in_one_line(deploy: Deploy, arguments: list[str], words: str) -> None:
    code, _, err = deploy(*arguments)
    assert code == 2
    assert len(err.splitlines()) == 1
    assert words in err


def test_snowflake_wants_its_env_and_local_none(deploy: Deploy) -> None:
    deploy.with_docker()
    code, _, err = deploy("--profile", "snowflake", "setup")
    assert code == 7
    assert "cp .env.example .env" in err
    (deploy.root / ".env").write_text("SNOWFLAKE_ACCOUNT=a-b\nSNOWFLAKE_USER=''\n")
    code, _, err = deploy("--profile", "snowflake", "setup")
    assert code == 7
    assert "does not set SNOWFLAKE_USER SNOWFLAKE_PRIVATE_KEY_PATH" in err
    (deploy.root / ".env").write_text(
        "SNOWFLAKE_ACCOUNT=a-b\nSNOWFLAKE_USER=me\nSNOWFLAKE_PRIVATE_KEY_PATH=key.p8 # ours\n"
    )
    code, _, err = deploy("--profile", "snowflake", "setup")
    assert code == 7
    assert f"{deploy.root}/key.p8 cannot be read" in err
    (deploy.root / "key.p8").touch()
    assert deploy("--profile", "snowflake", "setup")[0] == 0
    (deploy.root / ".env").unlink()
    assert deploy("setup")[0] == 0


def test_setup_makes_folders_and_secrets_once_and_closes_them(deploy: Deploy) -> None:
    deploy.with_docker()
    (deploy.root / ".env").write_text('SLACK_WEBHOOK_URL="https://hooks.example/T/B/x#y"\n')
    assert deploy("setup")[0] == 0
    secrets = deploy.root / ".secrets"
    password = (secrets / "grafana" / "admin_password").read_text()
    assert len(password) == 36
    assert (secrets / "alertmanager" / "slack_url").read_text() == "https://hooks.example/T/B/x#y"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert (deploy.root / "thirdrail-data").is_dir()
    assert deploy("setup")[0] == 0
    assert (secrets / "grafana" / "admin_password").read_text() == password
    assert not [line for line in deploy.asked() if " up " in line or " build" in line]


def test_a_taken_port_is_named_before_anything_starts(deploy: Deploy) -> None:
    deploy.with_docker()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, _, err = deploy("--profile", "app", "deploy", THIRDRAIL_PORT=port)
    assert code == 6
    assert f"{port} (THIRDRAIL_PORT)" in err
    assert len(err.splitlines()) == 1
    assert not [line for line in deploy.asked() if " up " in line]


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return str(found.getsockname()[1])


def test_what_does_not_become_ready_is_given_up_in_time(deploy: Deploy) -> None:
    deploy.with_docker()
    code, out, err = deploy("--profile", "app", "--wait", "2", "deploy", THIRDRAIL_PORT=free_port())
    assert code == 8
    assert "at most 2 s" in out
    assert "not ready within 2 s" in err


def test_health_without_anybody_there(deploy: Deploy) -> None:
    code, _, err = deploy("health", THIRDRAIL_PORT=free_port())
    assert code == 1
    assert "nobody answers" in err


def test_cleanup_asks_before_it_deletes_and_deletes_only_what_is_ours(deploy: Deploy) -> None:
    deploy.with_docker()
    data = deploy.root / "thirdrail-data"
    data.mkdir()
    (data / "mine.txt").touch()
    code, out, err = deploy("cleanup", "--data", said="n\n")
    assert code == 1
    assert f"ALL DATA in {data}" in out
    assert "nothing was deleted" in err
    assert not [line for line in deploy.asked() if " down" in line]
    assert deploy("cleanup", "--data")[0] == 1  # nobody there to answer
    assert deploy("cleanup", "--data", "--yes")[0] == 9
    assert (data / "mine.txt").exists()
    (data / "thirdrail.json").touch()
    code, out, _ = deploy("cleanup", "--yes")
    assert code == 0
    assert "the data stays" in out
    assert data.exists()
    assert deploy("cleanup", "--data", "--yes")[0] == 0
    assert not data.exists()


def test_a_backup_overwrites_nothing_and_a_restore_neither(deploy: Deploy) -> None:
    deploy.with_docker()
    (deploy.root / "thirdrail-data").mkdir()
    (deploy.root / "full").mkdir()
    (deploy.root / "full" / "file").touch()
    assert "is not empty" in deploy("backup", "full")[2]
    assert "is not empty" in deploy("restore", "full", "full")[2]
    assert "is not there" in deploy("restore", "nothing", "new")[2]
    assert not [line for line in deploy.asked() if line.startswith("run")]
    assert deploy("backup", "copy")[0] == 0
    (asked,) = [line for line in deploy.asked() if line.startswith("run")]
    copy, data = deploy.root / "copy", deploy.root / "thirdrail-data"
    assert f"--volume {data}:{data} --volume {copy}:{copy}" in asked
    assert asked.endswith(f"backup {copy} --data {data}")
    assert "--read-only" in asked


# ---------------------------------------------------------------------------------------------------------- compose


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_held_short(name: str) -> None:
    each = SERVICES[name]
    assert each["read_only"] is True
    assert each["cap_drop"] == ["ALL"]
    assert each["security_opt"] == ["no-new-privileges:true"]
    assert each["restart"] == "unless-stopped"
    assert {"mem_limit", "cpus", "pids_limit", "stop_grace_period", "logging"} <= each.keys()
    assert "privileged" not in each
    user = re.sub(r"\$\{\w+:-(\d+)\}", r"\1", each["user"])
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user), user


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_this_machines_alone(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:"), port


@pytest.mark.parametrize("name", [name for name in OURS if name != "emulator"])
def test_the_data_lie_at_the_same_path_inside_and_outside(name: str) -> None:
    each = SERVICES[name]
    (bound,) = [volume for volume in each["volumes"] if volume["source"] == DATA]
    assert bound["target"] == bound["source"]
    assert bound["bind"] == {"create_host_path": False}
    assert f"--data={DATA}" in each["command"]
    assert [volume for volume in each["volumes"] if volume is not bound and not volume.get("read_only")] == []


def test_images_are_named_by_variables_with_a_default_that_is_pinned() -> None:
    for each in SERVICES.values():
        found = re.fullmatch(r"\$\{\w+:-([\w/.-]+):([\w.-]+)\}", each["image"])
        assert found, each["image"]
        assert found[2] != "latest"
    assert SERVICES["app"]["build"]["args"]["PYTHON_IMAGE"] == "${PYTHON_IMAGE:-python:3.11-slim-bookworm}"


def test_profiles_hold_what_they_promise() -> None:
    def of(profile: str) -> set[str]:
        return {name for name, each in SERVICES.items() if profile in each["profiles"]}

    around = {"prometheus", "alertmanager", "grafana"}
    assert of("app") == {"app"}
    assert of("local") == {"app"} | around
    assert of("snowflake") == {"app-snowflake"} | around
    assert of("rehearsal") == {"emulator", "app-rehearsal"}


def test_every_path_that_is_mounted_is_in_the_tree_or_made_by_setup() -> None:
    """Alertmanager's and Prometheus' own files are another's to write; their folders are named here."""
    elsewhere = {"../.secrets/alertmanager", "../.secrets/grafana"}
    for each in SERVICES.values():
        for volume in each["volumes"]:
            source = volume.split(":")[0] if isinstance(volume, str) else volume["source"]
            default = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", source)
            if default.startswith("./") and not default.startswith(("./prometheus", "./alertmanager")):
                assert (ROOT / "deploy" / default).exists(), default
            elif default.startswith("../"):
                assert default in elsewhere


@pytest.mark.parametrize("name", ["local", "snowflake", "rehearsal"])
def test_the_configurations_are_ones(name: str) -> None:
    config = load(ROOT / "deploy" / f"{name}.toml")
    assert ("snowflake" in config.sinks) == (name != "local")


def test_the_rehearsals_configuration_is_what_the_emulator_prints(tmp_path: Path) -> None:
    printed = EmulatorServer(tmp_path, port=8443).configuration().replace(str(tmp_path), "/emulator")
    assert tomllib.loads(printed) == tomllib.loads((ROOT / "deploy" / "rehearsal.toml").read_text())


@pytest.mark.parametrize("name", OURS)
def test_every_command_of_ours_is_one(name: str) -> None:
    first = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", SERVICES[name]["command"][0])
    assert first in commands.commands


def test_what_runs_without_a_person_before_it_logs_for_machines() -> None:
    for name in ("app", "app-snowflake", "app-rehearsal"):
        assert "--logs=json" in SERVICES[name]["command"]
    assert re.search(r"^ExecStart=\S+ run .*--logs json$", UNIT.read_text(), re.MULTILINE)


# ------------------------------------------------------------------------------------------- the image, .env, the unit


def test_the_dockerfile_is_one_that_every_builder_takes() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert "# syntax=" not in text
    assert "ARG PYTHON_IMAGE=python:3.11-slim-bookworm" in text
    assert "/usr/bin/python" not in text
    assert "/usr/local/bin/python" not in text
    final = text.rpartition("\nFROM ")[2]
    assert "USER 10001:10001" in final
    assert "STOPSIGNAL SIGTERM" in final
    assert 'ENTRYPOINT ["thirdrail"]' in final
    assert "/readyz" in final
    assert "--require-hashes" in text


def test_the_dockerfile_passes_hadolint() -> None:
    linter = Path(sys.executable).parent / "hadolint"
    run = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


def test_the_builder_sees_what_it_copies_and_no_secret() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    let_in = {line[1:] for line in lines if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert let_in == {name for line in copied for name in line.split()}
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"/.env", "/.secrets/"} <= set(ignored)


def test_the_example_names_the_sketchs_variables_and_holds_no_value() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    set_ones = [line for line in lines if line and not line.startswith("#")]
    snowflake = ("ACCOUNT", "USER", "PRIVATE_KEY_PATH", "PRIVATE_KEY_PASSPHRASE", "DATABASE", "SCHEMA", "ROLE")
    kafka = ("BOOTSTRAP_SERVERS", "SASL_USERNAME", "SASL_PASSWORD", "TOPIC")
    wanted = {f"SNOWFLAKE_{name}" for name in (*snowflake, "WAREHOUSE")} | {f"KAFKA_{name}" for name in kafka}
    assert set(set_ones) == {f"{name}=" for name in wanted | {"MTA_API_KEY", "SLACK_WEBHOOK_URL"}}
    # Those that the containers are to know are handed on.
    handed = (ROOT / "deploy" / "compose.yaml").read_text()
    assert all(name in handed for name in wanted if name.startswith("SNOWFLAKE"))
    assert "THIRDRAIL_BUSTIME_KEY:-${MTA_API_KEY:-}" in handed


def test_a_service_of_systemd_hears_that_it_is_ready(tmp_path: Path) -> None:
    for address in (str(tmp_path / "notify"), f"@thirdrail-test-{os.getpid()}"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
            listening.bind(address.replace("@", "\0", 1) if address.startswith("@") else address)
            listening.settimeout(5)
            notify(READY, {"NOTIFY_SOCKET": address})
            assert listening.recv(100) == b"READY=1"
    notify(READY, {})
    notify(READY, {"NOTIFY_SOCKET": str(tmp_path / "nobody")})


def test_a_run_says_ready_and_that_it_lives(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(60)
        command = [sys.executable, "-m", "thirdrail", "demo", "--for", "3s", "--listen", "off"]
        with subprocess.Popen(
            [*command, "--data", str(tmp_path / "data")],
            env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert listening.recv(100) == b"READY=1"
            assert listening.recv(100) == b"WATCHDOG=1"
            assert process.wait(60) == 0


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd: systemd-analyze is not installed")
def test_the_unit_passes_systemds_own_check(tmp_path: Path) -> None:
    unit = tmp_path / "thirdrail.service"
    unit.write_text(UNIT.read_text().replace("/opt/thirdrail/bin/thirdrail", "/bin/true"))
    run = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


def test_the_unit_is_hardened() -> None:
    lines = UNIT.read_text().splitlines()
    for wanted in (
        "Type=notify",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "StateDirectory=thirdrail",
        "CapabilityBoundingSet=",
        "User=thirdrail",
        "SystemCallFilter=@system-service",
    ):
        assert wanted in lines
