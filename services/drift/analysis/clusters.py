"""Where in embedding space photos have become more frequent: a scan over balls.

The ball is chosen on one half of both samples and tested on the other, so that looking at hundreds
of balls costs no false alarms.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from services.drift.statistics.outcome import FloatArray, probability

# Sizes of the balls tried, as shares of the current half.
_SHARES = (0.02, 0.04, 0.08, 0.15)
# Centres tried; each is a current photo.
_CENTRES = 200


@dataclass(frozen=True, slots=True)
class Cluster:
    """The ball that gained most. Shares are of the halves that it was not chosen on.

    `members` `[k]` are indices into the current sample, the nearest to the centre first.
    """

    centre: FloatArray
    radius: float
    reference_share: float
    current_share: float
    p_value: float
    members: NDArray[np.int64]

    @property
    def gain(self) -> float:
        """How much of the traffic it holds beyond its share of the reference."""
        return self.current_share - self.reference_share


def find_cluster(
    reference: FloatArray, weights: FloatArray, current: FloatArray, rng: np.random.Generator
) -> Cluster:
    """Return the ball of most gain between `[n, D]` with weights `[n]`, and `[m, D]`.

    `weights` bring the reference to the current mix of files; all ones leave it as it is.
    """
    choose_now, test_now = _halves(len(current), rng)
    choose_before, test_before = _halves(len(reference), rng)
    centre, radius = _best_ball(
        reference[choose_before], weights[choose_before], current[choose_now]
    )
    in_now = _distances(centre[None], current[test_now])[0] <= radius
    in_before = _distances(centre[None], reference[test_before])[0] <= radius
    share, size = _weighted_share(in_before, weights[test_before])
    distances = _distances(centre[None], current)[0]
    inside = np.flatnonzero(distances <= radius)
    return Cluster(
        centre=centre,
        radius=float(radius),
        reference_share=share,
        current_share=float(in_now.mean()),
        p_value=_excess_p(share, size, int(in_now.sum()), in_now.size),
        members=inside[np.argsort(distances[inside], kind="stable")],
    )


def _halves(size: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    order = rng.permutation(size)
    return order[: size // 2], order[size // 2 :]


def _best_ball(
    reference: FloatArray, weights: FloatArray, current: FloatArray
) -> tuple[FloatArray, float]:
    centres = current[:_CENTRES]
    to_now = np.sort(_distances(centres, current), axis=1)
    to_before = _distances(centres, reference)
    total = weights.sum()
    best, best_score = (centres[0], 0.0), -np.inf
    for share in _SHARES:
        # One more than its own centre at the least.
        held = max(2, round(share * len(current)))
        radii = to_now[:, min(held, len(current)) - 1]
        before = (to_before <= radii[:, None]) @ weights / total
        # The centre itself is in by choice.
        now = (held - 1) / (len(current) - 1)
        pooled = np.maximum((before + now) / 2, 1e-3)
        scores = (now - before) / np.sqrt(pooled)
        place = int(np.argmax(scores))
        if scores[place] > best_score:
            best, best_score = (centres[place], float(radii[place])), float(scores[place])
    return best


def _distances(from_: FloatArray, to: FloatArray) -> FloatArray:
    squared = np.sum(from_**2, 1)[:, None] + np.sum(to**2, 1)[None] - 2 * from_ @ to.T
    distances: FloatArray = np.sqrt(np.maximum(squared, 0.0))
    return distances


def _weighted_share(inside: NDArray[np.bool_], weights: FloatArray) -> tuple[float, float]:
    """Return the weighted share and Kish's effective sample size."""
    total = float(weights.sum())
    if total <= 0:
        return 0.0, 1.0
    return float(weights[inside].sum() / total), float(total**2 / np.sum(weights**2))


def _excess_p(share: float, size: float, now: int, n_now: int) -> float:
    """Return Fisher's one-sided p that the current sample holds more."""
    n_before = max(1, round(size))
    before = round(share * n_before)
    return probability(stats.hypergeom.sf(now - 1, n_before + n_now, before + now, n_now))
