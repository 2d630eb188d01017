"""Shift of the mean confidence, max(p, 1 - p): a model that meets unknown photos loses it."""

from services.drift.statistics.outcome import Outcome
from services.drift.statistics.welch import Moments, welch


def confidence(reference: Moments, current: Moments) -> Outcome:
    """Return the absolute shift of the mean confidence, and Welch's p-value."""
    return welch(reference, current)
