"""Maximum mean discrepancy of two samples of vectors (Gretton et al. 2012, JMLR 13:723).

Gaussian kernel with the median heuristic; the unbiased estimate of the squared discrepancy, and a
permutation test. Costs (n + m)^2: give it bounded samples.
"""

import numpy as np
from numpy.typing import NDArray

from services.drift.statistics.outcome import FloatArray, Outcome
from services.drift.statistics.resampling import tail_probability

Float32Array = NDArray[np.float32]


def mmd(
    reference: FloatArray,
    current: FloatArray,
    rng: np.random.Generator,
    permutations: int = 199,
) -> Outcome:
    """Return the squared discrepancy of `[n, D]` and `[m, D]`, and its p-value.

    Raises ValueError with fewer than two vectors on a side.
    """
    n, m = len(reference), len(current)
    if min(n, m) < 2:
        raise ValueError("each sample needs two vectors or more")
    kernel = _kernel(np.concatenate([reference, current]).astype(np.float64))
    belongs = np.zeros((permutations + 1, n + m), np.float32)
    belongs[0, n:] = 1.0
    for row in range(1, permutations + 1):
        belongs[row, rng.permutation(n + m)[:m]] = 1.0
    values = _discrepancies(kernel, belongs, n, m)
    p_value = tail_probability(float(values[0]) - 1e-12, values[1:])
    return Outcome(max(0.0, float(values[0])), p_value)


def _kernel(vectors: FloatArray) -> Float32Array:
    """Return the Gaussian kernel `[N, N]` with a zero diagonal: the estimate leaves it out."""
    norms = np.sum(vectors**2, axis=1)
    squared = np.maximum(norms[:, None] + norms[None, :] - 2 * vectors @ vectors.T, 0.0)
    # Of large samples a part gives the same scale.
    step = 1 + len(vectors) // 400
    part = squared[::step, ::step]
    median = float(np.median(part[np.triu_indices(len(part), 1)]))
    # Half the width is twice as fast, and far finer than what the draw of samples leaves open.
    kernel: Float32Array = np.exp(-(squared / (median if median > 0 else 1.0)).astype(np.float32))
    np.fill_diagonal(kernel, 0.0)
    return kernel


def _discrepancies(kernel: Float32Array, belongs: Float32Array, n: int, m: int) -> FloatArray:
    """Return the estimate `[R]` for each row of `belongs` `[R, N]`, 1 for the current sample."""
    reach = (belongs @ kernel).astype(np.float64)
    within_current = np.sum(reach * belongs, axis=1)
    to_all = reach.sum(axis=1)
    across = to_all - within_current
    within_reference = kernel.sum(dtype=np.float64) - 2 * to_all + within_current
    discrepancies: FloatArray = (
        within_current / (m * (m - 1)) + within_reference / (n * (n - 1)) - 2 * across / (n * m)
    )
    return discrepancies
