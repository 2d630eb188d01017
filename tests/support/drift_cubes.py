"""Counts of photos over four bins of the score, and cubes of all tenants together made of them."""

from collections.abc import Mapping, Sequence

import numpy as np

from services.drift.analysis.counts import Counts, Cube, Place
from shared.contracts.drift import Dimension

# P(AI-generated) of every photo in a bin.
PROBABILITIES = np.array([0.1, 0.3, 0.7, 0.9])


def counts(bins: Sequence[float], independent: float | None = None) -> Counts:
    """Return photos by bin `[4]`, each independent unless said otherwise."""
    photos = np.array(bins, np.float64)
    sure = np.maximum(PROBABILITIES, 1 - PROBABILITIES)
    return Counts(
        bins=photos,
        logits=photos * np.log(PROBABILITIES / (1 - PROBABILITIES)),
        labels=np.array([photos[:2].sum(), 0.0, photos[2:].sum(), 0.0]),
        label_p=np.zeros(4),
        sums=np.array([photos @ of for of in (PROBABILITIES, PROBABILITIES**2, sure, sure**2)]),
        independent=float(photos.sum() if independent is None else independent),
        reused=0.0,
    )


def cube(dimension: Dimension, values: Mapping[str, Counts]) -> Cube:
    """Return all tenants' photos together, told apart by one dimension alone."""
    cells: dict[Place | None, Counts] = {None: Counts.empty(len(PROBABILITIES))}
    for value, photos in values.items():
        cells[None] += photos
        cells[dimension, value] = photos
    return Cube(len(PROBABILITIES), {None: cells})
