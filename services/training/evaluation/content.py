"""Whether the detector tells generated photos from real ones that show the same things."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.training.evaluate.metrics import Labels, Scores

NEAREST = 5


@dataclass(frozen=True, slots=True)
class ContentMatch:
    """Share of pairs in which the generated photo has the higher score; ties count one half.

    `auc` pairs it with the nearest real photos of other sources, `auc_random_pairs` with all of
    them, which is what pairs drawn at random come to. `of_each` float64 `[G]` are the shares of
    `auc` photo by photo, of the generated photos at `index` int64 `[G]`.
    """

    auc: float
    auc_random_pairs: float
    of_each: NDArray[np.float64]
    index: NDArray[np.int64]


def content_matched(
    labels: Labels,
    sources: Sequence[str],
    logits: Scores,
    embedding: NDArray[np.floating],
    nearest: int = NEAREST,
) -> ContentMatch | None:
    """Pair each generated photo with the `nearest` real ones of other sources, by cosine.

    `embedding` is `[N, D]`; photos whose row is not finite take no part. None where no generated
    photo has a real one of another source.
    """
    unit = embedding.astype(np.float64)
    usable = np.isfinite(unit).all(1)
    unit = unit / np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    real = np.flatnonzero((labels == 0) & usable)
    names = np.array(sources)
    found, shares, any_shares = [], [], []
    for photo in np.flatnonzero((labels == 1) & usable):
        others = real[names[real] != names[photo]]
        if not len(others):
            continue
        order = np.argsort(-(unit[others] @ unit[photo]), kind="stable")[:nearest]
        wins = _wins(logits[photo], logits[others])
        found.append(photo)
        shares.append(wins[order].mean())
        any_shares.append(wins.mean())
    if not found:
        return None
    of_each = np.array(shares)
    return ContentMatch(
        float(of_each.mean()), float(np.mean(any_shares)), of_each, np.array(found, np.int64)
    )


def _wins(score: float, others: Scores) -> NDArray[np.float64]:
    return np.asarray((score > others) + 0.5 * (score == others), np.float64)
