"""A process that appends and cares for a table by turns, and dies by SIGKILL at a named point of its care."""

import random
from pathlib import Path

from pyiceberg.catalog.sql import SqlCatalog

from tests.contract.test_sinks import commit
from tests.fakes.clock import FakeClock
from tests.kill.victim import arm, die_after
from tests.simulation.test_commit import EVENTS
from thirdrail.maintenance import care as care_module
from thirdrail.maintenance.care import Policy, care
from thirdrail.sinks.iceberg import commit as commit_module
from thirdrail.sinks.iceberg import rewrite
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.folder import Folder
from thirdrail.sinks.iceberg.sink import IcebergSink

POINTS: dict[str, tuple[object, str]] = {
    "merged file": (rewrite, "write_data_files"),
    "manifest": (rewrite, "new_manifest"),
    "survivors": (rewrite, "without"),
    "manifest list": (commit_module, "write_list"),
    "metadata": (SqlCatalog, "_write_metadata"),
    "catalog commit": (SqlCatalog, "commit_table"),
    "verdict": (care_module, "judged"),
    "deletion": (Folder, "_delete"),
    "notes": (Folder, "put"),
}
"""Functions after whose nth call, counted from the beginning of a round of care, the process dies."""

RANDOM = "at random"
COMMITS_A_ROUND = 12
AT_ONCE = Policy(replaced_us=0, orphans_us=0)
"""Whatever nothing names goes at the second sight."""


def live(folder: Path, rounds: int, point: str, nth: int) -> None:
    """Append and care, round by round, from where the table is up to a number of rounds."""
    clock = FakeClock()
    catalog = open_catalog(folder, create=True)
    writer = IcebergSink(catalog, clock).open(EVENTS, "log", "0")
    if point == RANDOM:
        die_after(random.Random(nth).uniform(0.0, 0.6))
    done = (writer.position or 0) // COMMITS_A_ROUND
    armed = False
    for number in range(done, rounds):
        for at in range(max(number * COMMITS_A_ROUND, writer.position or 0), (number + 1) * COMMITS_A_ROUND):
            commit(writer, at, at + 1)
        if point not in ("", RANDOM) and not armed:
            arm(*POINTS[point], nth)
            armed = True
        report = care(catalog, EVENTS, AT_ONCE, clock)
        assert report.trouble == ""
