"""Valkey (speaks Redis) as the broker: nothing is written to disk, nothing is evicted."""

from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from infra.local.directory.private_file import write_private
from infra.local.processes.program import SERVER_PRIORITY, Program
from infra.local.servers.binaries import valkey_server

_CHECK_TIMEOUT_S = 2.0


class ValkeyServer:
    """Listens on 127.0.0.1 with a password.

    Args:
        directory: its configuration file.
        port: TCP port.
        password: hexadecimal.
    """

    name = "valkey"

    def __init__(self, directory: Path, port: int, password: str) -> None:
        self._directory = directory
        self._port = port
        self._password = password
        self.url = f"redis://:{password}@127.0.0.1:{port}/0"

    @property
    def binary(self) -> Path:
        """Resolved path of the server program. Raises MissingBinaryError."""
        return valkey_server()

    @property
    def _configuration(self) -> Path:
        return self._directory / "valkey.conf"

    def prepare(self) -> None:
        """Write the configuration file."""
        # In a file, not as arguments: every user of the machine can read arguments.
        write_private(
            self._configuration,
            f"""\
bind 127.0.0.1
port {self._port}
requirepass {self._password}
daemonize no
# The broker carries only hints that PostgreSQL can give again, so nothing is kept.
save ""
appendonly no
# An evicted message would look like a delivered one; a refused write is seen.
maxmemory-policy noeviction
tcp-keepalive 60
""",
        )

    def program(self) -> Program:
        """Return how supervisor runs it."""
        return Program(
            name=self.name,
            command=[str(self.binary), str(self._configuration)],
            directory=self._directory,
            priority=SERVER_PRIORITY,
        )

    def check(self) -> None:
        """Return if it answers an authenticated request."""
        with redis.Redis.from_url(
            self.url,
            socket_timeout=_CHECK_TIMEOUT_S,
            socket_connect_timeout=_CHECK_TIMEOUT_S,
            # The client's own retries pause for seconds; the caller tries again at once.
            retry=Retry(NoBackoff(), 0),
        ) as client:
            client.ping()

    def finish(self) -> None:
        """Nothing is left to do."""

    def clean(self) -> None:
        """Nothing is outside its directory."""
