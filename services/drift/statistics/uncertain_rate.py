"""Shift of the share of `uncertain` verdicts, the two-proportion score test."""

import numpy as np
from scipy import stats

from services.drift.statistics.outcome import Outcome, probability


def uncertain_rate(
    reference_uncertain: float, reference_n: float, current_uncertain: float, current_n: float
) -> Outcome:
    """Return the absolute shift of the share, and the pooled z test's two-sided p-value."""
    if min(reference_n, current_n) <= 0:
        raise ValueError("both samples must hold photos")
    gap = abs(current_uncertain / current_n - reference_uncertain / reference_n)
    pooled = (reference_uncertain + current_uncertain) / (reference_n + current_n)
    variance = pooled * (1 - pooled) * (1 / reference_n + 1 / current_n)
    if variance <= 0.0:
        return Outcome(0.0, 1.0)
    return Outcome(gap, probability(2 * stats.norm.sf(gap / np.sqrt(variance))))
