"""KS against SciPy."""

import numpy as np
import pytest
from scipy import stats

from services.drift.statistics.ks import ks


def binned(a, b):
    values = np.unique(np.concatenate([a, b]))
    return tuple(
        np.bincount(np.searchsorted(values, sample), minlength=len(values)) for sample in (a, b)
    )


@pytest.mark.parametrize("shift", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("sizes", [(200, 200), (3000, 150)])
def test_one_bin_for_each_value_is_scipys_test(shift, sizes):
    rng = np.random.default_rng(7)
    # Rounded: ties between the samples are the rule in real scores.
    a = np.round(rng.normal(0, 1, sizes[0]), 2)
    b = np.round(rng.normal(shift, 1, sizes[1]), 2)
    expected = stats.ks_2samp(a, b, method="asymp")
    ours = ks(*binned(a, b))
    assert ours.value == pytest.approx(expected.statistic)
    assert ours.p_value == pytest.approx(expected.pvalue, rel=1e-9)


def test_merging_bins_never_makes_it_larger():
    rng = np.random.default_rng(3)
    before, now = rng.integers(1, 50, 40), rng.integers(1, 50, 40)
    merged = ks(before.reshape(10, 4).sum(1), now.reshape(10, 4).sum(1))
    assert merged.value <= ks(before, now).value
