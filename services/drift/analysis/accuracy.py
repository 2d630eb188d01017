"""Accuracy without labels, from calibrated probabilities (CBPE), and with reviewers' labels."""

import math

from services.drift.analysis.counts import LABELS, Counts
from shared.contracts.drift import AccuracyEstimate, FeedbackAccuracy
from shared.contracts.states import Label
from shared.db.drift.feedback import FeedbackCounts

_REAL, _AI = LABELS.index(Label.REAL), LABELS.index(Label.AI_GENERATED)
# Two-sided 95% of the normal distribution.
_Z = 1.959964


def estimate(reference: Counts, current: Counts) -> AccuracyEstimate:
    """Return confidence-based performance estimates of the network's own verdicts.

    Each photo called `ai_generated` is right with its calibrated probability p, each called `real`
    with 1 - p; the estimates are means of these (NannyML's CBPE for a binary classifier).
    """
    own = float(current.labels[: len(LABELS)].sum())
    ai_right = float(current.label_p[_AI])
    ai_wrong = float(current.labels[_AI]) - ai_right
    all_ai = float(current.label_p[: len(LABELS)].sum())
    return AccuracyEstimate(
        photos=round(own),
        accuracy=_accuracy(current),
        reference_accuracy=_accuracy(reference),
        false_accusation_rate=_ratio(ai_wrong, own - all_ai),
        recall=_ratio(ai_right, all_ai),
    )


def from_feedback(counts: FeedbackCounts) -> FeedbackAccuracy | None:
    """Return the accuracy that reviewers' labels show; None without any."""
    if not counts.photos:
        return None
    low, high = wilson(counts.right, counts.photos)
    return FeedbackAccuracy(
        photos=counts.photos,
        accuracy=counts.right / counts.photos,
        low=low,
        high=high,
        false_accusations=counts.false_accusations,
        missed=counts.missed,
        since=counts.since,
    )


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return Wilson's 95% interval of a share (1927)."""
    share, z2 = successes / trials, _Z**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    return max(0.0, centre - half), min(1.0, centre + half)


def _accuracy(counts: Counts) -> float | None:
    right = counts.labels[_REAL] - counts.label_p[_REAL] + counts.label_p[_AI]
    return _ratio(float(right), float(counts.labels[_REAL] + counts.labels[_AI]))


def _ratio(part: float, whole: float) -> float | None:
    return min(1.0, max(0.0, part / whole)) if whole > 0 else None
