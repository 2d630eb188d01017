"""Welch's test of two means from their moments; a sample's values never leave the database."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from services.drift.statistics.outcome import Outcome, probability


@dataclass(frozen=True, slots=True)
class Moments:
    """`n` independent observations (may be a fraction), their mean and sample variance."""

    n: float
    mean: float
    variance: float


def welch(reference: Moments, current: Moments) -> Outcome:
    """Return |difference of means| and the two-sided p-value."""
    gap = abs(current.mean - reference.mean)
    parts = [sample.variance / sample.n for sample in (reference, current)]
    error = sum(parts)
    if min(reference.n, current.n) <= 1:
        return Outcome(gap, 1.0)
    if error <= 0.0:
        return Outcome(gap, 1.0 if gap == 0.0 else probability(0.0))
    squares = (
        part**2 / (sample.n - 1) for part, sample in zip(parts, (reference, current), strict=True)
    )
    freedom = error**2 / sum(squares)
    return Outcome(gap, probability(2 * stats.t.sf(gap / np.sqrt(error), freedom)))
