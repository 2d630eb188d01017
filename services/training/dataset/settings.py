"""Where the data set's photos are kept and looked for."""

import os
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.core.settings import REPOSITORY_ROOT


class DatasetSettings(BaseSettings):
    """From the environment, beside `TrainingSettings`."""

    model_config = SettingsConfigDict(env_prefix="DETECTOR_", frozen=True, extra="ignore")

    # Folder that `detector data fetch` fills: manifest.csv and images/, named by their hash.
    dataset_cache: Path = Path("data/cache")
    # Folders with stored photos that `fetch` takes before it asks the network, separated like PATH.
    dataset_sources: str | None = None

    def cache(self) -> Path:
        """Return the cache folder; a relative one is below the repository's root."""
        return REPOSITORY_ROOT / self.dataset_cache

    def sources(self) -> tuple[Path, ...]:
        """Return the local folders to take photos from, in order."""
        return tuple(map(Path, filter(None, (self.dataset_sources or "").split(os.pathsep))))
