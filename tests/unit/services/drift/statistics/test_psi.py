"""PSI against its definition, its published limits and its chance distribution."""

import numpy as np
import pytest

from services.drift.statistics.psi import psi


def test_it_is_the_symmetric_kullback_leibler_divergence():
    from scipy.stats import entropy

    before, now = np.array([50.0, 30, 20]), np.array([30.0, 30, 40])
    p, q = before / 100, now / 100
    assert psi(before, now).value == pytest.approx(entropy(p, q) + entropy(q, p))


def test_a_worked_example():
    # 0.5/0.5 against 0.6/0.4: 0.1 ln 1.2 + 0.1 ln 1.25.
    assert psi([500, 500], [600, 400]).value == pytest.approx(
        0.1 * np.log(1.2) + 0.1 * np.log(1.25)
    )


def test_an_empty_bin_counts_as_half_an_observation():
    assert psi([10, 0], [10, 10]).value == pytest.approx(psi([10, 0.5], [10, 10]).value)


def test_bins_that_nobody_fills_change_nothing():
    assert psi([5, 0, 7], [9, 0, 2]) == psi([5, 7], [9, 2])


def test_its_chance_distribution_is_chi_square():
    rng = np.random.default_rng(1)
    shares = np.full(10, 0.1)
    p = [
        psi(rng.multinomial(4000, shares), rng.multinomial(1000, shares)).p_value
        for _ in range(2000)
    ]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.015)
    assert np.mean(p) == pytest.approx(0.5, abs=0.03)
