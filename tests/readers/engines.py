"""Other people's engines, as their users start them."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PYTHON = ROOT / ".venv-readers" / "bin" / "python"
CLASSPATH = HERE / "spark" / "target" / "classpath"
_OPENED = ("lang", "lang.invoke", "util", "util.concurrent", "net", "nio")
_OPENED_SUN = ("nio.ch", "security.action", "util.calendar")

needs_python_engines = pytest.mark.skipif(not PYTHON.exists(), reason="other engines (make readers)")
needs_spark = pytest.mark.skipif(
    not CLASSPATH.exists() or shutil.which("java") is None, reason="Spark with Iceberg's runtime (make readers)"
)


def run_python(script: str, folder: Path) -> str:
    """Run a script among the other engines; give what it printed."""
    ended = subprocess.run([PYTHON, "-c", script], capture_output=True, text=True, cwd=folder, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr[-2_000:]
    return ended.stdout


class Spark:
    """A Spark of one thread; ``sql`` gives rows."""

    def __init__(self, catalog: dict[str, str], name: str = "city") -> None:
        opened = [f"java.base/java.{name}" for name in _OPENED] + [f"java.base/sun.{name}" for name in _OPENED_SUN]
        settings = {f"spark.sql.catalog.{name}": "org.apache.iceberg.spark.SparkCatalog"}
        settings |= {f"spark.sql.catalog.{name}.{key}": value for key, value in catalog.items()}
        self._process = subprocess.Popen(
            [
                shutil.which("java") or "java",
                "-Xmx1g",
                *(f"--add-opens={module}=ALL-UNNAMED" for module in opened),
                "-cp",
                CLASSPATH.read_text().strip(),
                str(HERE / "spark" / "Reader.java"),
                *(f"{key}={value}" for key, value in settings.items()),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._line() == "ready"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")

    def answer(self, query: str) -> str:
        """Give the answer to one line of SQL as it came: ``ok`` or ``error``, a tab, and what."""
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(query.split()) + "\n")
        self._process.stdin.flush()
        return self._line()

    def sql(self, query: str) -> list[dict[str, Any]]:
        """Give the rows of one query."""
        outcome, _, told = self.answer(query).partition("\t")
        assert outcome == "ok", told
        rows: list[dict[str, Any]] = json.loads(told)
        return rows
