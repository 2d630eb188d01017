"""What the shipped model says of real photos: logits and embeddings, from its own evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.drift.statistics.outcome import FloatArray
from shared.ml.errors import PackageError
from shared.ml.evaluation_photos import EvaluationPhotos, read_photos
from shared.ml.package import read_manifest

# Sources with fewer photos say too little of a distribution.
MIN_PHOTOS = 15


@dataclass(frozen=True, slots=True)
class Source:
    """Real photos of one origin. `rows` `[n, 1 + D]`: z = logit / temperature + bias, embedding.

    A smoothed bootstrap draws from them (Silverman 1986, section 6.4.1): rows with noise of their
    own covariance times Silverman's bandwidth, drawn together towards the mean by what the noise
    adds, so that mean and covariance stay those of the rows.
    """

    name: str
    generated: bool
    rows: FloatArray
    bandwidth: float = field(init=False)
    # `[r, 1 + D]`: normal numbers `[k, r]` times this have the rows' covariance.
    _factor: FloatArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        n, d = self.rows.shape
        bandwidth = (4 / (d + 2)) ** (1 / (d + 4)) * n ** (-1 / (d + 4))
        _, scales, axes = np.linalg.svd(self.rows - self.rows.mean(axis=0), full_matrices=False)
        object.__setattr__(self, "bandwidth", float(bandwidth))
        object.__setattr__(self, "_factor", scales[:, None] / np.sqrt(n - 1) * axes)

    def draw(self, rng: np.random.Generator, chosen: NDArray[np.int64]) -> FloatArray:
        """Return photos `[k, 1 + D]` that resemble the rows of the indices `chosen` `[k]`."""
        noise = rng.normal(size=(chosen.size, len(self._factor))) @ self._factor
        mean = self.rows.mean(axis=0)
        moved = self.rows[chosen] - mean + self.bandwidth * noise
        drawn: FloatArray = mean + moved / np.sqrt(1 + self.bandwidth**2)
        return drawn


@dataclass(frozen=True, slots=True)
class Scores:
    """What the model says of photos, and of which p it calls real or AI-generated."""

    model_version: str
    temperature: float
    bias: float
    real_below: float
    ai_above: float
    real: Sequence[Source]
    known: Sequence[Source]
    # Generators that the model has not seen in training.
    unseen: Sequence[Source]
    # Generators with too few photos to draw from, and how many they have.
    left_out: Sequence[tuple[str, int]] = ()

    @property
    def dimensions(self) -> int:
        """Of an embedding."""
        return int(self.real[0].rows.shape[1] - 1)


def read_scores(model_dir: Path) -> Scores:
    """Read each source's photos from a package. Raises PackageError when it does not hold them."""
    manifest = read_manifest(model_dir)
    entry = manifest.files.evaluation_photos
    if entry is None:
        raise PackageError(f"{model_dir} does not hold its evaluation photo by photo")
    photos = read_photos(model_dir / entry.name)
    if photos.embedding is None:
        raise PackageError(f"the network of {model_dir} gives no embeddings")
    calibration = manifest.calibration
    z = photos.logit.astype(np.float64) / calibration.temperature + calibration.bias
    rows = np.concatenate([z[:, None], photos.embedding.astype(np.float64)], axis=1)
    seen, few_seen = _sources(photos, rows, "test_unseen_source")
    unseen, few_unseen = _sources(photos, rows, "test_unseen_generator")
    return Scores(
        manifest.version,
        calibration.temperature,
        calibration.bias,
        manifest.thresholds.real_below,
        manifest.thresholds.ai_above,
        [source for source in seen if not source.generated],
        [source for source in seen if source.generated],
        [source for source in unseen if source.generated],
        [*few_seen, *few_unseen],
    )


def _sources(
    photos: EvaluationPhotos, rows: FloatArray, split: str
) -> tuple[list[Source], list[tuple[str, int]]]:
    """Return the split's sources, the largest first, and the names and sizes of small ones."""
    sources: list[Source] = []
    few: list[tuple[str, int]] = []
    for name in np.unique(photos.source[photos.split == split]):
        own = (photos.split == split) & (photos.source == name)
        if own.sum() < MIN_PHOTOS:
            few.append((str(name), int(own.sum())))
        else:
            sources.append(Source(str(name), bool(photos.label[own][0]), rows[own]))
    return sorted(sources, key=lambda source: -len(source.rows)), few
