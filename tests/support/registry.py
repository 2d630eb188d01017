"""A real MLflow registry in a SQLite file for every test; its tables are made once a session."""

import shutil
from pathlib import Path

from shared.registry.mlflow_client import open_client
from shared.registry.registry import ModelRegistry

NAME = "product-photo-detector"


def make_template(directory: Path) -> Path:
    """Return a SQLite file with MLflow's tables: making them takes seconds."""
    path = directory / "mlflow.db"
    open_client(f"sqlite:///{path}", create=True).search_experiments()
    return path


def fresh_registry(template: Path, directory: Path) -> ModelRegistry:
    """Return an empty registry below `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copy(template, directory / "mlflow.db")
    return ModelRegistry(f"sqlite:///{directory / 'mlflow.db'}", NAME)
