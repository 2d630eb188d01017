"""The run of the eyes as one YAML file. Every field that changes a result is in here."""

from pathlib import Path
from typing import Self

import yaml
from pydantic import Field, ValidationError, model_validator

from services.training.config import CalibrationConfig, PackageConfig, Section
from services.training.errors import TrainingError
from services.training.eyes.head import C
from services.training.eyes.tune import TuneConfig
from shared.ml.spec import StackSpec


class EyesConfig(Section):
    """One run, from originals to a package of members."""

    seed: int = 17
    spec: StackSpec = StackSpec()
    # Photos of one repository and class at most.
    cap: int = Field(default=30, ge=1)
    # Share of the photos that are looked at in their degraded version, too.
    degraded_share: float = Field(default=1.0, ge=0, le=1)
    # Photos of these splits learn; each is judged by the model of the other fold.
    learn: tuple[str, ...] = ("train",)
    # Nothing is fitted on these but thresholds; they show whether thresholds carry over.
    untouched: tuple[str, ...] = ("val",)
    # Blocks of the view's network, and how many of them are the frozen trunk.
    blocks: int = Field(default=9, ge=2)
    trunk_blocks: int = Field(default=6, ge=1)
    folds: int = Field(default=2, ge=2)
    tune: TuneConfig = TuneConfig()
    # The package whose trunk is taken, with its embedding: a directory below the repository's root.
    # Embeddings of releases on one trunk compare, so a new one is fitted only for a new trunk.
    trunk_of: Path | None = None
    # Whether one more tuning, on the repositories of all folds, joins the mean of weights.
    whole: bool = False
    # Weights of the tiles' stages: a file in DETECTOR_WEIGHTS_DIR.
    tiles_weights: str = "tf_efficientnet_lite0.safetensors"
    # Regularisation of the tiles' head.
    tiles_c: float = Field(default=C, gt=0)
    # Share of the repositories that fusion and calibration are fitted on; thresholds take the rest.
    fusing_share: float = Field(default=1 / 3, gt=0, lt=1)
    calibration: CalibrationConfig = CalibrationConfig()
    package: PackageConfig

    @model_validator(mode="after")
    def _some_blocks_are_tuned(self) -> Self:
        if self.trunk_blocks >= self.blocks:
            raise ValueError("trunk_blocks must be smaller than blocks, or nothing is tuned")
        return self


def load_eyes_config(path: Path) -> EyesConfig:
    """Read a YAML configuration. Raises TrainingError that names the file and the field."""
    try:
        return EyesConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise TrainingError(f"{path} is not a configuration of the eyes: {error}") from error
