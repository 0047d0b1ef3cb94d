"""What Snowpipe Streaming bills of a row: bytes of its values, without names, by feed family.

``python -m benchmarks.values [MINUTES]``: so many simulated minutes (default 2) of the city, as ``benchmarks.day``
takes them in, with history ``changes``. Nulls are not sent.
"Lines" are rows as they are sent, names and quotes included. Times the rows a day of
``docs/sizing.md`` these are the GB a day of ``docs/snowflake.md``.
"""

import sys
import tempfile
from pathlib import Path

import polars as pl
import pyarrow as pa

from benchmarks.day import FAMILIES, _Time, polls
from thirdrail import app
from thirdrail.app.data_folder import SIMULATED, DataFolder
from thirdrail.app.looking import pinned
from thirdrail.config.settings import Config, SpoolConfig
from thirdrail.errors import NoDataYet
from thirdrail.model.tables import TABLES


def weigh(rows: pl.DataFrame) -> tuple[int, int]:
    """Give bytes of values, and of whole lines."""
    values = names = 0
    for column in rows.iter_columns():
        there = column.drop_nulls()
        if not len(there):
            continue
        text = there.to_frame().write_ndjson()
        # {"name":…} and the line's end; a text's quotes are no value either.
        around = len(column.name) + 6 + (2 if there.dtype in (pl.String, pl.Datetime, pl.Date) else 0)
        values += len(text.encode()) - around * len(there)
        names += (len(column.name) + 4 + (2 if there.dtype in (pl.String, pl.Datetime, pl.Date) else 0)) * len(there)
    return values, values + names + 2 * len(rows)


def family(name: str, minutes: int) -> None:
    """Print a family's line."""
    with tempfile.TemporaryDirectory(prefix="ddl-") as folder:
        clock, data = _Time(), Path(folder) / "data"
        config = Config(spool=SpoolConfig(retention_days=9, reserve_gb=0.0))
        with app.writing(data, config, clock, kinds=(SIMULATED,)) as work:
            work.note_settings()
            for end, records in polls(FAMILIES[name], minutes):
                clock.at = end
                work.append(list(records))
                work.drain(app.Totals())
        count = values = lines = 0
        for table in TABLES:
            try:
                found = pinned(DataFolder.existing(data), table).whole()
            except NoDataYet:
                continue
            rows = pl.DataFrame(pa.table(found))
            weighed = weigh(rows)
            count, values, lines = count + len(rows), values + weighed[0], lines + weighed[1]
    print(f"  {name:18s}{count:>10,d} rows{values / max(count, 1):>8.0f} B values{lines / max(count, 1):>8.0f} B lines")


def main() -> None:
    """Run the benchmark."""
    minutes = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    print(f"a row, from {minutes} simulated minutes:")
    for name in FAMILIES:
        family(name, minutes)


if __name__ == "__main__":
    main()
