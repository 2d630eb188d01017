"""The three embedded servers, each behind the same `Server` port."""

from infra.local.servers.port import Server
from infra.local.servers.postgres import PostgresServer
from infra.local.servers.seaweedfs import SeaweedServer
from infra.local.servers.valkey import ValkeyServer

__all__ = ["PostgresServer", "SeaweedServer", "Server", "ValkeyServer"]
