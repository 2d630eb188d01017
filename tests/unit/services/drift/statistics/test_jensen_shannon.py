"""Jensen–Shannon against SciPy and its chance distribution."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from services.drift.statistics.jensen_shannon import jensen_shannon


def test_it_is_scipys_distance():
    rng = np.random.default_rng(2)
    for _ in range(20):
        before, now = rng.integers(0, 30, 12), rng.integers(0, 30, 12)
        expected = jensenshannon(before, now, base=2)
        assert jensen_shannon(before, now).value == pytest.approx(expected, abs=1e-7)


def test_disjoint_samples_are_at_distance_one():
    outcome = jensen_shannon([100, 0], [0, 100])
    assert outcome.value == pytest.approx(1.0)
    assert outcome.p_value < 1e-20


def test_its_chance_distribution_is_chi_square():
    rng = np.random.default_rng(4)
    shares = rng.dirichlet(np.full(10, 5.0))
    p = [
        jensen_shannon(rng.multinomial(5000, shares), rng.multinomial(1000, shares)).p_value
        for _ in range(2000)
    ]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.015)
