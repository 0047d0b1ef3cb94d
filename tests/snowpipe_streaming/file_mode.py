"""Large appends as uploads, in a process of its own: the client remembers the first address of S3 that it ever saw.

Says whether all rows are there, and how many files were uploaded for them.
"""

import sys
from pathlib import Path

from tests.snowpipe_streaming.rig import Rig, emulated, pairs, rows, settle
from thirdrail.model.records import Span

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with emulated(folder / "emulator", is_file_mode=True) as server:
        rig = Rig(folder, server)
        writer = rig.open()
        writer.submit(rows(Span(0, 0)), Span(0, 0))
        writer.submit(rows(Span(0, 600), payload=3_000), Span(0, 600))
        settle(writer, 600, within_s=30)
        rig.close()
        is_all = rig.found() == pairs(0, 600)
    uploads = len(list((folder / "emulator" / "stage").rglob("*.ndjson")))
    sys.stdout.write(f"{'all' if is_all else 'not all'} {uploads}\n")
