"""Intervals that know that the photos of one source succeed or fail together."""

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from services.training.evaluate.metrics import Labels, binomial_upper_bound

Floats = NDArray[np.float64]
# Takes positions of photos int64 `[M]`, returns float64 `[S]`: one value per statistic.
Statistics = Callable[[NDArray[np.int64]], Floats]


def by_source_interval(
    statistics: Statistics, labels: Labels, sources: Sequence[str], samples: int, seed: int
) -> Floats:
    """Return 95% percentile intervals float64 `[S, 2]`, sources resampled within each class.

    A cluster bootstrap: each sample draws whole sources with replacement, as many of a class as
    there are, so a number that rests on one large shop has a wide interval.
    """
    rng = np.random.default_rng(seed)
    clusters = [_clusters(labels == label, sources) for label in (0, 1)]
    values = []
    for _ in range(samples):
        drawn = [
            of_class[number]
            for of_class in clusters
            for number in rng.integers(0, len(of_class), len(of_class))
        ]
        values.append(statistics(np.concatenate(drawn)))
    low, high = np.percentile(np.array(values), [2.5, 97.5], axis=0)
    return np.stack([low, high], axis=1)


def _clusters(members: NDArray[np.bool_], sources: Sequence[str]) -> list[NDArray[np.int64]]:
    found: defaultdict[str, list[int]] = defaultdict(list)
    for index in np.flatnonzero(members):
        found[sources[int(index)]].append(int(index))
    return [np.array(index, dtype=np.int64) for index in found.values()]


def share_interval(
    hits: NDArray[np.bool_], sources: Sequence[str], confidence: float = 0.95
) -> tuple[float, float]:
    """Return the two-sided interval of a share by source (Korn and Graubard 1998).

    Clopper-Pearson with the number of independent photos that has the variance seen between
    sources, and Student's t for their small number, as the bound in
    `services.training.evaluate.calibrate`; here every photo counts once, as in the share that it
    stands beside. Without a difference between sources it is Clopper-Pearson over photos. `hits`
    is bool `[N]`, N at least 1.
    """
    rate = float(hits.mean())
    independent = _independent_photos(hits, sources, confidence)
    tail = 1 - (1 - confidence) / 2
    count = rate * independent
    low = 1 - binomial_upper_bound(independent - count, independent, tail) if rate > 0 else 0.0
    return min(low, rate), max(binomial_upper_bound(count, independent, tail), rate)


def _independent_photos(
    hits: NDArray[np.bool_], sources: Sequence[str], confidence: float
) -> float:
    photos, rate = len(hits), float(hits.mean())
    _, inverse = np.unique(np.array(sources), return_inverse=True)
    deviations = np.bincount(inverse, hits - rate)
    count = len(deviations)
    # Sums of rates that are equal differ by the last bit.
    if count < 2 or not 0 < rate < 1 or np.abs(deviations).max() < 1e-9:
        return float(photos)
    variance = count / (count - 1) * float((deviations**2).sum()) / photos**2
    tail = 1 - (1 - confidence) / 2
    few = float(student.ppf(tail, photos - 1) / student.ppf(tail, count - 1)) ** 2
    return min(float(photos), rate * (1 - rate) / variance) * few
