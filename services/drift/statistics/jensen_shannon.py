"""Jensen–Shannon distance in base 2: 0 for equal shares, 1 for disjoint ones.

For small differences 8 times the divergence in nats is the symmetric chi-square distance, whose
chance distribution is (1/n + 1/m) times a chi-square of B - 1 degrees of freedom.
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


def jensen_shannon(reference: ArrayLike, current: ArrayLike) -> Outcome:
    """Return the distance of counts `[B]` over the same bins; bins empty in both are left out."""
    before, now = pair(reference, current)
    p, q = before / before.sum(), now / now.sum()
    middle = (p + q) / 2
    nats = max(0.0, float(_divergence(p, middle) + _divergence(q, middle)) / 2)
    bins = int(np.sum(middle > 0))
    if bins < 2:
        return Outcome(0.0, 1.0)
    tail = stats.chi2.sf(8 * nats / sampling_variance(before, now), bins - 1)
    return Outcome(float(np.sqrt(nats / np.log(2))), probability(tail))


def _divergence(p: FloatArray, middle: FloatArray) -> float:
    seen = p > 0
    return float(np.sum(p[seen] * np.log(p[seen] / middle[seen])))
