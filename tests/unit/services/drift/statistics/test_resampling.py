"""P-values from draws: counted where draws are, fitted beyond."""

import numpy as np
import pytest
from scipy import stats

from services.drift.statistics.resampling import tail_probability


def test_where_draws_are_as_large_they_are_counted():
    draws = np.arange(99.0)
    assert tail_probability(49.0, draws) == pytest.approx(51 / 100)


def test_beyond_the_draws_the_tail_is_the_distributions():
    rng = np.random.default_rng(1)
    draws = rng.gamma(4.0, 1.0, 2000)
    far = stats.gamma.isf(1e-5, 4.0)
    assert 1e-6 < tail_probability(far, draws) < 1e-4


def test_it_is_never_zero_and_constant_draws_are_counted():
    assert tail_probability(1e9, np.random.default_rng(2).normal(size=50)) > 0
    assert tail_probability(2.0, np.ones(9)) == pytest.approx(1 / 10)
