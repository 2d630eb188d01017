"""Distributions of the shipped model's scores, from its own evaluation."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import optimize, stats

from services.drift.stattests.outcome import FloatArray
from shared.ml.package import read_manifest

# Sources with fewer photos say too little of a distribution.
_MIN_PHOTOS = 15
_EVALUATION = "evaluation.json"


@dataclass(frozen=True, slots=True)
class Source:
    """Photos of one origin; logit / temperature + bias is normal with `mean` and `deviation`."""

    name: str
    generated: bool
    mean: float
    deviation: float


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


def read_scores(model_dir: Path) -> Scores:
    """Fit a normal distribution to each source of a package's evaluation.

    Its two parameters follow from the source's mean probability and the share called real.
    """
    manifest = read_manifest(model_dir)
    evaluation = json.loads((model_dir / _EVALUATION).read_text(encoding="utf-8"))
    sources = {
        split: [
            _fit(row, manifest.thresholds.real_below) for row in rows if row["n"] >= _MIN_PHOTOS
        ]
        for split, rows in evaluation["by_source"].items()
    }
    seen, unseen = sources["test_unseen_source"], sources["test_unseen_generator"]
    return Scores(
        manifest.version,
        manifest.calibration.temperature,
        manifest.calibration.bias,
        manifest.thresholds.real_below,
        manifest.thresholds.ai_above,
        [source for source in seen if not source.generated],
        [source for source in seen if source.generated],
        [source for source in unseen if source.generated],
    )


def _fit(row: dict[str, object], real_below: float) -> Source:
    photos, mean = int(str(row["n"])), float(str(row["mean_probability"]))
    # None called real, or all: half a photo.
    called = float(np.clip(float(str(row["called_real"])), 0.5 / photos, 1 - 0.5 / photos))
    quantile = stats.norm.ppf(called)
    border = float(np.log(real_below / (1 - real_below)))
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)

    def error(deviation: float) -> float:
        z = border - quantile * deviation + deviation * nodes
        return float(np.sum(weights / (1 + np.exp(-z))) / weights.sum() - mean)

    deviation = _root(error)
    return Source(
        str(row["source"]),
        row["label"] == "ai_generated",
        border - quantile * deviation,
        deviation,
    )


def _root(error: Callable[[float], float]) -> float:
    """Return the deviation in 0.3..6 that fits, or that fits best."""
    grid: FloatArray = np.linspace(0.3, 6.0, 58)
    errors = np.array([error(float(each)) for each in grid])
    crossings = np.flatnonzero(np.diff(np.sign(errors)))
    if crossings.size == 0:
        return float(grid[np.argmin(np.abs(errors))])
    first = int(crossings[0])
    return float(optimize.brentq(error, float(grid[first]), float(grid[first + 1])))
