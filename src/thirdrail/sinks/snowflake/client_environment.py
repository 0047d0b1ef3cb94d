"""What official clients take from the environment alone: certificates to trust."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from thirdrail.sinks.snowflake.account import Account

_NAMES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_lock = threading.RLock()


@contextmanager
def trusting(account: Account) -> Iterator[None]:
    """Let a client that is built or asked meanwhile trust certificates of our own; nothing else of the process does."""
    if not account.ca_file:
        yield
        return
    with _lock:
        before = {name: os.environ.get(name) for name in _NAMES}
        os.environ.update(dict.fromkeys(_NAMES, account.ca_file))
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
