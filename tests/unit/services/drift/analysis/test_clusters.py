"""The scan over balls: finds what is new, and does not find what is not."""

import numpy as np
import pytest

from services.drift.analysis.clusters import find_cluster


def cloud(rng, n, at=0.0):
    return rng.normal(at, 1, (n, 16))


def test_a_new_cluster_is_found_with_its_members():
    rng = np.random.default_rng(1)
    reference = cloud(rng, 2000)
    current = np.concatenate([cloud(rng, 900), cloud(rng, 100, at=2.0)])
    found = find_cluster(reference, np.ones(2000), current, rng)
    assert found.p_value < 1e-6
    assert found.gain == pytest.approx(0.1, abs=0.05)
    assert np.mean(found.members[:20] >= 900) >= 0.95


def test_the_same_distribution_holds_no_new_cluster_at_the_nominal_level():
    rng = np.random.default_rng(2)
    p = [
        find_cluster(cloud(rng, 300), np.ones(300), cloud(rng, 200), rng).p_value
        for _ in range(300)
    ]
    assert np.mean(np.array(p) < 0.05) <= 0.08


def test_weights_take_out_a_change_of_mix():
    rng = np.random.default_rng(3)
    reference = np.concatenate([cloud(rng, 1900), cloud(rng, 100, at=3.0)])
    current = np.concatenate([cloud(rng, 500), cloud(rng, 500, at=3.0)])
    weights = np.repeat([500 / 1900, 500 / 100], [1900, 100])
    unmatched = find_cluster(reference, np.ones(2000), current, rng)
    matched = find_cluster(reference, weights, current, rng)
    assert unmatched.p_value < 1e-6
    assert matched.p_value > 0.001
