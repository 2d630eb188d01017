"""Total variation of two mixes: the share of the traffic that went from some values to others.

The stability index is of no use here: a value that the reference never had makes it large at once.
"""

import numpy as np
from numpy.typing import ArrayLike

from services.drift.statistics.chi2_labels import chi2_labels
from services.drift.statistics.outcome import Outcome, pair


def total_variation(reference: ArrayLike, current: ArrayLike) -> Outcome:
    """Return half the sum of |q - p| of counts `[K]`, with Pearson's p-value."""
    before, now = pair(reference, current)
    moved = float(np.abs(now / now.sum() - before / before.sum()).sum() / 2)
    return Outcome(moved, chi2_labels(before, now).p_value)
