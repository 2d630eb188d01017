"""Probabilities and thresholds from held-out groups."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from services.training.config import CalibrationConfig
from services.training.errors import TrainingError
from services.training.evaluate.decisions import probabilities
from services.training.evaluate.metrics import Labels, Scores, binomial_upper_bound
from shared.ml.spec import Calibration, Thresholds

__all__ = ["ThresholdReport", "choose_thresholds", "fit_platt", "group_weights", "probabilities"]

# Families of n photos count n**0.5 times, as in sampling: a large shop has more to say than a
# small one, but not in proportion, or it alone would decide what a rate over shops is.
FAMILY_EXPONENT = 0.5


@dataclass(frozen=True, slots=True)
class ThresholdReport:
    """The thresholds and what they do on the photos that they were chosen on."""

    thresholds: Thresholds
    # Share of real photos accused, each photo counting once.
    false_accusation_rate: float
    # The same with sources of n photos counting n**FAMILY_EXPONENT.
    false_accusation_rate_by_source: float
    # One-sided upper bound: the larger of the two that `choose_thresholds` describes.
    false_accusation_bound: float
    # Whether the bound itself is within the budget; the sample may be too small for that.
    bound_holds: bool
    # Sources of real photos behind these numbers.
    sources: int


def group_weights(labels: Labels, families: Sequence[str]) -> Scores:
    """Return weights float64 `[N]`: a half per class, within it n**FAMILY_EXPONENT per family."""
    keys = [f"{label}/{family}" for label, family in zip(labels, families, strict=True)]
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    weights = counts.astype(np.float64)[inverse] ** (FAMILY_EXPONENT - 1.0)
    for label in (0, 1):
        weights[labels == label] *= 0.5 / weights[labels == label].sum()
    return weights


def fit_platt(
    labels: Labels, logits: Scores, weights: Scores | None = None, iterations: int = 100
) -> Calibration:
    """Fit sigmoid(a * logit + b) by Newton's method (Platt 1999), both classes weighing the same.

    `weights` float64 `[N]` count the photos within their class (see `group_weights`); None counts
    them alike. Equal classes make the probability one for an even prior, whatever the set's sizes.
    Platt's smoothed targets keep `a` finite on separable data. Logits float64 `[N]`.

    Raises TrainingError when higher logits do not mean more often AI-generated.
    """
    positive = labels == 1
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    target = np.where(positive, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    weight = np.ones(len(labels)) if weights is None else weights.copy()
    for side in (positive, ~positive):
        weight[side] *= 0.5 / weight[side].sum()
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
    probability = 0.5 * (1 + np.tanh(design @ solution / 2))
    gradient = design.T @ (weight * (target - probability))
    curvature = (design.T * (weight * probability * (1 - probability))) @ design
    step = np.linalg.solve(curvature + 1e-12 * np.eye(2), gradient).astype(np.float64)
    loss = _loss(design @ solution, target, weight)
    while _loss(design @ (solution + step), target, weight) > loss and np.abs(step).max() > 1e-9:
        step = step / 2
    return step


def _loss(z: Scores, target: Scores, weight: Scores) -> float:
    return float((weight * (np.logaddexp(0, z) - target * z)).sum())


def choose_thresholds(
    labels: Labels,
    probability: Scores,
    config: CalibrationConfig,
    tiers: int,
    families: Sequence[str] | None = None,
) -> ThresholdReport:
    """Choose both thresholds on calibrated probabilities of photos that each appear `tiers` times.

    `ai_above` is the lowest value at which an upper confidence bound of the false-accusation rate
    is within the budget, or, where the sample is too small for that, the rate itself. The bound is
    the larger of two:

    - Clopper-Pearson over photos, exact if all sources were alike. Looks at one photo are not
      independent, so it counts photos, not appearances. Too optimistic where sources differ, for
      then the photos of one source succeed or fail together.
    - Korn and Graubard's for clusters (Survey Methodology 24, 1998): Clopper-Pearson with the
      number of independent photos that has the variance seen between sources, and Student's t for
      their small number; a source of n photos counts n**FAMILY_EXPONENT. With nobody accused it
      sees no difference between sources and says nothing, which is what the first is for.

    Even so ten sources are few: where they stand for a much more varied market, the second keeps
    its promise less often than it says.

    `families` names each appearance's source; None takes the photos as independent.
    `real_below` is the highest value that calls at most `miss_budget` of generated photos real,
    generators weighing as above.
    """
    real, budget = labels == 0, config.false_accusation_budget
    scores = probability[real]
    names = (
        None
        if families is None
        else [name for name, kept in zip(families, real, strict=True) if kept]
    )
    rates = _Rates(scores, tiers, names, config.confidence)
    ordered = np.sort(scores)[::-1]
    bound_holds = rates.bound(math.inf) <= budget
    measure = rates.bound if bound_holds else rates.worst
    allowed = _last_within(ordered, budget, measure)
    # Just above that score, on a grid that prints well.
    ai_above = min(1.0, math.floor(float(ordered[allowed]) * 1e4 + 1) / 1e4)
    below = _weighted_quantile(probability, labels, families, config.miss_budget)
    below = math.floor(below * 1e4 - 1) / 1e4
    real_below = max(0.0, min(below, ai_above - 1e-4))
    return ThresholdReport(
        thresholds=Thresholds(
            real_below=real_below, ai_above=ai_above, false_accusation_budget=budget
        ),
        false_accusation_rate=rates.by_photo(ai_above),
        false_accusation_rate_by_source=rates.by_source(ai_above),
        false_accusation_bound=rates.bound(ai_above),
        bound_holds=bound_holds,
        sources=rates.sources,
    )


def _last_within(ordered: Scores, budget: float, measure: Callable[[float], float]) -> int:
    """Return the first index of falling scores that must stay unaccused."""
    for index in range(1, len(ordered)):
        # Accused are the scores before `index`: those above its score.
        if measure(float(np.nextafter(ordered[index], math.inf))) > budget:
            return index - 1
    return len(ordered) - 1


class _Rates:
    """Shares of real photos accused at a threshold, and their bounds."""

    def __init__(
        self, scores: Scores, tiers: int, families: Sequence[str] | None, confidence: float
    ) -> None:
        self._scores, self._confidence = scores, confidence
        self._photos = len(scores) // tiers
        names, self._source = np.unique(families or ["all"] * len(scores), return_inverse=True)
        self.sources = len(names) if families else 0
        self._counts = np.bincount(self._source)
        size = self._counts**FAMILY_EXPONENT
        self._weights = size / size.sum()

    def by_photo(self, threshold: float) -> float:
        return float((self._scores >= threshold).mean())

    def by_source(self, threshold: float) -> float:
        return float(self._weights @ self._of_sources(threshold))

    def worst(self, threshold: float) -> float:
        return max(self.by_photo(threshold), self.by_source(threshold))

    def bound(self, threshold: float) -> float:
        accused = self.by_photo(threshold) * self._photos
        photos = binomial_upper_bound(accused, self._photos, self._confidence)
        independent = self._independent_photos(threshold)
        rate = self.by_source(threshold)
        return max(photos, binomial_upper_bound(rate * independent, independent, self._confidence))

    def _independent_photos(self, threshold: float) -> float:
        """Return how many independent photos would have the variance between the sources."""
        count, rate = self.sources, self.by_source(threshold)
        deviations = self._weights * (self._of_sources(threshold) - rate)
        if count < 2 or not 0 < rate < 1 or not deviations.any():
            return float(self._photos)
        variance = count / (count - 1) * float((deviations**2).sum())
        tail = self._confidence
        few = float(student.ppf(tail, self._photos - 1) / student.ppf(tail, count - 1)) ** 2
        return min(float(self._photos), rate * (1 - rate) / variance) * few

    def _of_sources(self, threshold: float) -> Scores:
        accused = np.bincount(self._source, self._scores >= threshold, len(self._counts))
        return np.asarray(accused / self._counts)


def _weighted_quantile(
    probability: Scores, labels: Labels, families: Sequence[str] | None, share: float
) -> float:
    """Return the largest generated photo's score with less than `share` of the weight below it."""
    generated = labels == 1
    weights = np.ones(len(labels)) if families is None else group_weights(labels, families)
    weights = weights[generated]
    order = np.argsort(probability[generated])
    below = np.cumsum(weights[order]) / weights.sum()
    index = min(int(np.searchsorted(below, share, side="right")), len(order) - 1)
    return float(probability[generated][order[index]])
