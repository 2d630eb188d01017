"""Probabilities and thresholds from held-out groups."""

import math
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.training.config import CalibrationConfig
from services.training.errors import TrainingError
from services.training.metrics import Labels, Scores, binomial_upper_bound
from shared.ml.spec import Calibration, Thresholds


@dataclass(frozen=True, slots=True)
class ThresholdReport:
    """The thresholds and what they do on the photos that they were chosen on."""

    thresholds: Thresholds
    false_accusation_rate: float
    # One-sided upper bound of that rate for photos like these.
    false_accusation_bound: float
    # Whether the bound itself is within the budget; the sample may be too small for that.
    bound_holds: bool


def fit_platt(labels: Labels, logits: Scores, iterations: int = 100) -> Calibration:
    """Fit sigmoid(a * logit + b) by Newton's method (Platt 1999), both classes weighing the same.

    Equal weights make the probability one for an even prior, whatever the set's class sizes.
    Platt's smoothed targets keep `a` finite on separable data. Logits float64 `[N]`.

    Raises TrainingError when higher logits do not mean more often AI-generated.
    """
    positive = labels == 1
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    target = np.where(positive, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    weight = np.where(positive, 0.5 / n_positive, 0.5 / n_negative)
    design = np.stack([logits, np.ones_like(logits)], axis=1)
    solution = np.zeros(2)
    for _ in range(iterations):
        step = _newton_step(design, target, weight, solution)
        solution = solution + step
        if np.abs(step).max() < 1e-9:
            break
    slope, bias = (float(value) for value in solution)
    if not slope > 0 or not math.isfinite(slope):
        raise TrainingError("the model does not rank generated photos above real ones")
    return Calibration(temperature=1 / slope, bias=bias)


def _newton_step(
    design: NDArray[np.float64], target: Scores, weight: Scores, solution: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return a Newton step of the weighted log loss, halved until the loss does not grow."""
    probability = _sigmoid(design @ solution)
    gradient = design.T @ (weight * (target - probability))
    curvature = (design.T * (weight * probability * (1 - probability))) @ design
    step = np.linalg.solve(curvature + 1e-12 * np.eye(2), gradient).astype(np.float64)
    loss = _loss(design @ solution, target, weight)
    while _loss(design @ (solution + step), target, weight) > loss and np.abs(step).max() > 1e-9:
        step = step / 2
    return step


def _loss(z: Scores, target: Scores, weight: Scores) -> float:
    return float((weight * (np.logaddexp(0, z) - target * z)).sum())


def _sigmoid(z: Scores) -> Scores:
    return np.asarray(0.5 * (1 + np.tanh(z / 2)))


def probabilities(logits: Scores, calibration: Calibration) -> Scores:
    """Return `shared.ml.postprocess.calibrated_probability` of an array, float64 `[N]`."""
    return _sigmoid(logits / calibration.temperature + calibration.bias)


def choose_thresholds(
    labels: Labels, probability: Scores, config: CalibrationConfig, tiers: int
) -> ThresholdReport:
    """Choose both thresholds on calibrated probabilities of photos that each appear `tiers` times.

    `ai_above` is the lowest value at which the upper confidence bound of the false-accusation rate
    is within the budget, or, where the sample is too small for that, the rate itself.
    Appearances of one photo are not independent, so the bound counts photos, not appearances.
    `real_below` is the highest value that calls at most `miss_budget` of generated photos real.
    """
    real = np.sort(probability[labels == 0])[::-1]
    photos = len(real) // tiers
    budget = config.false_accusation_budget

    def bound(accused: int) -> float:
        return binomial_upper_bound(accused / tiers, photos, config.confidence)

    bound_holds = bound(0) <= budget
    if bound_holds:
        # The bound grows with k, so the last k within the budget stands before the first beyond.
        allowed = bisect_right(range(len(real)), budget, key=bound) - 1
    else:
        allowed = math.floor(budget * len(real))
    # Just above the highest score that must not be accused, on a grid that prints well.
    ai_above = min(1.0, math.floor(float(real[allowed]) * 1e4 + 1) / 1e4)
    ai = np.sort(probability[labels == 1])
    below = math.floor(float(ai[math.floor(config.miss_budget * len(ai))]) * 1e4 - 1) / 1e4
    real_below = max(0.0, min(below, ai_above - 1e-4))
    accused = int((real >= ai_above).sum())
    return ThresholdReport(
        thresholds=Thresholds(
            real_below=real_below, ai_above=ai_above, false_accusation_budget=budget
        ),
        false_accusation_rate=accused / len(real),
        false_accusation_bound=bound(accused),
        bound_holds=bound_holds,
    )
