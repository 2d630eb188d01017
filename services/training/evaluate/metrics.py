"""Scores of a binary detector: arrays in, numbers out. Label 1 is AI-generated."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, rankdata

Scores = NDArray[np.float64]
Labels = NDArray[np.int64]


def auc(labels: Labels, scores: Scores) -> float:
    """Return the area under the ROC curve (Mann-Whitney U, ties count one half)."""
    positive = labels == 1
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        raise ValueError("AUC needs photos of both classes")
    ranks = rankdata(scores)
    u = ranks[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(u / (n_positive * n_negative))


def recall_at_fpr(labels: Labels, scores: Scores, fpr: float) -> float:
    """Return the best recall at which at most `fpr` of the real photos score as high."""
    real = np.sort(scores[labels == 0])[::-1]
    allowed = int(np.floor(fpr * len(real)))
    return float((scores[labels == 1] > real[allowed]).mean())


def expected_calibration_error(
    labels: Labels, probabilities: Scores, bins: int = 10, weights: Scores | None = None
) -> float:
    """Return ECE over `bins` bins of equal width (Guo et al. 2017), weighted by their counts.

    `weights` float64 `[N]` count photos unequally; None counts each once.
    """
    weights = np.ones(len(labels)) if weights is None else weights
    weights = weights / weights.sum()
    index = np.minimum((probabilities * bins).astype(int), bins - 1)
    gaps = np.bincount(index, weights * (labels - probabilities), bins)
    return float(np.abs(gaps).sum())


def even_class_weights(labels: Labels) -> Scores:
    """Return weights float64 `[N]` under which both classes count the same, summing to 1."""
    positive = labels == 1
    weights: Scores = np.where(positive, 0.5 / positive.sum(), 0.5 / (~positive).sum())
    return weights


def decision_metrics(labels: Labels, verdicts: NDArray[np.int8]) -> dict[str, float]:
    """Return what the verdicts come to: 1 `ai_generated`, 0 `uncertain`, -1 `real`.

    Accuracy, balanced accuracy, precision, recall and F1 are of the binary decision
    "`ai_generated` or not": `uncertain` counts as not accused. Beside them the share that is
    `uncertain`, real photos accused, and generated ones called real.
    """
    accused = verdicts > 0
    cleared = verdicts < 0
    ai = labels == 1
    true_positive = int((accused & ai).sum())
    recall = true_positive / int(ai.sum())
    precision = true_positive / int(accused.sum()) if accused.any() else 0.0
    false_accusation = float(accused[~ai].mean())
    return {
        "accuracy": float((accused == ai).mean()),
        "balanced_accuracy": (recall + 1.0 - false_accusation) / 2,
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall) if true_positive else 0.0,
        "false_accusation_rate": false_accusation,
        "ai_called_real_rate": float(cleared[ai].mean()),
        "uncertain_rate": float((~accused & ~cleared).mean()),
    }


def bootstrap_interval(
    statistic: Callable[[Labels, Scores], float],
    labels: Labels,
    scores: Scores,
    samples: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Return the 95% percentile interval of `statistic`, photos resampled within each class."""
    by_class = [np.flatnonzero(labels == label) for label in (0, 1)]
    values = []
    for _ in range(samples):
        index = np.concatenate([rng.choice(members, len(members)) for members in by_class])
        values.append(statistic(labels[index], scores[index]))
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def binomial_upper_bound(successes: float, trials: float, confidence: float) -> float:
    """Return the one-sided Clopper-Pearson upper bound of a rate.

    A fractional count, as of an average over several looks at each photo, interpolates.
    """
    if successes >= trials:
        return 1.0
    return float(beta.ppf(confidence, successes + 1, trials - successes))
