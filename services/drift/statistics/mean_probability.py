"""Shift of the mean calibrated probability: the expected share of AI-generated photos moved."""

from services.drift.statistics.outcome import Outcome
from services.drift.statistics.welch import Moments, welch


def mean_probability(reference: Moments, current: Moments) -> Outcome:
    """Return the absolute shift of the mean of P(AI-generated), and Welch's p-value."""
    return welch(reference, current)
