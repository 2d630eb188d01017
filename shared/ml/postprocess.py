"""From a logit to a verdict: calibration and the two thresholds of the model package."""

import math
from dataclasses import dataclass
from typing import Literal

from shared.ml.spec import Calibration, ModelManifest

VerdictLabel = Literal["real", "ai_generated", "uncertain"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One photo's verdict by one model.

    `probability` is the calibrated P(AI-generated) in 0..1. `confidence` is the probability that
    the stated side is right: `probability` for `ai_generated`, `1 - probability` for `real`, and
    for `uncertain` that of the likelier side. `logit` is the network's raw output.
    """

    label: VerdictLabel
    probability: float
    confidence: float
    logit: float


def calibrated_probability(logit: float, calibration: Calibration) -> float:
    """Return sigmoid(logit / temperature + bias), without overflow for any finite logit.

    Raises ValueError for a NaN or infinite logit: a broken forward pass must not become a verdict.
    """
    if not math.isfinite(logit):
        raise ValueError(f"the model returned a logit of {logit}")
    z = logit / calibration.temperature + calibration.bias
    if z >= 0:
        return 1.0 / (1.0 + math.exp(-z))
    odds = math.exp(z)
    return odds / (1.0 + odds)


def judge(logit: float, manifest: ModelManifest) -> Judgement:
    """Turn one raw logit into a verdict by `manifest`'s calibration and thresholds.

    Raises ValueError for a NaN or infinite logit.
    """
    logit = float(logit)
    probability = calibrated_probability(logit, manifest.calibration)
    thresholds = manifest.thresholds
    if probability >= thresholds.ai_above:
        return Judgement("ai_generated", probability, probability, logit)
    if probability <= thresholds.real_below:
        return Judgement("real", probability, 1.0 - probability, logit)
    return Judgement("uncertain", probability, max(probability, 1.0 - probability), logit)
