"""The model package's `model.json`: everything needed to judge a photo with its weights."""

import math
from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from shared.ml.precision import Precision

MANIFEST_NAME = "model.json"


class Frozen(BaseModel):
    """Base of the manifest's parts: immutable, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PreprocessSpec(Frozen):
    """How bytes become the array that the graph takes; see `shared.ml.preprocess`."""

    # A short side above this is brought down to it (LANCZOS, from the full decode), in pixels.
    resize_short: int = Field(gt=0, le=4096)
    # Size of the model's input, pixels. Larger images are cropped, smaller ones reflect-padded.
    height: int = Field(gt=0, le=4096)
    width: int = Field(gt=0, le=4096)
    crop: Literal["center"] = "center"
    pad: Literal["reflect"] = "reflect"
    interpolation: Literal["lanczos"] = "lanczos"

    @property
    def shape(self) -> tuple[int, ...]:
        """The input of one photo: `(height, width, 3)`."""
        return (self.height, self.width, 3)


class StackSpec(Frozen):
    """Second edition of the input: a view and native tiles; see `shared.ml.stack`."""

    edition: Literal[2] = 2
    # Side of the view and of every tile, pixels.
    size: int = Field(default=224, ge=32, le=1024)
    # Tiles of every photo.
    tiles: int = Field(default=4, ge=1, le=16)
    # Candidates for tiles along one side of the photo at most.
    grid: int = Field(default=6, ge=1, le=16)
    # A longer side is brought down to this before tiles are cut (LANCZOS), pixels.
    max_long: int = Field(default=1600, ge=224, le=8192)

    @property
    def shape(self) -> tuple[int, ...]:
        """The input of one photo: `(1 + tiles, size, size, 3)`."""
        return (1 + self.tiles, self.size, self.size, 3)


class Normalization(Frozen):
    """Per-channel RGB `(pixel / 255 - mean) / std`. It is part of the exported graph."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class Calibration(Frozen):
    """Platt scaling: P(AI-generated) = sigmoid(logit / temperature + bias)."""

    temperature: float = Field(gt=0)
    bias: float


class Thresholds(Frozen):
    """On the calibrated probability: `p <= real_below` is real, `p >= ai_above` is AI-generated."""

    real_below: float = Field(ge=0, le=1)
    ai_above: float = Field(ge=0, le=1)
    # The share of real photos that may be called AI-generated, for which `ai_above` was chosen.
    false_accusation_budget: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.real_below >= self.ai_above:
            raise ValueError("real_below must be smaller than ai_above")
        return self


class Recheck(Frozen):
    """Which photos are judged again after `shared.ml.recheck.reencode`; a flip is `uncertain`.

    Only a photo with a verdict can lose it, and only near its threshold does that happen often:
    the two limits are raw logits, chosen on validation photos. None looks at no photo of that side.
    """

    # Quality of the JPEG between the two looks.
    jpeg_quality: int = Field(default=75, ge=1, le=95)
    # Photos called `ai_generated` with a logit below this are judged again.
    ai_below_logit: float | None = None
    # Photos called `real` with a logit above this are judged again.
    real_above_logit: float | None = None


class OperatingPoint(Frozen):
    """Thresholds, and the second look that goes with them, for one false-accusation budget."""

    thresholds: Thresholds
    recheck: Recheck | None = None
    # One-sided 95% upper bound of the share of real photos accused, over sources that the scored
    # model had not seen; None in packages made before it.
    bound: float | None = Field(default=None, ge=0, le=1)

    @property
    def guaranteed(self) -> bool:
        """Whether the data could show that the budget holds."""
        return self.bound is not None and self.bound <= self.thresholds.false_accusation_budget


class EmbeddingSpec(Frozen):
    """The graph's output `embedding`: where a photo lies among those that it was fitted on.

    Whitened principal components of what the linear heads read; of several networks each counts
    alike. On the photos of the fit every component has mean 0 and variance 1.
    """

    dim: int = Field(gt=0)
    # Which photos: a split of the data set.
    fitted_on: str
    photos: int = Field(gt=1)
    # Share of the features' variance that the components hold together.
    explained_variance: float = Field(ge=0, le=1)


class FileEntry(Frozen):
    """One file of the package, beside `model.json`."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)


def trunk_name(sha256: str) -> str:
    """Return the file name of the trunk with this hash."""
    return f"{sha256}.safetensors"


class PackageFiles(Frozen):
    """Files of the package as a whole.

    A package of one network has it twice: weights for torch, and the graph with them for OpenVINO.
    One of members names its weights with each member, and has none here.
    """

    weights: FileEntry | None = None
    openvino_xml: FileEntry | None = None
    openvino_bin: FileEntry | None = None
    # Every number of the evaluation, per tier and per source.
    evaluation: FileEntry
    # The photos behind them one by one; absent in packages made before it.
    # See `shared.ml.evaluation_photos`.
    evaluation_photos: FileEntry | None = None


class TrainingRecord(Frozen):
    """Where the weights come from, enough to repeat the run."""

    seed: int
    # Commit of the code that trained; None outside a git checkout.
    git_revision: str | None
    # SHA-256 over the sorted (file hash, label, split, group) of every row used.
    data_fingerprint: str = Field(pattern=r"^[0-9a-f]{64}$")
    n_train: int = Field(ge=0)
    n_calibration: int = Field(ge=0)
    base_weights: str
    # The YAML configuration as it was read, for the reader.
    config: dict[str, object] = Field(default_factory=dict)


class Trunk(Frozen):
    """The frozen first blocks of the view's network, which releases share.

    Stored once, named by its hash: see `shared.ml.members.trunks`. Its file also holds the
    projection that makes the embedding, so embeddings of all releases on one trunk compare.
    """

    # A timm name, and how many of its blocks the file holds.
    architecture: str
    blocks: int = Field(ge=1)
    file: FileEntry
    embedding: EmbeddingSpec

    @field_validator("file")
    @classmethod
    def _named_by_its_hash(cls, file: FileEntry) -> FileEntry:
        if file.name != trunk_name(file.sha256):
            raise ValueError(f"a trunk is named by its hash: {trunk_name(file.sha256)}")
        return file


class Member(Frozen):
    """One network of a package of members."""

    name: Literal["view", "tiles"]
    # A timm name; with `+statistics` behind it, the head of `shared.ml.statistics`.
    architecture: str
    # What it reads of `StackSpec`'s array: the view, or every tile (its logit is their mean).
    input: Literal["view", "tiles"]
    normalization: Normalization
    # The package's logit is the sum of weight x logit over the members.
    weight: float
    # Its logit counts within plus or minus this.
    limit: float = Field(gt=0)
    # What it was measured at; an engine takes no other.
    precisions: tuple[Precision, ...] = Field(default=("f32",), min_length=1)
    weights: FileEntry


class Cascade(Frozen):
    """Where the tiles are not looked at, as they cannot change the label at any operating point.

    On the view's logit: below `below` or above `above` the tiles' logit counts as
    clip(slope x view + intercept, +-limit).
    """

    below: float
    above: float
    slope: float
    intercept: float
    # Share of the calibration's photos that the tiles were looked at for.
    share: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.below > self.above:
            raise ValueError("below must not be larger than above")
        return self


class ModelManifest(Frozen):
    """One model version. Written by the training pipeline, read by every worker.

    Schema 1 is one network over one crop; schema 2 is `members` over a view and tiles.
    """

    schema_version: Literal[1, 2] = 1
    name: str = Field(min_length=1)
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    # See `shared.ml.network.build_backbone`; of a package of members, their names joined by `&`.
    architecture: str
    created_at: datetime
    # Index 0 is probability 0, index 1 is probability 1.
    labels: tuple[Literal["real"], Literal["ai_generated"]] = ("real", "ai_generated")
    preprocess: PreprocessSpec | StackSpec
    # None in a package of members: each has its own.
    normalization: Normalization | None = None
    # Empty in a package of one network.
    members: tuple[Member, ...] = ()
    trunk: Trunk | None = None
    cascade: Cascade | None = None
    calibration: Calibration
    thresholds: Thresholds
    # Absent: every photo is judged once.
    recheck: Recheck | None = None
    # What a marketplace may choose instead of `thresholds` and `recheck`, by budget.
    operating_points: tuple[OperatingPoint, ...] = ()
    # Absent in packages made before it: their graph has no such output.
    embedding: EmbeddingSpec | None = None
    # What a package of one network was measured in, the preferred one first: an engine takes no
    # other. Absent in packages made before it, which were measured in float32.
    precisions: tuple[Precision, ...] = Field(default=("f32",), min_length=1)
    files: PackageFiles
    training: TrainingRecord
    # Headline numbers, "<split>.<tier>.<metric>"; the whole report is `files.evaluation`.
    metrics: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.schema_version != (2 if self.members else 1):
            raise ValueError("schema 1 is one network, schema 2 is members")
        whole = self.files.weights, self.files.openvino_xml, self.files.openvino_bin
        if self.members:
            if self.trunk is None or not isinstance(self.preprocess, StackSpec):
                raise ValueError("a package of members needs a trunk and a view with tiles")
            if sorted(member.name for member in self.members) != ["tiles", "view"]:
                raise ValueError("a package of members has a view and tiles, each once")
        elif None in whole or self.normalization is None:
            raise ValueError("a package of one network needs its files and its normalization")
        elif not isinstance(self.preprocess, PreprocessSpec):
            raise ValueError("a package of one network takes one image")
        return self

    @property
    def one_image(self) -> PreprocessSpec:
        """The input of a package of one network. Raises ValueError for one of members."""
        if not isinstance(self.preprocess, PreprocessSpec):
            raise ValueError(f"model {self.version} is a package of members")  # noqa: TRY004
        return self.preprocess

    @property
    def one_normalization(self) -> Normalization:
        """The normalization of a package of one network. Raises ValueError for one of members."""
        if self.normalization is None:
            raise ValueError(f"model {self.version} is a package of members")
        return self.normalization

    def member(self, name: Literal["view", "tiles"]) -> Member:
        """Return the member of that name. Raises ValueError for a package of one network."""
        for member in self.members:
            if member.name == name:
                return member
        raise ValueError(f"model {self.version} has no member {name}")

    @field_validator("precisions")
    @classmethod
    def _each_once(cls, precisions: tuple[Precision, ...]) -> tuple[Precision, ...]:
        if len(set(precisions)) != len(precisions):
            raise ValueError("precisions must not repeat")
        return precisions

    def at_budget(self, budget: float) -> "ModelManifest":
        """Return this manifest with the thresholds and second look for `budget`.

        Raises ValueError that names the budgets which the package was calibrated for.
        """
        own = OperatingPoint(thresholds=self.thresholds, recheck=self.recheck)
        points = {
            point.thresholds.false_accusation_budget: point
            for point in (*self.operating_points, own)
        }
        for known, point in points.items():
            if math.isclose(known, budget):
                update = {"thresholds": point.thresholds, "recheck": point.recheck}
                return self.model_copy(update=update)
        offered = ", ".join(f"{known:g}" for known in sorted(points))
        raise ValueError(
            f"model {self.version} has no thresholds for a false-accusation budget of {budget:g};"
            f" it has them for {offered}"
        )
