"""A run on a public data set as one YAML file."""

from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from services.training.config import Section
from services.training.errors import TrainingError
from services.training.public.trunks import TILES, TRUNKS
from shared.ml.spec import StackSpec


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


class ViewConfig(Section):
    """The view: a head on a frozen trunk's class tokens, then the blocks behind it."""

    trunk: str = "clip-b16-openai"
    # A local safetensors file in timm's key names; None lets timm download.
    weights: Path | None = None
    # Blocks in all, and how many of them stay frozen.
    blocks: int = Field(default=9, ge=2)
    trunk_blocks: int = Field(default=6, ge=1)
    # Regularisation of the head.
    c: float = Field(default=3e-4, gt=0)
    steps: int = Field(default=4000, ge=1)
    batch: int = Field(default=128, ge=2)
    block_rate: float = Field(default=1.5e-5, gt=0)
    head_rate: float = Field(default=3e-4, gt=0)
    # Share of the patches that a step sees.
    keep_patches: float = Field(default=0.5, gt=0, le=1)
    checkpoint_every: int = Field(default=200, ge=1)

    @field_validator("trunk")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in TRUNKS:
            raise ValueError(f"known trunks are {', '.join(TRUNKS)}")
        return name

    @model_validator(mode="after")
    def _something_to_tune(self) -> Self:
        if self.trunk_blocks >= self.blocks:
            raise ValueError("trunk_blocks must be smaller than blocks")
        return self


class TilesConfig(Section):
    """The tiles: an EfficientNet's first stages under the head of `shared.ml.statistics`."""

    network: str = "efficientnet-lite0"
    # As for the view.
    weights: Path | None = None
    # Photos that the first head is fitted on, before anything else learns.
    probe_photos: int = Field(default=2000, ge=8)
    c: float = Field(default=3e-4, gt=0)
    steps: int = Field(default=4000, ge=1)
    # Photos of a step, each with one tile.
    batch: int = Field(default=128, ge=2)
    rate: float = Field(default=1e-4, gt=0)
    head_rate: float = Field(default=3e-4, gt=0)
    weight_decay: float = Field(default=0.02, ge=0)
    smoothing: float = Field(default=0.05, ge=0, lt=0.5)
    checkpoint_every: int = Field(default=200, ge=1)

    @field_validator("network")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in TILES:
            raise ValueError(f"known networks are {', '.join(TILES)}")
        return name


class PublicConfig(Section):
    """One run, from a public data set to trained members."""

    # Names the run's folder.
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    seed: int = 17
    data: DataSet
    caps: Caps
    # Share of the sources that are held out, and generators that are, whole.
    validation_share: float = Field(default=0.1, gt=0, lt=1)
    validation_generators: tuple[str, ...] = ()
    stack: StackSpec = StackSpec()
    # Processes that decode; 0 decodes in this one.
    workers: int = Field(default=4, ge=0)
    view: ViewConfig = ViewConfig()
    tiles: TilesConfig = TilesConfig()
    device: Literal["auto", "cpu", "cuda"] = "auto"

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
