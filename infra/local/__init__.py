"""The embedded stack: real PostgreSQL, Valkey and SeaweedFS from wheels, run by supervisor.

`Stack` is the front; `python -m infra.local.up` and `python -m infra.local.demo` use it.
"""

from infra.local.errors import LocalStackError
from infra.local.servers.urls import ExternalServers, ServerUrls
from infra.local.stack import Stack

__all__ = ["ExternalServers", "LocalStackError", "ServerUrls", "Stack"]
