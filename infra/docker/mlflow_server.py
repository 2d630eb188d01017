"""Starts MLflow's server in its container: runs and versions in PostgreSQL, packages in S3.

MLflow gets a schema of its own, because its migrations keep their state in a table of the same name
as ours, and a bucket of its own. Clients up- and download through the server, so no other container
needs keys of the object store for it.
"""

import os
import sys
import time
from collections.abc import Mapping
from urllib.parse import quote

import psycopg

from shared.core.errors import StorageError
from shared.core.settings import BaseAppSettings, load_settings
from shared.storage.s3 import S3ObjectStore

SCHEMA = "mlflow"
BUCKET = "models"
_ATTEMPTS = 30


def server_environment(settings: BaseAppSettings) -> Mapping[str, str]:
    """Return what MLflow and boto3 read; here and not as arguments, which every user can see."""
    url = settings.database_url.get_secret_value()
    separator = "&" if "?" in url else "?"
    return {
        "MLFLOW_BACKEND_STORE_URI": f"{url}{separator}options={quote(f'-csearch_path={SCHEMA}')}",
        "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{BUCKET}",
        "MLFLOW_S3_ENDPOINT_URL": str(settings.s3_endpoint).rstrip("/"),
        "AWS_ACCESS_KEY_ID": settings.s3_access_key.get_secret_value(),
        "AWS_SECRET_ACCESS_KEY": settings.s3_secret_key.get_secret_value(),
        "AWS_DEFAULT_REGION": settings.s3_region,
        # Not every S3 server understands the checksums that boto3 adds of its own accord.
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # A queue for jobs that language-model features use; it would write next to the code.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def prepare(settings: BaseAppSettings) -> None:
    """Make schema and bucket. Raises StorageError or psycopg.Error when a server is away."""
    url = settings.database_url.get_secret_value().replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    S3ObjectStore.from_settings(settings.model_copy(update={"s3_bucket": BUCKET})).ensure_ready()


def main() -> None:
    """Prepare, then become the server; host and port come from MLFLOW_HOST and MLFLOW_PORT."""
    settings = load_settings(BaseAppSettings)
    for attempt in range(_ATTEMPTS):
        try:
            prepare(settings)
            break
        except (StorageError, psycopg.OperationalError) as error:
            print(f"waiting for the servers: {error}", file=sys.stderr)
            if attempt == _ATTEMPTS - 1:
                sys.exit(1)
            time.sleep(2)
    environment = {**os.environ, **server_environment(settings)}
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
    os.execve(sys.executable, command, environment)  # noqa: S606  # this process becomes the server


if __name__ == "__main__":
    main()
