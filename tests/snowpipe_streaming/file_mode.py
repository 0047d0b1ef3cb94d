"""Large appends as uploads, as towards a real account; the client remembers the first address of S3 that it ever saw.

Says whether all rows are there, and how many files were uploaded for them.
"""

import os
import sys
from pathlib import Path

from tests.snowpipe_streaming.rig import Rig, emulated, pairs, rows, settle
from thirdrail.model.records import Span
from thirdrail.sinks.snowpipe_streaming import client, sink

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with emulated(folder / "emulator") as server:
        os.environ["AWS_ENDPOINT_URL"] = server.url
        real = client.properties
        sink.properties = lambda *given, **named: {  # type: ignore[assignment]
            name: value for name, value in real(*given, **named).items() if name not in client._ALWAYS_ROWS
        }
        rig = Rig(folder, server)
        writer = rig.open()
        writer.submit(rows(Span(0, 0)), Span(0, 0))
        writer.submit(rows(Span(0, 600), payload=3_000), Span(0, 600))
        settle(writer, 600, within_s=30)
        rig.close()
        is_all = rig.found() == pairs(0, 600)
    uploads = len(list((folder / "emulator" / "stage").rglob("*.ndjson")))
    sys.stdout.write(f"{'all' if is_all else 'not all'} {uploads}\n")
