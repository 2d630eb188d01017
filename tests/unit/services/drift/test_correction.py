"""Corrections against SciPy, published values and simulation."""

import numpy as np
import pytest
from scipy import stats

from services.drift.correction import benjamini_hochberg, holm


def test_benjamini_hochberg_is_scipys():
    p = np.random.default_rng(1).uniform(0, 1, 30) ** 3
    assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p))


def test_holm_on_a_worked_example():
    # R: p.adjust(c(0.01, 0.02, 0.03, 0.04), "holm")
    assert holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])


def test_holm_bounds_the_chance_of_any_false_finding():
    rng = np.random.default_rng(2)
    any_found = [np.any(holm(rng.uniform(0, 1, 20)) < 0.05) for _ in range(3000)]
    assert np.mean(any_found) <= 0.065


def test_nothing_to_correct():
    assert holm([]).size == 0
    assert benjamini_hochberg([]).size == 0
