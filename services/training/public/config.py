"""A run on a public data set as one YAML file."""

from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from services.training.config import Section
from services.training.errors import TrainingError
from services.training.eyes.config import EyesConfig
from services.training.public.trunks import TILES, TRUNKS, known


class Caps(Section):
    """How much is taken at most, in photos. A store takes 1.5 MB a photo, its tokens 0.6 MB."""

    # Of one generator; real photos have none.
    per_generator: int = Field(ge=1)
    # Of one source: what a generator has in one shard, or in one class.
    per_source: int = Field(ge=1)
    # Of each class in all. The run ends when both are full.
    per_class: int = Field(ge=1)


class DataSet(Section):
    """Which data set, under which terms, and which of its files."""

    reader: Literal["openfake", "community-forensics", "genimage"]
    # An SPDX identifier where there is one.
    licence: str = Field(min_length=1)
    # Then the command asks for --accept-non-commercial.
    non_commercial: bool
    # On the hub; None cannot be downloaded by this command.
    repository: str | None = None
    revision: str = "main"
    # Patterns of shards below the data's folder; of GenImage, its splits.
    files: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _told(self) -> Self:
        if "-nc" in self.licence.lower() and not self.non_commercial:
            raise ValueError(f"the licence {self.licence} is non-commercial: say so")
        return self


class PublicConfig(Section):
    """One run, from a public data set to a package of members, or as far as its networks go."""

    # Names the run's store.
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    data: DataSet
    caps: Caps
    # Share of the sources that are held out, and generators that are, whole.
    validation_share: float = Field(default=0.1, gt=0, lt=1)
    validation_generators: tuple[str, ...] = ()
    # Processes that decode; 0 decodes in this one.
    workers: int = Field(default=4, ge=0)
    # Names of services/training/public/trunks.py.
    trunk: str = "clip-b16-openai"
    tiles: str = "efficientnet-lite0"
    # Local safetensors files in timm's key names; None lets timm download them.
    trunk_weights: Path | None = None
    tiles_weights: Path | None = None
    # Images at once through the frozen networks.
    batch: int = Field(default=128, ge=1)
    # Everything after the store, as for the eyes; its `cap` and `tiles_weights` are not used.
    eyes: EyesConfig

    @field_validator("trunk")
    @classmethod
    def _on_the_route(cls, name: str) -> str:
        network = known(TRUNKS, name)
        if network.obstacle:
            fitting = ", ".join(key for key, each in TRUNKS.items() if not each.obstacle)
            raise ValueError(f"{name} cannot be the trunk: {network.obstacle}; take {fitting}")
        return name

    @field_validator("tiles")
    @classmethod
    def _known(cls, name: str) -> str:
        known(TILES, name)
        return name

    def accept(self, *, non_commercial: bool) -> None:
        """Raise TrainingError where the licence is non-commercial and that was not accepted."""
        if self.data.non_commercial and not non_commercial:
            raise TrainingError(
                f"{self.name} is under {self.data.licence}: no commercial use, and that may hold"
                " for what is trained on it. If your use is not commercial, repeat the command"
                " with --accept-non-commercial."
            )


def load_public_config(path: Path) -> PublicConfig:
    """Read a configuration. Raises TrainingError that names the file and the field."""
    try:
        return PublicConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise TrainingError(f"{path} is not a configuration for public data: {error}") from error
