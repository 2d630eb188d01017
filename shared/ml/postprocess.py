"""From a logit to a verdict: calibration and the two thresholds of the model package."""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

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
    # Entries for the verdict's `evidence`, JSON-ready: what else took part in it.
    evidence: tuple[dict[str, Any], ...] = ()


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


def needs_second_look(judgement: Judgement, manifest: ModelManifest) -> bool:
    """Say whether `manifest` asks for a second look at a photo judged so.

    An `uncertain` photo never gets one: nothing that it shows could change its verdict.
    """
    recheck = manifest.recheck
    if recheck is None:
        return False
    if judgement.label == "ai_generated":
        limit = recheck.ai_below_logit
        return limit is not None and judgement.logit < limit
    limit = recheck.real_above_logit
    return judgement.label == "real" and limit is not None and judgement.logit > limit


def settle(judgement: Judgement, second_logit: float, manifest: ModelManifest) -> Judgement:
    """Return `judgement`, or `uncertain` when the second look gives another label.

    Probability and logit stay those of the photo as it came; the evidence tells both looks.
    Raises ValueError for a NaN or infinite logit.
    """
    second = judge(second_logit, manifest)
    quality = manifest.recheck.jpeg_quality if manifest.recheck else None
    entry = {
        "kind": "reencode",
        "jpeg_quality": quality,
        "label": judgement.label,
        "label_after": second.label,
        "probability_after": second.probability,
        "flipped": second.label != judgement.label,
    }
    if second.label == judgement.label:
        return replace(judgement, evidence=(entry,))
    return replace(
        judgement,
        label="uncertain",
        confidence=max(judgement.probability, 1.0 - judgement.probability),
        evidence=(entry,),
    )
