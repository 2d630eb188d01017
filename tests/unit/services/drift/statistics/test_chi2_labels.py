"""Pearson's test against SciPy."""

import numpy as np
import pytest
from scipy import stats

from services.drift.statistics.chi2_labels import chi2_labels


@pytest.mark.parametrize("now", [[60, 25, 15], [10, 80, 10], [0, 3, 1]])
def test_the_p_value_is_scipys(now):
    before = [600, 250, 150]
    expected = stats.chi2_contingency([before, now], correction=False)
    assert chi2_labels(before, now).p_value == pytest.approx(expected.pvalue)


def test_at_equal_sizes_the_effect_is_cramers_v():
    before, now = np.array([50, 30, 20]), np.array([30, 30, 40])
    expected = stats.contingency.association([before, now], method="cramer")
    assert chi2_labels(before, now).value == pytest.approx(expected)


def test_the_effect_does_not_depend_on_the_references_size():
    small, large = chi2_labels([50, 30, 20], [3, 3, 4]), chi2_labels([5000, 3000, 2000], [3, 3, 4])
    assert small.value == pytest.approx(large.value)


def test_one_category_alone_cannot_move():
    assert chi2_labels([10, 0], [3, 0]).p_value == 1.0
