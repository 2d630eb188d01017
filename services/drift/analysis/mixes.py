"""How the shares of a dimension's values moved, and how much of the scores' shift that explains."""

import numpy as np

from services.drift.analysis.counts import Counts, Cube, Scope
from services.drift.statistics.ks import ks_distance
from services.drift.statistics.outcome import Outcome
from services.drift.statistics.total_variation import total_variation
from shared.contracts.drift import INPUT_DIMENSIONS, Dimension, MixShift
from shared.db.drift.segments import UNKNOWN

# A reference segment of fewer photos has no distribution of its own.
_MIN_REFERENCE = 30
# A value has grown far when it gained so much of the traffic, and so many times its share.
_GROWN_BY, _GROWN_TIMES = 0.05, 1.5


def mix_test(reference: Cube, current: Cube, scope: Scope, dimension: Dimension) -> Outcome | None:
    """Return the shift of a dimension's mix; None when either side does not know its values."""
    before, now = _known(reference, scope, dimension), _known(current, scope, dimension)
    values = sorted(before.keys() | now.keys())
    counts = [
        [side[value].photos if value in side else 0.0 for value in values] for side in (before, now)
    ]
    if not values or min(map(sum, counts)) < _MIN_REFERENCE:
        return None
    return total_variation(
        np.array(counts[0]) * reference.whole(scope).weight,
        np.array(counts[1]) * current.whole(scope).weight,
    )


def mix_shift(reference: Cube, current: Cube, scope: Scope, dimension: Dimension) -> MixShift:
    """Return the shift of a dimension's mix and what it explains of the scores' distance.

    Explained is what vanishes of the distance when the reference is weighted to the current mix. A
    value that the reference does not know is taken as it is now: nothing contradicts it. So is one
    of the files' own properties that has grown far: other photos have it now than had it before.
    """
    before, now = _known(reference, scope, dimension), _known(current, scope, dimension)
    if not (before and now):
        # A property that one side does not tell of (older verdicts lack it) is no move to it.
        before = now = {}
    shares = {
        value: (_share(before, value), _share(now, value)) for value in before.keys() | now.keys()
    }
    gains = {value: after - then for value, (then, after) in shares.items()}
    moved = sum(abs(gain) for gain in gains.values()) / 2
    return MixShift(
        dimension=dimension,
        moved_share=min(1.0, moved),
        explained=_explained(reference, current, scope, dimension),
        grown=max(gains, key=lambda value: gains[value]) if moved > 0 else None,
        shrunk=min(gains, key=lambda value: gains[value]) if moved > 0 else None,
    )


def _explained(reference: Cube, current: Cube, scope: Scope, dimension: Dimension) -> float | None:
    whole_before, whole_now = reference.whole(scope), current.whole(scope)
    if whole_before.photos == 0 or whole_now.photos == 0:
        return None
    distance = ks_distance(whole_before.bins, whole_now.bins)
    segments = current.segments(scope, dimension)
    if distance <= 0.0 or not segments:
        return None
    expected = np.zeros(current.bins)
    before = reference.segments(scope, dimension)
    for value, counts in segments.items():
        known = before.get(value)
        share = counts.photos / whole_now.photos
        grown = known is not None and _has_grown(known.photos / whole_before.photos, share)
        unknown = known is None or known.photos < _MIN_REFERENCE
        if known is None or unknown or (grown and dimension in INPUT_DIMENSIONS):
            expected += counts.bins
        else:
            expected += known.bins * (counts.photos / known.photos)
    left = ks_distance(expected, whole_now.bins)
    return float(np.clip(1 - left / distance, 0.0, 1.0))


def _has_grown(before: float, now: float) -> bool:
    return now - before >= _GROWN_BY and now >= _GROWN_TIMES * before


def _known(cube: Cube, scope: Scope, dimension: Dimension) -> dict[str, Counts]:
    found = cube.segments(scope, dimension)
    return {value: counts for value, counts in found.items() if value != UNKNOWN}


def _share(segments: dict[str, Counts], value: str) -> float:
    total = sum(counts.photos for counts in segments.values())
    return segments[value].photos / total if value in segments and total else 0.0
