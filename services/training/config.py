"""The training run as one YAML file. Every field that changes a result is in here."""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.training.errors import TrainingError
from shared.ml.spec import Normalization, PreprocessSpec


class Section(BaseModel):
    """Base of all sections: immutable, and a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DataConfig(Section):
    """Which rows train, which hold out, and how often each source is seen."""

    # Groups of the train split that are moved to validation, whole.
    holdout_groups: tuple[str, ...] = ()
    # Other splits whose rows also train, with the weight of one of their photos.
    extra_splits: dict[str, float] = Field(default_factory=dict)
    # A family (generator, or group of real photos) of n photos is drawn n**family_exponent times
    # as often as one of a single photo: 1 follows the counts, 0 makes families equal.
    family_exponent: float = Field(default=0.5, ge=0, le=1)
    # Further manifests in the dataset folder, such as the autoencoder's partners.
    extra_manifests: tuple[str, ...] = ()
    # Groups of like content in which both classes are drawn alike
    # (services/training/data/content.py); 0 draws without regard to content.
    content_groups: int = Field(default=0, ge=0)
    # For comparing recipes on harder ground than `val`: every group outside the test splits is in
    # one of five folds; those named here validate, the others train. Empty takes the splits.
    held_out_folds: tuple[int, ...] = ()
    # Photos per class and split at most, taken evenly over groups; None takes all.
    limit_per_class: int | None = Field(default=None, ge=1)


class ModelConfig(Section):
    """The network and what it starts from."""

    architecture: str = "tf_efficientnet_lite0"
    # File in DETECTOR_WEIGHTS_DIR with timm's key names; None starts from random weights.
    base_weights: str | None = "tf_efficientnet_lite0.safetensors"
    # Versions of earlier runs to go on from, head included: the mean of their best weights (model
    # soups, arXiv 2203.05482). They take the place of `base_weights`.
    initial_runs: tuple[str, ...] = ()
    # Versions of finished runs that together are this model: the mean of their logits, in the order
    # of `architecture`'s names. Nothing is trained then.
    members: tuple[str, ...] = ()
    # timm's own default_cfg of the architecture.
    normalization: Normalization = Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    drop_rate: float = Field(default=0.2, ge=0, lt=1)
    drop_path_rate: float = Field(default=0.05, ge=0, lt=1)


class AugmentConfig(Section):
    """Both classes pass through the same random history. Probabilities are per photo."""

    crop: int = Field(default=192, ge=16)  # pixels, square
    flip: float = Field(default=0.5, ge=0, le=1)
    rescale: float = Field(default=0.6, ge=0, le=1)
    rescale_range: tuple[float, float] = (0.4, 1.3)
    color: float = Field(default=0.3, ge=0, le=1)
    blur: float = Field(default=0.1, ge=0, le=1)
    sharpen: float = Field(default=0.1, ge=0, le=1)
    noise: float = Field(default=0.1, ge=0, le=1)
    # First and second encoding; quality is uniform in the range.
    encode: float = Field(default=0.75, ge=0, le=1)
    encode_twice: float = Field(default=0.2, ge=0, le=1)
    webp_share: float = Field(default=0.2, ge=0, le=1)
    quality_range: tuple[int, int] = (30, 95)


class FitConfig(Section):
    """Optimisation. A round is `samples_per_round` draws; a checkpoint follows each round."""

    # 0 keeps the linear probe as it is.
    rounds: int = Field(default=20, ge=0)
    samples_per_round: int = Field(default=2048, ge=2)
    batch_size: int = Field(default=32, ge=2)
    # The schedule ends at the last round or after this many minutes, whichever comes first.
    max_minutes: float | None = Field(default=None, gt=0)
    learning_rate: float = Field(default=1e-3, gt=0)  # of the new head
    backbone_scale: float = Field(default=0.3, gt=0)  # times that, for everything else
    warmup: float = Field(default=0.05, ge=0, lt=1)  # share of the schedule
    weight_decay: float = Field(default=0.02, ge=0)
    label_smoothing: float = Field(default=0.05, ge=0, lt=0.5)
    ema_decay: float = Field(default=0.995, gt=0, lt=1)
    # Augmented photos on which the head is fitted before anything else is trained; 0 starts from
    # an empty head.
    probe_draws: int = Field(default=0, ge=0)
    # Keep the stem and this many stages as they are (0: train all), which saves their backward.
    freeze_stages: int = Field(default=0, ge=0)
    # Use the pretrained batch-norm statistics instead of the batch's own.
    freeze_batch_norm: bool = False
    validate_every: int = Field(default=2, ge=1)  # rounds
    workers: int = Field(default=1, ge=0)  # loader processes
    threads: int | None = Field(default=None, ge=1)  # of torch on CPU; None leaves its default
    device: Literal["auto", "cpu", "cuda"] = "auto"


class CalibrationConfig(Section):
    """Calibrated and thresholded on the validation photos under a mixture of these tiers."""

    tiers: tuple[str, ...] = ("clean", "q60", "q40", "half", "webp", "screenshot")
    false_accusation_budget: float = Field(default=0.01, gt=0, lt=1)
    # Further budgets that a marketplace may choose instead; each gets thresholds of its own.
    further_budgets: tuple[float, ...] = (0.02, 0.05)
    # One-sided confidence that the budget holds, where the sample can show it.
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    # At most this share of generated photos may be called real.
    miss_budget: float = Field(default=0.05, gt=0, lt=1)
    # Judge photos near a threshold again after a re-encode; one that flips is `uncertain`.
    recheck: bool = True


class EvaluationConfig(Section):
    """What the card reports."""

    tiers: tuple[str, ...] = ("clean", "q60", "q40", "half", "webp", "screenshot")
    # Input sizes to choose between, on validation photos only.
    input_sizes: tuple[int, ...] = (224, 256, 288)
    bootstrap: int = Field(default=1000, ge=10)
    batch_size: int = Field(default=16, ge=1)


class PackageConfig(Section):
    """What the result is called."""

    name: str = "product-photo-detector"
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    # Directory of the finished package, relative to the repository's root.
    output: Path = Path("models/candidate")


class RunConfig(Section):
    """One run, from photos to package."""

    seed: int = 17
    # Every photo's short side is brought down to this before anything else, pixels.
    resize_short: int = Field(default=300, ge=16, le=4096)
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    augment: AugmentConfig = AugmentConfig()
    fit: FitConfig = FitConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    package: PackageConfig

    def preprocess_spec(self, size: int) -> PreprocessSpec:
        """Return the serving preprocess for a square input of `size` pixels."""
        return PreprocessSpec(resize_short=self.resize_short, height=size, width=size)


def load_config(path: Path) -> RunConfig:
    """Read a YAML run configuration. `extends` names a file beside it whose fields it changes.

    Raises TrainingError that names the file and the field.
    """
    try:
        return RunConfig.model_validate(_read(path))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise TrainingError(f"{path} is not a training configuration: {error}") from error


def _read(path: Path) -> Any:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or "extends" not in content:
        return content
    base = _read(path.parent / str(content.pop("extends")))
    return _merged(base, content)


def _merged(base: Any, change: Any) -> Any:
    """Return `base` with the fields of `change`, section by section."""
    if not (isinstance(base, dict) and isinstance(change, dict)):
        return change
    return base | {key: _merged(base.get(key), value) for key, value in change.items()}
