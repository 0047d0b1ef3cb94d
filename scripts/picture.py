"""Draws docs/pictures/demo.svg: the panel of a running demo, and the README's first query, as they were.

Run by hand when the panel changes: ``.venv/bin/python scripts/picture.py``.
"""

import io
import tempfile
import threading
from pathlib import Path

import msgspec
from rich.console import Console, Group
from rich.text import Text

from thirdrail import app
from thirdrail.app.data_folder import SIMULATED
from thirdrail.app.running import Run
from thirdrail.city.lines import ROUTES
from thirdrail.city.server import CityServer
from thirdrail.cli import output
from thirdrail.cli.live import TIMES_SQUARE
from thirdrail.cli.panel import drawn
from thirdrail.config.feeds import polled
from thirdrail.config.settings import Config
from thirdrail.observe.clock import SystemClock
from thirdrail.query.warehouse import open_warehouse
from thirdrail.sinks.iceberg.catalog import open_catalog

SECONDS = 25.0
WIDTH = 104


def main() -> None:
    """Run a demo, draw it, and ask."""
    clock, config = SystemClock(), Config()
    out = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, highlight=False)
    with tempfile.TemporaryDirectory() as folder, CityServer() as city:
        feeds = tuple(msgspec.structs.replace(feed, url=city.url_of(feed.id)) for feed in polled(config, list(ROUTES)))
        with app.writing(Path(folder), config, clock, kinds=(SIMULATED,)) as work:
            run = Run(work, feeds, clock, lambda _text: None, trust_environment=False)
            stopping = threading.Event()
            threading.Timer(SECONDS, stopping.set).start()
            run.until_stopped(stopping, lambda: None)
            out.print(Text("$ make demo", style="bold"))
            out.print(Group(*drawn(run, WIDTH)))
        found = open_warehouse(open_catalog(Path(folder), create=False)).sql(TIMES_SQUARE)
        out.print(
            Text(
                '\n$ ./thirdrail sql --data thirdrail-demo "SELECT route_id, towards, minutes_away, … LIMIT 10"', "bold"
            )
        )
        rows = [
            [
                str(value)[: 19 if name == "arrival_local" else None] if value is not None else ""
                for name, value in row.items()
            ]
            for row in found.to_pylist()
        ]
        table = output.grid()
        for name in found.column_names:
            table.add_column(name)
        for row in rows:
            table.add_row(*row)
        out.print(table)
    target = Path(__file__).parents[1] / "docs" / "pictures" / "demo.svg"
    target.write_text(out.export_svg(title="Third Rail"))
    print(f"{target}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
