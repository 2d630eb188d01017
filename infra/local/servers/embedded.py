"""The three embedded servers of one stack, and which of them a stack needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local.directory.layout import Layout
from infra.local.directory.state import Secrets
from infra.local.errors import LocalStackError, MissingBinaryError
from infra.local.servers import PostgresServer, SeaweedServer, Server, ValkeyServer
from infra.local.servers.urls import ExternalServers, ServerUrls

PORT_NAMES = (PostgresServer.name, ValkeyServer.name, *SeaweedServer.PORT_NAMES)


@dataclass(frozen=True)
class EmbeddedServers:
    """Descriptions of the servers; building them starts nothing."""

    postgres: PostgresServer
    valkey: ValkeyServer
    seaweedfs: SeaweedServer
    secrets: Secrets

    @classmethod
    def build(cls, layout: Layout, ports: Mapping[str, int], secrets: Secrets) -> "EmbeddedServers":
        """Describe the servers; `ports` has every name in PORT_NAMES."""
        return cls(
            PostgresServer(layout.postgres, ports[PostgresServer.name], secrets.postgres_password),
            ValkeyServer(layout.valkey, ports[ValkeyServer.name], secrets.valkey_password),
            SeaweedServer(layout.seaweedfs, ports, secrets.s3_access_key, secrets.s3_secret_key),
            secrets,
        )

    def needed(self, external: ExternalServers) -> list[Server]:
        """Return those that nobody else runs, the slowest to start first."""
        choices: list[tuple[str | None, Server]] = [
            (external.s3_endpoint, self.seaweedfs),
            (external.redis_url, self.valkey),
            (external.database_url, self.postgres),
        ]
        return [server for address, server in choices if address is None]

    def urls(self, external: ExternalServers) -> ServerUrls:
        """Return the embedded addresses, each replaced by an external one where there is one.

        Raises:
            LocalStackError: an external S3 server without its keys.
        """
        own_s3 = external.s3_endpoint is None
        access_key = self.secrets.s3_access_key if own_s3 else external.s3_access_key
        secret_key = self.secrets.s3_secret_key if own_s3 else external.s3_secret_key
        if access_key is None or secret_key is None:
            raise LocalStackError(
                "DETECTOR_S3_ENDPOINT names an S3 server, but its keys are not set.\n"
                "What to do: set DETECTOR_S3_ACCESS_KEY and DETECTOR_S3_SECRET_KEY too, or unset "
                "DETECTOR_S3_ENDPOINT to use the embedded server."
            )
        return ServerUrls(
            database_url=external.database_url or self.postgres.url,
            redis_url=external.redis_url or self.valkey.url,
            s3_endpoint=external.s3_endpoint or self.seaweedfs.endpoint,
            s3_access_key=access_key,
            s3_secret_key=secret_key,
        )

    def binaries(self) -> frozenset[Path]:
        """Return the server programs that are installed."""
        found = set()
        for server in self.needed(ExternalServers()):
            try:
                found.add(server.binary)
            except MissingBinaryError:
                continue
        return frozenset(found)
