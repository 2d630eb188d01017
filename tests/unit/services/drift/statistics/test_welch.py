"""Means from moments against SciPy's test on the values."""

import numpy as np
import pytest
from scipy import stats

from services.drift.statistics.confidence import confidence
from services.drift.statistics.mean_probability import mean_probability
from services.drift.statistics.welch import Moments


def moments(values):
    return Moments(len(values), float(np.mean(values)), float(np.var(values, ddof=1)))


@pytest.mark.parametrize("test", [mean_probability, confidence])
def test_it_is_scipys_welch_test(test):
    rng = np.random.default_rng(11)
    a, b = rng.beta(1, 6, 900), rng.beta(1, 5, 120)
    ours = test(moments(a), moments(b))
    assert ours.value == pytest.approx(abs(a.mean() - b.mean()))
    assert ours.p_value == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)


def test_constants():
    assert mean_probability(Moments(9, 0.2, 0.0), Moments(9, 0.2, 0.0)).p_value == 1.0
    assert mean_probability(Moments(9, 0.2, 0.0), Moments(9, 0.3, 0.0)).p_value < 1e-6
    assert mean_probability(Moments(1, 0.2, 0.0), Moments(9, 0.3, 0.0)).p_value == 1.0
