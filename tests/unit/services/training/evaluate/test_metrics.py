import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score, precision_score, roc_auc_score

from services.training.evaluate.decisions import by_thresholds
from services.training.evaluate.metrics import (
    auc,
    binomial_upper_bound,
    bootstrap_interval,
    decision_metrics,
    even_class_weights,
    expected_calibration_error,
    recall_at_fpr,
)
from shared.ml.spec import Thresholds


def sample(seed, n=300, gap=1.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    return labels, rng.normal(size=n) + gap * labels


@given(st.integers(0, 10_000), st.booleans())
def test_auc_is_sklearns_ties_included(seed, rounded):
    labels, scores = sample(seed)
    scores = np.round(scores) if rounded else scores
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))


def test_auc_needs_both_classes():
    with pytest.raises(ValueError, match="both classes"):
        auc(np.ones(3, dtype=int), np.arange(3.0))


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.01, 0.05, 0.5]))
def test_recall_at_fpr_keeps_its_promise(seed, fpr):
    """No threshold with at most that many false accusations finds more."""
    labels, scores = sample(seed)
    best = max(
        (scores[labels == 1] > t).mean()
        for t in [*scores, -np.inf]
        if (scores[labels == 0] > t).mean() <= fpr
    )
    assert recall_at_fpr(labels, scores, fpr) == pytest.approx(best)


def test_ece_of_known_cases():
    labels = np.array([0, 1] * 50)
    assert expected_calibration_error(labels, np.full(100, 0.5)) == pytest.approx(0)
    assert expected_calibration_error(labels, np.full(100, 0.9)) == pytest.approx(0.4)
    assert expected_calibration_error(labels, labels.astype(float)) == 0


def test_ece_under_even_classes_forgets_the_sets_own_prior():
    """Probabilities for an even prior, on a set with four real photos for each generated one."""
    rng = np.random.default_rng(0)
    labels = (rng.random(40_000) < 0.2).astype(int)
    logits = rng.normal(np.where(labels == 1, 1, -1))  # log odds of an even prior: 2 * logit
    probability = 1 / (1 + np.exp(-2 * logits))
    assert expected_calibration_error(labels, probability) > 0.05
    even = expected_calibration_error(labels, probability, weights=even_class_weights(labels))
    assert even < 0.01


def test_decisions_agree_with_sklearn():
    labels, scores = sample(3)
    probability = 1 / (1 + np.exp(-scores))
    limits = Thresholds(real_below=0.4, ai_above=0.7, false_accusation_budget=0.01)
    numbers = decision_metrics(labels, by_thresholds(probability, limits))
    accused = probability >= 0.7
    assert numbers["precision"] == pytest.approx(precision_score(labels, accused))
    assert numbers["f1"] == pytest.approx(f1_score(labels, accused))
    assert numbers["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, accused))
    shares = numbers["uncertain_rate"] + accused.mean() + (probability <= 0.4).mean()
    assert shares == pytest.approx(1)


def test_decisions_when_nothing_is_accused():
    numbers = decision_metrics(np.array([0, 1]), np.zeros(2, np.int8))
    assert (numbers["precision"], numbers["recall"], numbers["f1"]) == (0, 0, 0)


def test_bootstrap_interval_covers_the_truth():
    labels, scores = sample(1, n=2000)
    low, high = bootstrap_interval(auc, labels, scores, 200, np.random.default_rng(0))
    truth = 0.7602  # two unit normals one apart: Phi(1 / sqrt(2))
    assert low < truth < high
    assert high - low < 0.06


def test_binomial_bound_of_known_cases():
    """Rule of three for no success in 300; the exact value for 1 in 10 (Clopper-Pearson)."""
    assert binomial_upper_bound(0, 300, 0.95) == pytest.approx(0.00994, abs=1e-5)
    assert binomial_upper_bound(1, 10, 0.95) == pytest.approx(0.39416, abs=1e-5)
    assert binomial_upper_bound(10, 10, 0.95) == 1.0
    assert binomial_upper_bound(1, 100, 0.95) < binomial_upper_bound(1.5, 100, 0.95)
