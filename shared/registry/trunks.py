"""Trunks in MLflow: each is the artifact of a run of its own, stored once.

A tag of the registered model, written after the upload, says which run: what has no tag is not
there, so an upload that was broken off is simply done again.
"""

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from shared.ml.spec import FileEntry
from shared.registry.errors import TrunkMissing, VersionMissing
from shared.registry.mlflow_client import told

if TYPE_CHECKING:
    from mlflow import MlflowClient

_TAG = "trunk."
# Folder of the run's artifacts.
_FOLDER = "trunk"


def holder(client: "MlflowClient", model: str, entry: FileEntry) -> str | None:
    """Return the id of the run that holds a trunk; None when there is none, or not all of it."""
    what = f"looking for the trunk {entry.name}"
    try:
        with told(what):
            run_id = client.get_registered_model(model).tags.get(_TAG + entry.sha256)
            if not run_id or client.get_run(run_id).info.lifecycle_stage != "active":
                return None
            listed = client.list_artifacts(run_id, _FOLDER)
    except VersionMissing:  # no such model yet, or the run was deleted for good
        return None
    whole = any(
        PurePosixPath(item.path).name == entry.name and item.file_size == entry.size_bytes
        for item in listed
    )
    return str(run_id) if whole else None


def upload(client: "MlflowClient", model: str, run_id: str, trunk: Path, entry: FileEntry) -> None:
    """Make the verified file `trunk` an artifact of the run, then say that it is there."""
    client.log_artifact(run_id, str(trunk), _FOLDER)
    client.set_terminated(run_id)
    client.set_registered_model_tag(model, _TAG + entry.sha256, run_id)


def download(client: "MlflowClient", model: str, entry: FileEntry, folder: Path) -> Path:
    """Return the path of a trunk, downloaded below `folder` and not checked yet.

    Raises TrunkMissing when the registry does not hold it.
    """
    run_id = holder(client, model, entry)
    if run_id is None:
        raise TrunkMissing(
            f"the model registry does not hold the trunk {entry.name}: register a package that"
            " needs it again, from where its trunk is (`detector models register DIR`)"
        )
    found = client.download_artifacts(run_id, f"{_FOLDER}/{entry.name}", str(folder))
    return Path(found)
