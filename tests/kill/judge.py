"""What a data folder holds, counted without our code: exported bodies, stock bindings, Polars."""

import json
from pathlib import Path

import polars as pl
from google.transit.gtfs_realtime_pb2 import FeedMessage
from pyiceberg.catalog.sql import SqlCatalog

from tests.faults.process import run_here

_KEY = ["capture_offset", "trip_id", "stop_id", "arrival", "departure"]


def difference(folder: Path, scratch: Path) -> tuple[int, int, int]:
    """Give stop time updates expected, missing and too many, of a folder filled under ``every_poll``."""
    expected, found = _expected(folder, scratch), _found(folder)
    counted = expected.join(found, on=_KEY, how="full", nulls_equal=True, coalesce=True, suffix="_found")
    wanted, there = pl.col("len").fill_null(0).cast(pl.Int64), pl.col("len_found").fill_null(0).cast(pl.Int64)
    missing = counted.select((wanted - there).clip(0).sum()).item()
    too_many = counted.select((there - wanted).clip(0).sum()).item()
    return int(expected["len"].sum()), int(missing), int(too_many)


def _expected(folder: Path, scratch: Path) -> pl.DataFrame:
    """Give the stop time updates of every body, and again for every poll that got the same body."""
    _thirdrail(folder, "export", str(scratch))
    rows: dict[int, list[tuple[object, ...]]] = {}
    for path in sorted(scratch.iterdir()):
        rows[int(path.name.split(".")[1])] = [
            (
                entity.trip_update.trip.trip_id,
                stop.stop_id,
                stop.arrival.time if stop.HasField("arrival") else None,
                stop.departure.time if stop.HasField("departure") else None,
            )
            for entity in FeedMessage.FromString(path.read_bytes()).entity
            for stop in entity.trip_update.stop_time_update
        ]
    listed = json.loads(_thirdrail(folder, "list", "--json", "--limit", "1000000"))
    for capture in listed:
        if capture.get("duplicate_of") is not None:
            rows[capture["offset"]] = rows[capture["duplicate_of"]]
    schema = dict(zip(_KEY, (pl.Int64, pl.String, pl.String, pl.Int64, pl.Int64), strict=True))
    whole = [(offset, *row) for offset, of_capture in rows.items() for row in of_capture]
    return pl.DataFrame(whole, schema=schema, orient="row").group_by(_KEY).len()


def _thirdrail(folder: Path, *arguments: str) -> str:
    done = run_here("captures", *arguments, "--data", folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _found(folder: Path) -> pl.DataFrame:
    catalog = SqlCatalog("thirdrail", uri=f"sqlite:///{folder}/catalog.sqlite", warehouse=f"file://{folder}/warehouse")
    table = catalog.load_table(("mta", "stop_time_updates"))
    columns = ("capture_offset", "trip_id", "stop_id", "arrival_at", "departure_at")
    rows = pl.DataFrame(table.scan(selected_fields=columns).to_arrow())
    seconds = {name: pl.col(f"{name}_at").dt.epoch("s") for name in ("arrival", "departure")}
    return rows.with_columns(**seconds).select(_KEY).group_by(_KEY).len()
