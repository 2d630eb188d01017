"""Each value of each dimension before and now: where a shift sits."""

from dataclasses import dataclass

from services.drift.analysis.counts import Counts, Cube, Scope
from services.drift.statistics.correction import benjamini_hochberg
from services.drift.statistics.ks import ks
from services.drift.statistics.outcome import Outcome
from shared.contracts.drift import Dimension, SegmentShift

# Fewer independent photos on a side tell nothing of a segment's scores.
_MIN_INDEPENDENT = 50
# A segment has moved from this distance of its own scores on.
_MOVED_DISTANCE = 0.1
# A smaller change of the mean probability is not divided among segments.
_MIN_CHANGE = 0.005


@dataclass(frozen=True, slots=True)
class _Segment:
    dimension: Dimension
    value: str
    before: Counts | None
    now: Counts | None
    outcome: Outcome | None


def segment_shifts(
    reference: Cube, current: Cube, scope: Scope, alpha: float, limit: int = 60
) -> list[SegmentShift]:
    """Return the segments of all dimensions, those that moved first, then by contribution."""
    found = [
        segment
        for dimension in Dimension
        for segment in _segments(reference, current, scope, dimension)
    ]
    tested = [segment.outcome.p_value for segment in found if segment.outcome]
    adjusted = iter(benjamini_hochberg(tested))
    whole_before, whole_now = reference.whole(scope), current.whole(scope)
    shifts = [
        _shift(segment, whole_before, whole_now, next(adjusted) if segment.outcome else None, alpha)
        for segment in found
    ]
    shifts.sort(key=lambda shift: (not shift.moved, -shift.contribution, -shift.current_share))
    return shifts[:limit]


def _segments(reference: Cube, current: Cube, scope: Scope, dimension: Dimension) -> list[_Segment]:
    before, now = reference.segments(scope, dimension), current.segments(scope, dimension)
    return [
        _Segment(
            dimension,
            value,
            before.get(value),
            now.get(value),
            _scores_moved(before.get(value), now.get(value)),
        )
        for value in sorted(before.keys() | now.keys())
    ]


def _scores_moved(before: Counts | None, now: Counts | None) -> Outcome | None:
    if before is None or now is None:
        return None
    if min(before.photos * before.weight, now.photos * now.weight) < _MIN_INDEPENDENT:
        return None
    return ks(before.tested_bins, now.tested_bins)


def _shift(
    segment: _Segment, whole_before: Counts, whole_now: Counts, p: float | None, alpha: float
) -> SegmentShift:
    before, now, outcome = segment.before, segment.now, segment.outcome
    change = whole_now.mean_probability - whole_before.mean_probability
    own = _mass(now, whole_now) - _mass(before, whole_before)
    part = own / change if abs(change) >= _MIN_CHANGE else 0.0
    return SegmentShift(
        dimension=segment.dimension,
        value=segment.value,
        photos=round(now.photos) if now else 0,
        reference_share=before.photos / whole_before.photos if before else 0.0,
        current_share=now.photos / whole_now.photos if now else 0.0,
        reference_mean_probability=before.mean_probability if before and before.photos else None,
        current_mean_probability=now.mean_probability if now and now.photos else None,
        score_distance=outcome.value if outcome else None,
        p_adjusted=p,
        contribution=min(1.0, max(0.0, part)),
        moved=bool(outcome and p is not None and outcome.value >= _MOVED_DISTANCE and p < alpha),
    )


def _mass(segment: Counts | None, whole: Counts) -> float:
    return float(segment.sums[0] / whole.photos) if segment else 0.0
