"""Rounds of faults against the official client: eight channels at a time, each row once and in order.

Statuses of the notes' table on every call, resets before and after a request is applied, expired tokens, thefts,
slow commits, file mode asked for, requests of an earlier life still on their way.
"""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from tests.snowpipe_streaming.rig import EVENTS, PIPE, Rig, deliver, emulated, pairs
from thirdrail.emulator.faults import Fault
from thirdrail.emulator.server import EmulatorServer

AT_A_TIME = 8
ROUNDS = int(os.environ.get("THIRDRAIL_SNOWFLAKE_ROUNDS", "8"))
END = 200
DISTURBED_S = 20.0
"""Then the rest is left alone: on a busy machine a new error would come before the last one is over."""

STATUSES = (400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 422, 425, 429, 500, 501, 502, 503)
CALLS = ("rows", "rows", "rows", "open", "status", "pipe_info", "token")


def one_fault(random: Random, emulator: EmulatorServer, deployments: list[str]) -> None:
    """Let something go wrong."""
    kind = random.random()
    if kind < 0.45:
        status = random.choice(STATUSES)
        applied = status >= 500 and random.random() < 0.5
        emulator.faults.add(Fault(call=random.choice(CALLS), status=status, applied=applied))
    elif kind < 0.55:
        emulator.faults.add(Fault(call="rows", status=404, body="<html>busy</html>"))
    elif kind < 0.75:
        emulator.faults.add(Fault(call=random.choice(CALLS), reset=random.choice(("before", "after"))))
    elif kind < 0.80:
        emulator.identity.not_before = time.time()
    elif kind < 0.85:
        emulator.storage.steal(PIPE, f"thirdrail-{random.choice(deployments)}-0")
    elif kind < 0.92:
        emulator.storage.commit_delay_s = random.choice((0.0, 0.3, 1.0))
    else:
        emulator.faults.add(Fault(call="rows", delay_s=0.7))


@pytest.mark.parametrize("group", range(max(1, ROUNDS // AT_A_TIME)))
def test_each_row_is_there_once_and_in_order(tmp_path: Path, group: int) -> None:
    random = Random(group)
    deployments = [f"round{number}" for number in range(AT_A_TIME)]
    over = threading.Event()
    with emulated(tmp_path / "emulator") as emulator:

        def disturb() -> None:
            until = time.monotonic() + DISTURBED_S
            while not over.wait(random.uniform(0.05, 0.4)) and time.monotonic() < until:
                one_fault(random, emulator, deployments)

        # A client whose token could not be renewed says SUCCESS and sends nothing: begun anew after 15 s.
        rigs = [Rig(tmp_path, emulator, deployment, stuck_seconds=1.5) for deployment in deployments]
        gremlin = threading.Thread(target=disturb)
        gremlin.start()
        try:
            with ThreadPoolExecutor(AT_A_TIME) as pool:
                seeds = [Random(group * AT_A_TIME + number) for number in range(AT_A_TIME)]
                errors = list(pool.map(lambda rig, seed: deliver(rig, END, seed, within_s=240), rigs, seeds))
        finally:
            over.set()
            gremlin.join()
            for rig in rigs:
                rig.close()
        for rig in rigs:
            state = emulator.storage.channel(PIPE, rig.channel)
            assert rig.found() == pairs(0, END), f"{rig.deployment} of group {group}"
            assert (state.inserted, state.errors) == (len(pairs(0, END)), 0)
        assert not emulator.storage.refused(EVENTS.name)
    assert sum(emulator.faults.happened.values()) >= AT_A_TIME // 2, "too few faults to mean anything"
    assert len(errors) == AT_A_TIME
