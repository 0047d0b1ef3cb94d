"""Large appends as uploads, as towards a real account; the client remembers the first address of S3 that it ever saw.

``file_mode FOLDER`` says whether all rows are there, and how many files were uploaded for them; ``file_mode FOLDER
hangs``, where the bucket does not answer, with what error the writer ends.
"""

import os
import socket
import sys
import time
from pathlib import Path

from tests.snowpipe_streaming.rig import Rig, emulated, pairs, rows, settle
from thirdrail.errors import SinkError
from thirdrail.model.records import Span
from thirdrail.sinks.snowpipe_streaming import client


def _uploaded(folder: Path, rig: Rig) -> str:
    writer = rig.open()
    writer.submit(rows(Span(0, 0)), Span(0, 0))
    writer.submit(rows(Span(0, 600), payload=3_000), Span(0, 600))
    settle(writer, 600, within_s=30)
    rig.close()
    uploads = len(list((folder / "emulator" / "stage").rglob("*.ndjson")))
    return f"{'all' if rig.found() == pairs(0, 600) else 'not all'} {uploads}"


def _failed(folder: Path, rig: Rig) -> str:
    began = time.monotonic()
    try:
        return _uploaded(folder, rig)
    except SinkError as error:
        return f"{type(error).__name__} {time.monotonic() - began:.0f} {error} {error.hint}"


if __name__ == "__main__":
    given = Path(sys.argv[1])
    with emulated(given / "emulator") as server, socket.create_server(("127.0.0.1", 0)) as silent:
        hangs = sys.argv[2:] == ["hangs"]
        os.environ["AWS_ENDPOINT_URL"] = f"https://127.0.0.1:{silent.getsockname()[1]}" if hangs else server.url
        client.uploads = lambda _account: True
        sys.stdout.write(_failed(given, Rig(given, server)) + "\n")
        sys.stdout.flush()
        os._exit(0)  # the client's own end would wait for the upload
