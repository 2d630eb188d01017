"""Where the registry is."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.core.settings import local_dir


def default_tracking_uri() -> str:
    """Return the URI of the SQLite file below `.local` (or DETECTOR_LOCAL_DIR)."""
    return f"sqlite:///{local_dir() / 'mlflow' / 'mlflow.db'}"


class RegistrySettings(BaseSettings):
    """Of everything that reads or writes the registry."""

    model_config = SettingsConfigDict(env_prefix="DETECTOR_", frozen=True, extra="ignore")

    # MLflow's store of runs and model versions: sqlite:////absolute/path.db, or http(s)://host:port
    # of a server. Default: .local/mlflow/mlflow.db, which needs no server. Empty: training keeps no
    # record.
    mlflow_tracking_uri: str = Field(default_factory=default_tracking_uri)
    # Name of the registered model whose versions are the packages.
    mlflow_model_name: str = "product-photo-detector"
    # Packages downloaded from it, and in `trunks` what they share; several workers may share the
    # directory.
    model_cache_dir: Path = Field(default_factory=lambda: local_dir() / "model-cache")
