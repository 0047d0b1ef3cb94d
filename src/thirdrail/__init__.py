"""Third Rail: every public MTA real-time feed as Iceberg tables, each row exactly once."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thirdrail.app.reading import Reading

__version__ = "0.1.0"


def open(path: str | Path) -> "Reading":  # noqa: A001 - as thirdrail.open
    """Open a data folder for reading, also while it is written: ``thirdrail.open("thirdrail-data").sql("…").pl()``.

    Raises:
        NoDataYet: there is none at the path.
    """
    from thirdrail.app.reading import open_for_reading  # noqa: PLC0415 - `thirdrail.__version__` costs no libraries

    return open_for_reading(path)
