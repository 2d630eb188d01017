"""The two-proportion test against Pearson's chi-square on the same table."""

import pytest
from scipy import stats

from services.drift.statistics.uncertain_rate import uncertain_rate


def test_it_is_pearsons_test_of_two_by_two():
    expected = stats.chi2_contingency([[30, 170], [25, 75]], correction=False)
    ours = uncertain_rate(30, 200, 25, 100)
    assert ours.value == pytest.approx(0.10)
    assert ours.p_value == pytest.approx(expected.pvalue)


def test_nobody_uncertain_is_no_evidence():
    assert uncertain_rate(0, 100, 0, 50).p_value == 1.0


def test_an_empty_sample_is_refused():
    with pytest.raises(ValueError, match="photos"):
        uncertain_rate(0, 0, 1, 2)
