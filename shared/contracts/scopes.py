"""What an API key may do."""

from enum import StrEnum


class Scope(StrEnum):
    """Scopes carried by an API key; `admin` includes every other."""

    JOBS_WRITE = "jobs:write"
    JOBS_READ = "jobs:read"
    CATALOGS = "catalogs"
    WEBHOOKS = "webhooks"
    ADMIN = "admin"


DEFAULT_SCOPES = (Scope.JOBS_WRITE, Scope.JOBS_READ)
