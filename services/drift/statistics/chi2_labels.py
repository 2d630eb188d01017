"""Pearson's chi-square test that two samples have the same shares of categories.

The effect is Cramér's V as it would be at equal sample sizes: V itself shrinks when a small window
is compared with a large reference.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from services.drift.statistics.outcome import Outcome, pair, probability


def chi2_labels(reference: ArrayLike, current: ArrayLike) -> Outcome:
    """Return the effect and p-value of counts `[K]`; categories empty in both are left out."""
    before, now = pair(reference, current)
    seen = (before + now) > 0
    before, now = before[seen], now[seen]
    if before.size < 2:
        return Outcome(0.0, 1.0)
    n, m = before.sum(), now.sum()
    expected = (before + now) / (n + m)
    statistic = np.sum((before - n * expected) ** 2 / (n * expected))
    statistic += np.sum((now - m * expected) ** 2 / (m * expected))
    p, q = before / n, now / m
    effect = float(np.sqrt(np.sum((p - q) ** 2 / (2 * (p + q)))))
    return Outcome(effect, probability(stats.chi2.sf(statistic, before.size - 1)))
