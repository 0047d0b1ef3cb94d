"""The lock files name every package, its exact version and its hashes, and no place to get it from."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.txt", "requirements-snowflake.txt", "requirements-dev.txt", "requirements-sbom.txt")


def entries(name: str) -> list[str]:
    """Return the requirements of a lock file, continuation lines joined."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def pins(name: str) -> dict[str, str]:
    return dict(re.match(r"([a-z0-9.-]+)==([^\s;]+)", entry).groups() for entry in entries(name))


def plain(requirement: str) -> str:
    return re.match(r"[\w.-]+", requirement).group().lower().replace("_", "-").replace(".", "-")


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_exact_and_has_hashes(name):
    for entry in entries(name):
        assert re.fullmatch(r"[a-z0-9.-]+==[^\s;]+( ; [^\\]*?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*", entry), entry


@pytest.mark.parametrize("name", [*LOCKS, *(lock.replace(".txt", ".in") for lock in LOCKS), "pyproject.toml"])
def test_no_file_says_where_packages_come_from(name):
    text = (ROOT / name).read_text()
    for word in ("://", "index-url", "find-links", "trusted-host", " @ "):
        assert word not in text, word


def test_the_development_lock_holds_the_runtime_lock():
    assert pins("requirements.txt").items() <= pins("requirements-snowflake.txt").items()
    assert pins("requirements-snowflake.txt").items() <= pins("requirements-dev.txt").items()
    assert pins("requirements-sbom.txt").items() <= pins("requirements-dev.txt").items()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_asked_for_is_locked(lock):
    lines = (ROOT / lock.replace(".txt", ".in")).read_text().splitlines()
    names = {plain(line) for line in lines if re.match(r"\w", line)}
    assert names <= pins(lock).keys()


def test_the_project_depends_on_what_is_locked_for_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = (ROOT / "requirements.in").read_text().splitlines()
    asked = {plain(line) for line in lines if re.match(r"\w", line)}
    assert {plain(name) for name in project["project"]["dependencies"]} == asked - {"flit-core"}


def test_the_build_backend_is_pinned_to_the_locked_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["build-system"]["requires"] == [f"flit_core=={pins('requirements.txt')['flit-core']}"]
