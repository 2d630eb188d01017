"""Base settings: where the three servers are and how to log.

Every service derives one frozen class from `BaseAppSettings`. Values come from `DETECTOR_*`
environment variables only; modules below the process's wiring never read the environment.
"""

import os
import sys
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import AnyHttpUrl, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]


class BaseAppSettings(BaseSettings):
    """What every process needs. Secrets have no default: they must be set."""

    model_config = SettingsConfigDict(env_prefix="DETECTOR_", frozen=True, extra="ignore")

    # PostgreSQL, SQLAlchemy form: postgresql+psycopg://user:password@host:port/database
    database_url: SecretStr
    # Redis or Valkey, redis://[:password@]host:port/db. Only a delivery hint: it may be emptied.
    redis_url: SecretStr
    # Any S3 server (MinIO, SeaweedFS, …), http(s)://host:port without a path.
    s3_endpoint: AnyHttpUrl
    # Key pair that may read, write and create the bucket.
    s3_access_key: SecretStr
    # The pair's secret half.
    s3_secret_key: SecretStr
    # Created at start when missing.
    s3_bucket: str = "photos"
    # SeaweedFS and MinIO both accept any region; AWS needs the bucket's own.
    s3_region: str = "us-east-1"
    # Seconds one S3 request may take to connect and between two reads.
    s3_timeout_seconds: float = Field(default=10.0, gt=0)
    # Connections one process keeps to PostgreSQL at most.
    database_pool_size: int = Field(default=10, ge=1)
    # JSON lines for log collectors, columns for a terminal.
    log_format: Literal["json", "console"] = "json"
    # The least severe line to write.
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    # The model package that judges; a directory with model.json (see shared.ml.package).
    model_dir: Path = REPOSITORY_ROOT / "models" / "champion"


SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def load_settings(cls: type[SettingsT]) -> SettingsT:
    """Read `cls` from the environment; on a missing or wrong value print which and exit with 2."""
    try:
        return cls()
    except ValidationError as error:
        prefix = str(cls.model_config.get("env_prefix", ""))
        lines = [
            f"  {prefix}{'_'.join(map(str, item['loc'])).upper()}: {item['msg']}"
            for item in error.errors()
        ]
        print(  # noqa: T201  # before logging is configured
            "Settings are missing or wrong:\n"
            + "\n".join(lines)
            + "\nSet them in the environment (docs/configuration.md lists all), or run `make up`,"
            " which starts servers of its own and sets them.",
            file=sys.stderr,
        )
        sys.exit(2)


def local_dir() -> Path:
    """Return the ignored directory of the embedded stack (`.local`, or DETECTOR_LOCAL_DIR)."""
    return Path(os.environ.get("DETECTOR_LOCAL_DIR") or REPOSITORY_ROOT / ".local").resolve()
