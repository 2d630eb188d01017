"""Addresses of the three servers, and how they reach a process's environment."""

from collections.abc import Mapping
from dataclasses import dataclass

_VARIABLES = {
    "database_url": "DETECTOR_DATABASE_URL",
    "redis_url": "DETECTOR_REDIS_URL",
    "s3_endpoint": "DETECTOR_S3_ENDPOINT",
    "s3_access_key": "DETECTOR_S3_ACCESS_KEY",
    "s3_secret_key": "DETECTOR_S3_SECRET_KEY",
}


@dataclass(frozen=True)
class ServerUrls:
    """Where the servers are and the secrets to use them.

    Attributes:
        database_url: SQLAlchemy form, postgresql+psycopg://user:password@host:port/database.
        redis_url: redis://:password@host:port/0.
        s3_endpoint: http://host:port.
        s3_access_key: S3 access key id.
        s3_secret_key: S3 secret key.
    """

    database_url: str
    redis_url: str
    s3_endpoint: str
    s3_access_key: str
    s3_secret_key: str

    def environment(self) -> dict[str, str]:
        """Return the DETECTOR_* variables that every service reads."""
        return {variable: getattr(self, field) for field, variable in _VARIABLES.items()}


@dataclass(frozen=True)
class ExternalServers:
    """Servers that somebody else runs; a field that is None means: run an embedded one."""

    database_url: str | None = None
    redis_url: str | None = None
    s3_endpoint: str | None = None
    s3_access_key: str | None = None
    s3_secret_key: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "ExternalServers":
        """Take what is set in `environment`; an empty string counts as not set."""
        return cls(**{field: environment.get(name) or None for field, name in _VARIABLES.items()})

    def without(self, embedded: ServerUrls) -> "ExternalServers":
        """Drop addresses that are the embedded servers' own.

        Whoever sourced `servers.env` in the terminal has them set, and means no other server.
        """
        own = self.s3_endpoint == embedded.s3_endpoint
        return ExternalServers(
            database_url=None if self.database_url == embedded.database_url else self.database_url,
            redis_url=None if self.redis_url == embedded.redis_url else self.redis_url,
            s3_endpoint=None if own else self.s3_endpoint,
            s3_access_key=None if own else self.s3_access_key,
            s3_secret_key=None if own else self.s3_secret_key,
        )
