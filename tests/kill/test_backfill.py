"""`kill -9` at every step of a backfill: audit agrees before, in between and after, and the same call ends the work."""

import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from tests.kill import filler
from thirdrail import app
from thirdrail.errors import NoDataYet
from thirdrail.model.tables import FEED_MESSAGES
from thirdrail.sinks.iceberg.catalog import open_catalog
from thirdrail.sinks.iceberg.reader import pin

PATIENCE_S = 120
OLDER, NEWER = 40, 50


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.kill.filler"])
    return context


@pytest.fixture
def declared_later() -> Iterator[None]:
    """As in the processes: what audits and reads here, too."""
    columns = FEED_MESSAGES.columns
    filler.declare_it_later()
    yield
    object.__setattr__(FEED_MESSAGES, "columns", columns)
    FEED_MESSAGES.__post_init__()


def ended(processes: ForkServerContext, target: Callable[..., None], *arguments: object, **named: object) -> int:
    process = processes.Process(target=target, args=arguments, kwargs=named)
    process.start()
    process.join(PATIENCE_S)
    assert process.exitcode in (0, -9)
    return process.exitcode or 0


def audited(folder: Path, where: str) -> int:
    told = app.audit(app.DataFolder.existing(folder), None)
    assert told.ok, (where, told)
    assert (told.captures, told.pending) == (NEWER, 0)
    return told.rows_found


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("declared_later")
def test_a_table_of_a_newer_version_is_filled_however_often_that_is_killed(
    processes: ForkServerContext, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    assert ended(processes, filler.live, folder, OLDER, is_older=True) == 0
    with pytest.raises(NoDataYet):
        app.audit(app.DataFolder.existing(folder), None)  # the version before made no such table
    assert ended(processes, filler.live, folder, NEWER, is_older=False) == 0
    (begun,) = pin(open_catalog(folder, create=False), filler.NEW).begun.values()
    assert begun == OLDER + 1
    found = audited(folder, "before")

    died = 0
    for point in filler.POINTS:
        for nth in (1, 2):
            code = ended(processes, filler.fill, folder, point, nth)
            died += code == -9
            now = audited(folder, f"{point} {nth}")
            assert now == found or (point, nth) == ("catalog commit", 2)
    assert died == len(filler.POINTS) * 2
    assert ended(processes, filler.fill, folder, "", 0) == 0
    pinned = pin(open_catalog(folder, create=False), filler.NEW)
    assert list(pinned.begun.values()) == [0]
    assert audited(folder, "after") == now > found
    messages = pin(open_catalog(folder, create=False), FEED_MESSAGES)
    assert len(filler.COUNTS) > 1
    counts = messages.read(messages.files, list(filler.COUNTS))
    assert {name: counts[name].null_count for name in counts.column_names} == dict.fromkeys(filler.COUNTS, 0)
