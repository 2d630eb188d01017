"""What a report's plots draw, in as few numbers as they need."""

from collections.abc import Sequence

import numpy as np

from services.drift.analysis.comparison import EmbeddingFinding
from services.drift.analysis.counts import LABELS, Counts, Cube, Scope
from services.drift.analysis.embeddings import Embeddings
from services.drift.reference.frozen import Reference
from shared.contracts.drift import Charts, Dimension, EmbeddingChart, Histogram, MixChart
from shared.contracts.states import Label

# Points of each cloud.
_POINTS = 300
# Values of a dimension; the rest is left out.
_VALUES = 12


def draw_charts(
    reference: Reference,
    current: Cube,
    sample: Embeddings | None,
    scope: Scope,
    dimensions: Sequence[Dimension],
    finding: EmbeddingFinding | None,
) -> Charts:
    """Return histograms, shares and clouds of one scope, before and now."""
    before, now = reference.cube.whole(scope), current.whole(scope)
    shares_before, shares_now = _label_shares(before), _label_shares(now)
    return Charts(
        logits=Histogram(
            edges=list(reference.binning.edges),
            reference=[round(count) for count in before.bins],
            current=[round(count) for count in now.bins],
        ),
        labels={label.value: (shares_before[label], shares_now[label]) for label in LABELS},
        mixes=[_mix(reference.cube, current, scope, dimension) for dimension in dimensions],
        embedding=_clouds(reference.embeddings.get(scope), sample, finding),
    )


def _label_shares(counts: Counts) -> dict[Label, float]:
    own = counts.labels[: len(LABELS)]
    total = max(1.0, float(own.sum()))
    return {label: float(own[row]) / total for row, label in enumerate(LABELS)}


def _mix(reference: Cube, current: Cube, scope: Scope, dimension: Dimension) -> MixChart:
    sides = [cube.segments(scope, dimension) for cube in (reference, current)]
    totals = [max(1.0, sum(counts.photos for counts in side.values())) for side in sides]
    shares = {
        value: tuple(
            side[value].photos / total if value in side else 0.0
            for side, total in zip(sides, totals, strict=True)
        )
        for value in sorted(set().union(*sides))
    }
    shown = sorted(shares, key=lambda value: -max(shares[value]))[:_VALUES]
    return MixChart(
        dimension=dimension,
        values=shown,
        reference=[shares[value][0] for value in shown],
        current=[shares[value][1] for value in shown],
    )


def _clouds(
    reference: Embeddings | None, current: Embeddings | None, finding: EmbeddingFinding | None
) -> EmbeddingChart | None:
    """Return the first two coordinates; they hold the most variance of the model's own space."""
    if reference is None or current is None:
        return None
    if not reference.vectors.shape[1] == current.vectors.shape[1] >= 2:
        return None
    new = finding.sample.take(finding.cluster.members) if finding else None
    axes = _axes(new, finding)
    return EmbeddingChart(
        reference=_points(reference, axes),
        current=_points(current, axes),
        new=_points(new, axes) if new else [],
    )


def _axes(new: Embeddings | None, finding: EmbeddingFinding | None) -> list[int]:
    """Return the two coordinates in which a new cluster stands out most, else the first two."""
    if new is None or finding is None or len(new) == 0:
        return [0, 1]
    apart = np.abs(new.vectors.mean(0) - finding.sample.vectors.mean(0))
    return sorted(int(axis) for axis in np.argsort(apart)[-2:])


def _points(embeddings: Embeddings, axes: Sequence[int]) -> list[tuple[float, float]]:
    chosen = embeddings.vectors[:_POINTS][:, list(axes)]
    return [(round(float(x), 3), round(float(y), 3)) for x, y in chosen]
