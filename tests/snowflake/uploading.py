"""The doctor, in a process whose first S3 is the emulator's, or a bucket that does not answer (``hangs``)."""

import os
import socket
import sys
from pathlib import Path

import msgspec

from thirdrail.config.settings import SnowflakeConfig
from thirdrail.emulator.server import ACCOUNT, USER, EmulatorServer
from thirdrail.observe.clock import SystemClock
from thirdrail.sinks.snowflake import doctor as module
from thirdrail.sinks.snowflake.account import account_of
from thirdrail.sinks.snowflake.statements import names_of
from thirdrail.sinks.snowpipe_streaming import client

if __name__ == "__main__":
    client.uploads = module.uploads = lambda _account: True
    folder = Path(sys.argv[1])
    with EmulatorServer(folder, commit_delay_s=0.0) as server, socket.create_server(("127.0.0.1", 0)) as silent:
        hangs = sys.argv[2:] == ["hangs"]
        os.environ["AWS_ENDPOINT_URL"] = f"https://127.0.0.1:{silent.getsockname()[1]}" if hangs else server.url
        config = SnowflakeConfig(
            account=ACCOUNT,
            user=USER,
            private_key_path=str(server.key_file),
            url=server.url,
            ca_file=str(server.ca_file),
        )
        doctor = module.Doctor(account_of(config, {}), config, names_of(config, {}), SystemClock())
        sys.stdout.write(msgspec.json.encode(list(doctor.examine())).decode())
        sys.stdout.flush()
        os._exit(0)
