"""What every test over counts has in common."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.drift.statistics.chi2_labels import chi2_labels
from services.drift.statistics.jensen_shannon import jensen_shannon
from services.drift.statistics.ks import ks
from services.drift.statistics.psi import psi

TESTS = [psi, ks, jensen_shannon, chi2_labels]
SYMMETRIC = [ks, jensen_shannon, psi, chi2_labels]
both = st.integers(2, 12).flatmap(
    lambda bins: st.tuples(*[st.lists(st.integers(1, 500), min_size=bins, max_size=bins)] * 2)
)


@pytest.mark.parametrize("test", TESTS)
@given(samples=both)
@settings(deadline=None, max_examples=40)
def test_outcomes_are_in_range_and_equal_samples_are_equal(test, samples):
    outcome = test(*samples)
    assert outcome.value >= 0
    assert 0 < outcome.p_value <= 1
    same = test(samples[0], samples[0])
    assert same.value == pytest.approx(0.0, abs=1e-7)
    assert same.p_value == pytest.approx(1.0)


@pytest.mark.parametrize("test", SYMMETRIC)
@given(samples=both)
@settings(deadline=None, max_examples=40)
def test_it_does_not_matter_which_sample_comes_first(test, samples):
    there, back = test(*samples), test(*reversed(samples))
    assert there.value == pytest.approx(back.value, abs=1e-9)
    assert there.p_value == pytest.approx(back.p_value, abs=1e-9)


@pytest.mark.parametrize("test", [psi, jensen_shannon, chi2_labels])
@given(samples=both, seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_the_order_of_categories_does_not_matter(test, samples, seed):
    order = np.random.default_rng(seed).permutation(len(samples[0]))
    shuffled = test(*(np.array(sample)[order] for sample in samples))
    assert shuffled.value == pytest.approx(test(*samples).value, abs=1e-9)


@pytest.mark.parametrize("test", TESTS)
@given(samples=both, factor=st.integers(2, 50))
@settings(deadline=None, max_examples=40)
def test_more_photos_of_the_same_shares_are_the_same_effect_with_more_certainty(
    test, samples, factor
):
    few = test(*samples)
    many = test(*(np.array(sample) * factor for sample in samples))
    assert many.value == pytest.approx(few.value, abs=1e-9)
    assert many.p_value <= few.p_value + 1e-9


@pytest.mark.parametrize("test", TESTS)
@pytest.mark.parametrize(
    "samples", [([1, 2], [1, 2, 3]), ([0, 0], [1, 2]), ([1, -1], [1, 2]), ([1, np.nan], [1, 2])]
)
def test_nonsense_is_refused(test, samples):
    with pytest.raises(ValueError, match=r"bins|counts"):
        test(*samples)
