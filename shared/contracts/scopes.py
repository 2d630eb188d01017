"""What an API key may do."""

from enum import StrEnum


class Scope(StrEnum):
    """Scopes carried by an API key; `admin` includes every other."""

    JOBS_WRITE = "jobs:write"
    JOBS_READ = "jobs:read"
    CATALOGS = "catalogs"
    WEBHOOKS = "webhooks"
    ADMIN = "admin"


SCOPE_HELP: dict[Scope, str] = {
    Scope.JOBS_WRITE: "submit photos, cancel jobs, review verdicts",
    Scope.JOBS_READ: "read jobs, photos, verdicts and evidence",
    Scope.CATALOGS: "submit, read and cancel catalogs",
    Scope.WEBHOOKS: "manage webhooks and read their deliveries",
    Scope.ADMIN: "everything, and manage the tenant's keys",
}

DEFAULT_SCOPES = (Scope.JOBS_WRITE, Scope.JOBS_READ)
