"""Corrections against SciPy, published values and simulation."""

import numpy as np
import pytest
from scipy import stats

from services.drift.statistics.correction import benjamini_hochberg


def test_benjamini_hochberg_is_scipys():
    p = np.random.default_rng(1).uniform(0, 1, 30) ** 3
    assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p))


def test_where_nothing_drifted_any_finding_is_as_rare_as_alpha():
    rng = np.random.default_rng(2)
    # Twenty tests of the same photos: half of each one's chance is common to all.
    z = np.sqrt(0.5) * rng.normal(size=(3000, 1)) + np.sqrt(0.5) * rng.normal(size=(3000, 20))
    any_found = [np.any(benjamini_hochberg(row) < 0.05) for row in 2 * stats.norm.sf(np.abs(z))]
    assert 0.01 <= np.mean(any_found) <= 0.06


def test_nothing_to_correct():
    assert benjamini_hochberg([]).size == 0
