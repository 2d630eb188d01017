"""P-values from draws of a statistic under the null hypothesis."""

import numpy as np
from scipy import stats

from services.drift.statistics.outcome import FloatArray, probability

# With so many draws beyond it, a value's own tail is counted well enough.
_ENOUGH = 10


def tail_probability(value: float, draws: FloatArray) -> float:
    """Return the chance of so large a value: (k + 1) / (R + 1), where k of `draws` `[R]` are.

    Where k is below 10, the tail of a Pearson III distribution with the draws' moments stands in:
    correcting for a hundred tests needs smaller p-values than a few hundred draws can count
    (Knijnenburg et al. 2009, Bioinformatics 25:i161, on tails of permutation tests).
    """
    as_large = int(np.sum(draws >= value))
    counted = (as_large + 1) / (draws.size + 1)
    deviation = float(draws.std())
    if as_large >= _ENOUGH or deviation == 0.0:
        return counted
    skew = float(stats.skew(draws))
    fitted = stats.pearson3.sf((value - draws.mean()) / deviation, skew)
    return min(counted, probability(fitted))
