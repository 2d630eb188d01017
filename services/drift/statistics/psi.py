"""Population stability index: sum of (q - p) ln(q / p) over bins.

Its chance distribution is (1/n + 1/m) times a chi-square of B - 1 degrees of freedom
(Yurdakul, "Statistical properties of population stability index", 2018).
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from services.drift.statistics.outcome import (
    FloatArray,
    Outcome,
    pair,
    probability,
    sampling_variance,
)

# An empty bin counts as half an observation: the logarithm has no value there.
EMPTY = 0.5


def psi(reference: ArrayLike, current: ArrayLike) -> Outcome:
    """Return the PSI of counts `[B]` over the same bins; bins empty in both are left out."""
    before, now = pair(reference, current)
    variance = sampling_variance(before, now)
    seen = (before + now) > 0
    p, q = _shares(before[seen]), _shares(now[seen])
    value = float(np.sum((q - p) * np.log(q / p)))
    if seen.sum() < 2:
        return Outcome(0.0, 1.0)
    return Outcome(value, probability(stats.chi2.sf(value / variance, seen.sum() - 1)))


def _shares(counted: FloatArray) -> FloatArray:
    filled: FloatArray = np.where(counted > 0, counted, EMPTY)
    return filled / float(filled.sum())
