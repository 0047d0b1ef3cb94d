"""What systemd wants to hear of a service of `Type=notify`, in the words of sd_notify(3)."""

import socket
from collections.abc import Mapping
from contextlib import suppress

READY, ALIVE = "READY=1", "WATCHDOG=1"


def notify(state: str, environment: Mapping[str, str]) -> None:
    """Tell systemd, where it started this process and listens; else do nothing. Does not block."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
        sending.setblocking(False)
        # A name with @ lies in Linux's abstract space, where it begins with a zero byte.
        sending.sendto(state.encode(), address.replace("@", "\0", 1) if address.startswith("@") else address)
