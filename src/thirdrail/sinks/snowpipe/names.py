"""Names of staged files: which rows a file holds is all in its name, so the stage itself is the list of intentions.

Under the place that a table's pipe reads, a file is called ``<log>/<partition>/<start>-<end>.parquet``: the rows of
records in ``[start, end)``. Snowpipe takes a name once and ignores it ever after, so rows that are cut anew after a
refused load get a name with a number: ``<start>-<end>.2.parquet``.
"""

import re
from typing import NamedTuple

from thirdrail.model.records import Position

_NAME = re.compile(r"([^/]+)/([^/]+)/(\d+)-(\d+)(?:\.(\d+))?\.parquet")


class StagedName(NamedTuple):
    """A file's name, in parts; they sort as the rows do."""

    log_id: str
    partition: str
    start: Position
    end: Position
    attempt: int = 1

    @property
    def path(self) -> str:
        """As the pipe knows it."""
        again = f".{self.attempt}" if self.attempt > 1 else ""
        return f"{self.log_id}/{self.partition}/{self.start}-{self.end}{again}.parquet"


def parsed(path: str) -> StagedName | None:
    """Give the parts of a name; None for one that is none of ours."""
    found = _NAME.fullmatch(path)
    if found is None:
        return None
    return StagedName(found[1], found[2], int(found[3]), int(found[4]), int(found[5] or 1))
