"""CBPE against simulated truth, and Wilson's interval against SciPy."""

import numpy as np
import pytest
from scipy import stats

from services.drift.analysis.accuracy import estimate, from_feedback, wilson
from services.drift.analysis.counts import Counts
from services.drift.study.traffic import EPOCH
from shared.db.drift.feedback import FeedbackCounts


def counts_of(p, labels):
    sums = np.array([np.bincount(labels, weight, 4) for weight in (np.ones(len(p)), p)])
    moments = np.array([p.sum(), (p**2).sum(), 0.0, 0.0])
    return Counts(np.array([float(len(p))]), np.zeros(1), *sums, moments, float(len(p)), 0.0)


def test_with_calibrated_probabilities_the_estimates_are_the_truth():
    rng = np.random.default_rng(1)
    p = rng.beta(0.4, 1.5, 200_000)
    generated = rng.uniform(size=p.size) < p
    labels = np.digitize(p, [0.2, 0.8])
    decided = labels != 1
    found = estimate(counts_of(p, labels), counts_of(p, labels))
    right = np.where(labels == 2, generated, ~generated)[decided]
    assert found.accuracy == pytest.approx(right.mean(), abs=0.005)
    assert found.reference_accuracy == found.accuracy
    accused = (labels == 2) & ~generated
    assert found.false_accusation_rate == pytest.approx(
        accused.sum() / (~generated).sum(), abs=0.003
    )
    caught = (labels == 2) & generated
    assert found.recall == pytest.approx(caught.sum() / generated.sum(), abs=0.01)


def test_nothing_decided_has_no_accuracy():
    counts = counts_of(np.full(5, 0.5), np.full(5, 1))
    assert estimate(counts, counts).accuracy is None


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (950, 1000)])
def test_wilsons_interval_is_scipys(k, n):
    expected = stats.binomtest(k, n).proportion_ci(method="wilson")
    assert wilson(k, n) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_feedback_without_labels_is_none():
    assert from_feedback(FeedbackCounts(0, 0, 0, 0, EPOCH)) is None
    found = from_feedback(FeedbackCounts(10, 7, 2, 1, EPOCH))
    assert found is not None
    assert (found.accuracy, found.false_accusations, found.missed) == (0.7, 2, 1)
