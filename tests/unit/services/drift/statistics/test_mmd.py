"""MMD against its definition, its level and its power."""

import numpy as np
import pytest

from services.drift.statistics.mmd import mmd


def by_definition(x, y):
    """Gretton et al. 2012, equation 3, written as its sums."""
    both = np.concatenate([x, y])
    distances = np.array([[np.sum((a - b) ** 2) for b in both] for a in both])
    median = np.median(distances[np.triu_indices(len(both), 1)])
    kernel = np.exp(-distances / median)
    n, m = len(x), len(y)
    xx = sum(kernel[i, j] for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(kernel[n + i, n + j] for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * kernel[:n, n:].mean()


def test_it_is_the_unbiased_estimate():
    rng = np.random.default_rng(12)
    x, y = rng.normal(0, 1, (20, 3)), rng.normal(1, 1, (15, 3))
    assert mmd(x, y, rng).value == pytest.approx(by_definition(x, y))


def test_false_alarms_come_at_the_nominal_level():
    rng = np.random.default_rng(13)
    p = [
        mmd(rng.normal(0, 1, (24, 4)), rng.normal(0, 1, (16, 4)), rng, 59).p_value
        for _ in range(400)
    ]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(np.array(p) <= 0.001) <= 0.0125


def test_it_sees_a_tenth_of_the_sample_elsewhere_where_no_mean_shows_it():
    rng = np.random.default_rng(14)
    reference, current = rng.normal(0, 1, (400, 16)), rng.normal(0, 1, (400, 16))
    # Two opposite clusters: every coordinate keeps its mean.
    current[:20] += 3.0
    current[20:40] -= 3.0
    assert mmd(reference, current, rng).p_value < 0.001


def test_single_vectors_are_refused():
    with pytest.raises(ValueError, match="two vectors"):
        mmd(np.zeros((1, 2)), np.zeros((5, 2)), np.random.default_rng(0))
