"""Where the data set's photos are kept and looked for."""

import os
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from services.training.errors import TrainingError
from shared.core.settings import REPOSITORY_ROOT


class DatasetSettings(BaseSettings):
    """From the environment, beside `TrainingSettings`."""

    model_config = SettingsConfigDict(env_prefix="DETECTOR_", frozen=True, extra="ignore")

    # Folder that `detector data fetch` fills: manifest.csv and images/, named by their hash.
    dataset_cache: Path = Path("data/cache")
    # Folders with stored photos that `fetch` takes before it asks the network, separated like PATH.
    dataset_sources: str | None = None
    # Folder outside the work tree with the photos' originals, named by their hash.
    originals_dir: Path | None = None

    def cache(self) -> Path:
        """Return the cache folder; a relative one is below the repository's root."""
        return REPOSITORY_ROOT / self.dataset_cache

    def sources(self) -> tuple[Path, ...]:
        """Return the local folders to take photos from, in order."""
        return tuple(map(Path, filter(None, (self.dataset_sources or "").split(os.pathsep))))

    def require_originals(self) -> Path:
        """Return the folder of the originals, which need not exist yet.

        Raises TrainingError when it is not set, or lies in the work tree: originals are many
        gigabytes, and most of their licences forbid that they come into git.
        """
        what = "Set it to a folder outside the work tree; see docs/data.md."
        if self.originals_dir is None:
            raise TrainingError(f"DETECTOR_ORIGINALS_DIR is not set. {what}")
        folder = self.originals_dir.resolve()
        if folder.is_relative_to(REPOSITORY_ROOT.resolve()):
            raise TrainingError(f"DETECTOR_ORIGINALS_DIR is {folder}, in the work tree. {what}")
        return folder
