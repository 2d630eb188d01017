"""Where the data and the starting weights are on this machine."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from services.training.errors import TrainingError


class TrainingSettings(BaseSettings):
    """From the environment. Training needs no server, so this does not extend the app settings."""

    model_config = SettingsConfigDict(env_prefix="DETECTOR_", frozen=True, extra="ignore")

    # Folder with manifest.csv and the images that it names.
    dataset_dir: Path | None = None
    # Folder with the ImageNet weights that a run starts from.
    weights_dir: Path | None = None
    # Checkpoints and histories of runs; ignored by git.
    runs_dir: Path = Path("models/runs")

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
