"""Wasserstein against SciPy; its resampled p-value against its own nominal level."""

import numpy as np
import pytest
from scipy import stats

from services.drift.statistics.wasserstein import Weighted, wasserstein


def weighted(values, weights=None):
    values = np.asarray(values, float)
    return Weighted(values, np.ones(values.size) if weights is None else np.asarray(weights, float))


def test_it_is_scipys_distance_in_the_references_deviations():
    rng = np.random.default_rng(5)
    a, b = rng.normal(2, 3, 400), rng.normal(2.5, 3, 300)
    ours = wasserstein(weighted(a), weighted(b), rng)
    assert ours.value == pytest.approx(stats.wasserstein_distance(a, b) / a.std())


def test_weights_count_as_repeated_values():
    rng = np.random.default_rng(6)
    a, b = weighted([0.0, 1, 4], [3, 2, 5]), weighted([0.5, 1, 9], [4, 4, 2])
    expected = stats.wasserstein_distance(a.values, b.values, a.weights, b.weights)
    spread = np.std(np.repeat(a.values, [3, 2, 5]))
    assert wasserstein(a, b, rng).value == pytest.approx(expected / spread)


def test_false_alarms_come_at_the_nominal_level():
    rng = np.random.default_rng(8)
    grid = np.linspace(-2, 2, 40)
    shares = stats.norm.pdf(grid) / stats.norm.pdf(grid).sum()
    p = [
        wasserstein(
            weighted(grid, rng.multinomial(3000, shares)),
            weighted(grid, rng.multinomial(500, shares)),
            rng,
            199,
        ).p_value
        for _ in range(1000)
    ]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.02)
    # The fitted tail does not invent significance.
    assert np.mean(np.array(p) <= 0.001) <= 0.006


def test_the_p_value_is_never_zero_and_finds_a_shift():
    rng = np.random.default_rng(9)
    far = wasserstein(weighted(rng.normal(0, 1, 500)), weighted(rng.normal(2, 1, 500)), rng, 99)
    assert 0 < far.p_value < 1e-6


def test_a_constant_reference():
    rng = np.random.default_rng(10)
    assert wasserstein(weighted([1.0, 1.0]), weighted([1.0]), rng).value == 0.0
    assert wasserstein(weighted([1.0, 1.0]), weighted([2.0]), rng).p_value < 0.01
