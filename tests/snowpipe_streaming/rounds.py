"""One group of rounds, in a process of its own: the client remembers the first address of S3 that it ever saw.

``rounds FOLDER GROUP`` ends with 0 when every channel of the group has each row once and in order. In every other group
the client uploads what it would send as rows, if it is more than a few kilobytes.
"""

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from tests.snowpipe_streaming.rig import EVENTS, PIPE, Rig, deliver, emulated, pairs
from thirdrail.emulator.faults import Fault
from thirdrail.emulator.server import EmulatorServer
from thirdrail.sinks.snowpipe_streaming import client

AT_A_TIME = 8
END, END_OF_FILES = 200, 600
DISTURBED_S = 20.0
"""Then the rest is left alone: on a busy machine a new error would come before the last one is over."""

STATUSES = (400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 422, 425, 429, 500, 501, 502, 503)
CALLS = ("rows", "rows", "rows", "open", "status", "pipe_info", "token")
OF_FILES = ("filebuffer", "filebuffer", "s3", "rows", "open", "status", "pipe_info", "token")


def one_fault(random: Random, emulator: EmulatorServer, deployments: list[str], calls: tuple[str, ...]) -> None:
    """Let something go wrong."""
    kind = random.random()
    if kind < 0.40:
        status = random.choice(STATUSES)
        applied = status >= 500 and random.random() < 0.5
        emulator.faults.add(Fault(call=random.choice(calls), status=status, applied=applied))
    elif kind < 0.45:
        emulator.faults.add(Fault(call="rows", status=503, code="SWITCH_TO_FILE_MODE"))
    elif kind < 0.55:
        emulator.faults.add(Fault(call=calls[0], status=404, body="<html>busy</html>"))
    elif kind < 0.75:
        emulator.faults.add(Fault(call=random.choice(calls), reset=random.choice(("before", "after"))))
    elif kind < 0.80:
        emulator.identity.not_before = time.time()
    elif kind < 0.85:
        emulator.storage.steal(PIPE, f"thirdrail-{random.choice(deployments)}-0")
    elif kind < 0.92:
        emulator.storage.commit_delay_s = random.choice((0.0, 0.3, 1.0))
    else:
        emulator.faults.add(Fault(call=calls[0], delay_s=0.7))


def run(folder: Path, group: int) -> None:
    """Bring every channel's rows over while things go wrong."""
    random = Random(group)
    deployments = [f"round{number}" for number in range(AT_A_TIME)]
    over = threading.Event()
    with emulated(folder / "emulator") as emulator:
        os.environ["AWS_ENDPOINT_URL"] = emulator.url
        is_uploading = group % 2 == 1
        if is_uploading:
            client._ALWAYS_ROWS = {"max_buffered_kb_for_rowset_mode": "4"}
        calls, end = (OF_FILES, END_OF_FILES) if is_uploading else (CALLS, END)

        def disturb() -> None:
            until = time.monotonic() + DISTURBED_S
            while not over.wait(random.uniform(0.05, 0.4)) and time.monotonic() < until:
                one_fault(random, emulator, deployments, calls)

        # A client whose token could not be renewed says SUCCESS and sends nothing: begun anew after 15 s.
        rigs = [Rig(folder, emulator, deployment, stuck_seconds=1.5) for deployment in deployments]
        gremlin = threading.Thread(target=disturb)
        gremlin.start()
        try:
            with ThreadPoolExecutor(AT_A_TIME) as pool:
                seeds = [Random(group * AT_A_TIME + number) for number in range(AT_A_TIME)]
                list(pool.map(lambda rig, seed: deliver(rig, end, seed, within_s=240), rigs, seeds))
        finally:
            over.set()
            gremlin.join()
            for rig in rigs:
                rig.close()
        for rig in rigs:
            state = emulator.storage.channel(PIPE, rig.channel)
            assert rig.found() == pairs(0, end), f"{rig.deployment} of group {group}"
            assert (state.inserted, state.errors) == (len(pairs(0, end)), 0)
        assert not emulator.storage.refused(EVENTS.name)
        assert sum(emulator.faults.happened.values()) >= AT_A_TIME // 2, "too few faults to mean anything"
        uploads = len(list((folder / "emulator" / "stage").rglob("*.ndjson")))
        assert uploads or not is_uploading, "nothing was uploaded"
        sys.stdout.write(f"{emulator.faults.happened} {uploads} uploads\n")


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.flush()
    os._exit(0)  # what clients that were let go of still hold is nobody's
