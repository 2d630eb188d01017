"""What every test returns, and the checks that their inputs share."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`value` is the size of the effect, 0 for none; `p_value` is in (0, 1]."""

    value: float
    p_value: float


def counts(values: ArrayLike) -> FloatArray:
    """Return counts as float64 `[B]`. Raises ValueError when one is negative, or all are 0."""
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not np.all(np.isfinite(array)) or np.any(array < 0) or array.sum() <= 0:
        raise ValueError("counts must be finite, one-dimensional, not negative and not all zero")
    return array


def pair(reference: ArrayLike, current: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return both samples' counts over the same bins; raises ValueError where they differ."""
    before, now = counts(reference), counts(current)
    if before.shape != now.shape:
        raise ValueError(f"{before.size} reference bins and {now.size} current bins")
    return before, now


def sampling_variance(before: FloatArray, now: FloatArray) -> float:
    """Return 1/n + 1/m, by which the chance differences of two samples' shares scale."""
    return float(1 / before.sum() + 1 / now.sum())


def probability(value: Any) -> float:
    """Return a p-value as a float that is never 0: tails underflow, evidence is never absolute."""
    return float(min(1.0, max(float(value), 1e-300)))
