"""``catalog serve``: the tables for any engine that reads Iceberg."""

import os
from pathlib import Path

import click

from thirdrail import app
from thirdrail.cli.interrupt import asked_to_stop
from thirdrail.cli.options import data_option
from thirdrail.query.rest import CatalogServer
from thirdrail.sinks.iceberg.catalog import open_catalog

TOKEN = "THIRDRAIL_CATALOG_TOKEN"  # noqa: S105 - the variable's name
LOOK_S = 0.5


@click.group()
def catalog() -> None:
    """Offer the tables to other engines."""


@catalog.command()
@click.option("--bind", default="127.0.0.1", show_default=True, help=f"Another address wants a token in {TOKEN}.")
@click.option("--port", default=8181, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@data_option
def serve(bind: str, port: int, data: Path) -> int:
    """Serve the tables as a read-only Iceberg REST catalog until Ctrl-C.

    DuckDB, Spark, Trino, ClickHouse and PyIceberg attach it by its address (docs/readers.md). The files are read from
    where they lie, so the engine must see the same disk.
    """
    folder = app.DataFolder.existing(data)
    token = os.environ.get(TOKEN, "")
    with (
        CatalogServer(open_catalog(folder.path, create=False), bind=bind, port=port, token=token) as server,
        asked_to_stop("stopped") as is_stopped,
    ):
        # A line of its own, for programs that take the port as it comes.
        click.echo(server.url)
        click.echo(f"the tables of {folder.path}, to be read by any engine; Ctrl-C ends it", err=True)
        while not is_stopped.wait(LOOK_S):
            pass
    return 0
