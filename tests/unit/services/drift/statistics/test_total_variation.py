"""Total variation by its definition."""

import pytest
from scipy import stats

from services.drift.statistics.total_variation import total_variation


def test_it_is_the_share_that_moved():
    outcome = total_variation([80, 20, 0], [60, 10, 30])
    assert outcome.value == pytest.approx(0.3)
    expected = stats.chi2_contingency([[80, 20, 0], [60, 10, 30]], correction=False)
    assert outcome.p_value == pytest.approx(expected.pvalue)


def test_the_same_mix_has_not_moved():
    assert total_variation([80, 20], [8, 2]).value == pytest.approx(0.0)
