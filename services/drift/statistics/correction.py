"""Correction of p-values for the many tests of one run, in one place."""

import numpy as np
from numpy.typing import ArrayLike

from services.drift.statistics.outcome import FloatArray


def benjamini_hochberg(p_values: ArrayLike) -> FloatArray:
    """Return Benjamini and Hochberg's adjusted p-values `[N]` (1995).

    They bound the expected share of false ones among those found, and where nothing has drifted
    (the tests look at the same photos and depend on each other positively) the chance of any.
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")[::-1]
    factors = p.size / (p.size - np.arange(p.size))
    adjusted = np.minimum(1.0, np.minimum.accumulate(p[order] * factors))
    result = np.empty_like(p)
    result[order] = adjusted
    return result
