"""First Wasserstein (earth mover's) distance, in standard deviations of the reference.

The reference's own scale makes one threshold fit every model, whatever its logits' range.
"""

from dataclasses import dataclass

import numpy as np

from services.drift.statistics.outcome import FloatArray, Outcome, probability
from services.drift.statistics.resampling import tail_probability


@dataclass(frozen=True, slots=True)
class Weighted:
    """A distribution on `values` `[B]` with `weights` `[B]`: bins' means and their counts."""

    values: FloatArray
    weights: FloatArray


def wasserstein(
    reference: Weighted, current: Weighted, rng: np.random.Generator, resamples: int = 299
) -> Outcome:
    """Return the distance and its p-value.

    The chance distances are drawn from the limit process, a Brownian bridge over the pooled
    distribution function: n and m enter only as 1/n + 1/m. Weights' sums are n and m.
    """
    n, m = reference.weights.sum(), current.weights.sum()
    places = np.concatenate([reference.values, current.values])
    order = np.argsort(places, kind="stable")
    steps = np.diff(places[order])
    zeros_now, zeros_before = np.zeros(current.weights.size), np.zeros(reference.weights.size)
    before = np.concatenate([reference.weights / n, zeros_now])[order]
    now = np.concatenate([zeros_before, current.weights / m])[order]
    distance = float(np.sum(np.abs(np.cumsum(before - now)[:-1]) * steps))
    spread = _deviation(reference)
    if spread == 0.0:
        # A constant reference: anything else is infinitely far in its own scale.
        return Outcome(0.0, 1.0) if distance == 0.0 else Outcome(1.0, probability(0.0))
    pooled = (before * n + now * m) / (n + m)
    chance = _chance_distances(pooled, steps, rng, resamples) * np.sqrt(1 / n + 1 / m)
    return Outcome(distance / spread, tail_probability(distance * (1 - 1e-12), chance))


def _deviation(sample: Weighted) -> float:
    share = sample.weights / sample.weights.sum()
    mean = float(np.sum(share * sample.values))
    return float(np.sqrt(np.sum(share * (sample.values - mean) ** 2)))


def _chance_distances(
    pooled: FloatArray, steps: FloatArray, rng: np.random.Generator, resamples: int
) -> FloatArray:
    """Return `[resamples]` distances of two samples of variance 1 in all."""
    noise = rng.standard_normal((resamples, pooled.size)) * np.sqrt(pooled)
    bridge = np.cumsum(noise, axis=1) - np.cumsum(pooled) * noise.sum(axis=1, keepdims=True)
    distances: FloatArray = np.abs(bridge[:, :-1]) @ steps
    return distances
