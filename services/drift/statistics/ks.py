"""Two-sample Kolmogorov–Smirnov distance: the largest difference of the distribution functions.

Over ordered bins it is at most the distance of the raw values, so the test is conservative there;
with one bin for each distinct value it is that distance.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from services.drift.statistics.outcome import Outcome, pair, probability


def ks(reference: ArrayLike, current: ArrayLike) -> Outcome:
    """Return the distance of counts `[B]` over the same ordered bins, with its asymptotic p."""
    before, now = pair(reference, current)
    n, m = before.sum(), now.sum()
    value = ks_distance(before, now)
    effective = max(1.0, np.round(n * m / (n + m)))
    return Outcome(value, probability(stats.kstwo.sf(value, effective)))


def ks_distance(reference: ArrayLike, current: ArrayLike) -> float:
    """Return the distance alone of counts `[B]` over the same ordered bins."""
    before, now = pair(reference, current)
    gap = np.abs(np.cumsum(before) / before.sum() - np.cumsum(now) / now.sum())
    # Rounding can leave 1e-17 in the last bin.
    return float(gap[:-1].max(initial=0.0))
