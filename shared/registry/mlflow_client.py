"""Opens MLflow: imported late, silent towards its makers, with errors in our own words."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import SADeprecationWarning, SQLAlchemyError

from shared.registry.errors import RegistryError, VersionMissing

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SQLITE = "sqlite:///"
_ENVIRONMENT = {
    # MLflow reports use to its makers unless told otherwise: a self-hosted system calls nobody.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Its own limits are 120 s and seven retries. Whoever waits here has something else to do.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    # Progress bars of artifact transfers do not belong into logs.
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def open_client(uri: str, *, create: bool) -> "MlflowClient":
    """Return a client of the store at `uri`; a SQLite file is made only with `create`.

    Raises RegistryError when MLflow is not installed or the file is not there.
    """
    path = sqlite_path(uri)
    if path is not None:
        if create:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise RegistryError(f"no directory for MLflow's file {path}: {error}") from error
        elif not path.is_file():
            raise RegistryError(
                f"there is no model registry at {path} yet. Train a model (`make train`) or"
                " register a package (`detector models register models/champion`)."
            )
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # MLflow's tables use SQLAlchemy's `noload`, which SQLAlchemy 2.1 deprecates; ours do not.
    warnings.filterwarnings("ignore", "The ``noload`` loader", category=SADeprecationWarning)
    try:
        from mlflow import MlflowClient  # noqa: PLC0415  # takes seconds, and 45 to 85 MB
    except ModuleNotFoundError as error:
        raise RegistryError(
            f"the model registry needs {error.name}: pip install mlflow-skinny (a worker), or"
            " 'ai-product-photo-detector[training]'"
        ) from error
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    with told(f"opening the model registry at {shown(uri)}"):
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


def sqlite_path(uri: str) -> Path | None:
    """Return the file behind a sqlite URI, None for a server's."""
    return Path(uri.removeprefix(_SQLITE)) if uri.startswith(_SQLITE) else None


def shown(uri: str) -> str:
    """Return `uri` without user name and password."""
    scheme, separator, rest = uri.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn failures of MLflow, its database or the network into RegistryError."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415  # see open_client

    try:
        yield
    except MlflowException as error:
        kind = VersionMissing if error.error_code == "RESOURCE_DOES_NOT_EXIST" else RegistryError
        raise kind(f"{what}: {error.message}") from error
    # requests' errors are OSErrors.
    except (OSError, SQLAlchemyError) as error:
        raise RegistryError(f"{what}: {type(error).__name__}: {error}") from error
