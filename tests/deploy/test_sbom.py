"""The list of libraries (SBOM): all that the runtime lock names, in its version, and nothing else."""

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = "cyclonedx-py requirements --output-reproducible --output-file"


def locked(lock: str) -> list[tuple[str, str]]:
    return sorted(re.findall(r"(?m)^([a-z0-9-]+)==([^\s;]+)", (ROOT / lock).read_text()))


def listed(path: Path) -> list[tuple[str, str]]:
    sbom = json.loads(path.read_text())
    assert sbom["bomFormat"] == "CycloneDX"
    for part in sbom["components"]:
        assert part["purl"] == f"pkg:pypi/{part['name']}@{part['version']}"
    return sorted((part["name"], part["version"]) for part in sbom["components"])


def test_make_sbom_lists_what_is_locked_for_running_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "sbom.json"
    subprocess.run(["make", "sbom", f"SBOM={path}"], cwd=ROOT, check=True, capture_output=True, timeout=120)
    assert listed(path) == locked("requirements-snowflake.txt")
    assert set(locked("requirements.txt")) < set(listed(path)) < set(locked("requirements-dev.txt"))
    assert "pytest" not in dict(listed(path))


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-snowflake.txt"])
def test_the_image_has_the_list_of_the_lock_that_it_was_built_from(lock: str, tmp_path: Path) -> None:
    """The Dockerfile's own command, with the tool of this environment."""
    build, _, final = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")
    (arguments,) = re.findall(rf"/build/tools/bin/{TOOL} sbom\.json (.*)\n", build)
    assert arguments == '"${REQUIREMENTS}"'
    assert '--requirement "${REQUIREMENTS}"' in build, "the libraries are installed from the same"
    assert "COPY --from=build /build/sbom.json /usr/share/thirdrail/sbom.json\n" in final
    tool, *options = TOOL.split()
    subprocess.run([ROOT / ".venv" / "bin" / tool, *options, tmp_path / "sbom.json", ROOT / lock], check=True)
    assert listed(tmp_path / "sbom.json") == locked(lock)
