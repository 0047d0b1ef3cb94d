"""Large appends as uploads, as towards a real account; the client remembers the first address of S3 that it ever saw.

``file_mode FOLDER`` says whether all rows are there, and how many files were uploaded for them; with ``switched`` they
go as rows until the server asks for files; with ``hangs`` the bucket does not answer, and it says with what error the
writer ends.
"""

import os
import socket
import sys
import time
from pathlib import Path

from tests.snowpipe_streaming.rig import Rig, emulated, pairs, rows, settle
from thirdrail.emulator.faults import Fault
from thirdrail.errors import SinkError
from thirdrail.model.records import Span
from thirdrail.sinks.snowpipe_streaming import client


def _uploaded(folder: Path, rig: Rig) -> str:
    writer = rig.open()
    writer.submit(rows(Span(0, 0)), Span(0, 0))
    writer.submit(rows(Span(0, 600), payload=3_000), Span(0, 600))
    settle(writer, 600, within_s=30)
    rig.close()
    return _said(folder, rig, 600)


def _switched(folder: Path, rig: Rig) -> str:
    rig.emulator.faults.add(Fault(call="rows", status=503, code="SWITCH_TO_FILE_MODE"))
    writer = rig.open()
    writer.submit(rows(Span(0, 0)), Span(0, 0))
    for start in range(0, 300, 10):
        writer.submit(rows(Span(start, start + 10)), Span(start, start + 10))
        writer.settle()
        time.sleep(0.15)  # a request each, or so
    settle(writer, 300, within_s=30)
    rig.close()
    return _said(folder, rig, 300)


def _said(folder: Path, rig: Rig, end: int) -> str:
    uploads = len(list((folder / "emulator" / "stage").rglob("*.ndjson")))
    return f"{'all' if rig.found() == pairs(0, end) else 'not all'} {uploads}"


def _ended(folder: Path, rig: Rig, how: str) -> str:
    began = time.monotonic()
    try:
        return _switched(folder, rig) if how == "switched" else _uploaded(folder, rig)
    except SinkError as error:
        return f"{type(error).__name__} {time.monotonic() - began:.0f} {error} {error.hint}"


if __name__ == "__main__":
    given = Path(sys.argv[1])
    with emulated(given / "emulator") as server, socket.create_server(("127.0.0.1", 0)) as silent:
        wanted = "".join(sys.argv[2:])
        bucket = f"https://127.0.0.1:{silent.getsockname()[1]}" if wanted == "hangs" else server.url
        os.environ["AWS_ENDPOINT_URL"] = bucket
        client.uploads = lambda _account: wanted != "switched"
        sys.stdout.write(_ended(given, Rig(given, server), wanted) + "\n")
        sys.stdout.flush()
        os._exit(0)  # the client's own end would wait for the upload
