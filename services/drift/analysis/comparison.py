"""All tests of one scope, before the correction: counts and embeddings in, measurements out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.drift.analysis.clusters import Cluster, find_cluster
from services.drift.analysis.counts import Counts, Cube, Scope
from services.drift.analysis.embeddings import Embeddings, matched
from services.drift.analysis.mixes import mix_test
from services.drift.statistics import registry
from services.drift.statistics.chi2_labels import chi2_labels
from services.drift.statistics.confidence import confidence
from services.drift.statistics.jensen_shannon import jensen_shannon
from services.drift.statistics.ks import ks
from services.drift.statistics.mean_probability import mean_probability
from services.drift.statistics.mmd import mmd
from services.drift.statistics.outcome import FloatArray, Outcome
from services.drift.statistics.psi import psi
from services.drift.statistics.registry import Entry, Subject
from services.drift.statistics.uncertain_rate import uncertain_rate
from services.drift.statistics.wasserstein import Weighted, wasserstein
from shared.contracts.drift import INPUT_DIMENSIONS, Dimension
from shared.contracts.states import Label

# Of the reference's fine bins this many coarse ones are made for tests that want full bins.
_COARSE_BINS = 10
# Vectors of each side that MMD looks at; its cost is quadratic.
_MMD_VECTORS = 1000
# Fewer vectors on a side say nothing.
MIN_VECTORS = 100
_UNCERTAIN = 1


@dataclass(frozen=True, slots=True)
class Measurement:
    """One test's outcome. `subject` is finer than the entry's: the dimension of a mix."""

    entry: Entry
    subject: str
    outcome: Outcome
    n_reference: int
    n_current: int


@dataclass(frozen=True, slots=True)
class EmbeddingFinding:
    """What the scan found, in which sample. `matched`: the mix of files was taken out first."""

    cluster: Cluster
    sample: Embeddings
    matched: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything measured of one scope."""

    measurements: Sequence[Measurement]
    finding: EmbeddingFinding | None
    notes: Sequence[str]


def compare(
    reference: Cube,
    current: Cube,
    scope: Scope,
    vectors: tuple[Embeddings | None, Embeddings | None],
    rng: np.random.Generator,
) -> Comparison:
    """Run every test of `scope` between two windows; `vectors` are (reference's, current's)."""
    before, now = reference.whole(scope), current.whole(scope)
    measured = [*_scores(before, now, rng), *_mixes(reference, current, scope)]
    files_moved = any(
        each.subject in INPUT_DIMENSIONS and each.outcome.value >= each.entry.threshold
        for each in measured
    )
    found, finding, notes = _embeddings(vectors, files_moved, rng)
    return Comparison([*measured, *found], finding, notes)


def _scores(before: Counts, now: Counts, rng: np.random.Generator) -> list[Measurement]:
    fine = (before.tested_bins, now.tested_bins)
    coarse = (_merged(fine[0]), _merged(fine[1]))
    labels = (before.tested_labels, now.tested_labels)
    outcomes = [
        (registry.PSI, psi(*coarse)),
        (registry.KS, ks(*fine)),
        (registry.JENSEN_SHANNON, jensen_shannon(*coarse)),
        (registry.WASSERSTEIN, wasserstein(_weighted(before), _weighted(now), rng)),
        (registry.MEAN_PROBABILITY, mean_probability(before.moments(), now.moments())),
        (
            registry.CONFIDENCE,
            confidence(before.moments(of_confidence=True), now.moments(of_confidence=True)),
        ),
    ]
    if min(labels[0].sum(), labels[1].sum()) > 0:
        outcomes += [
            (registry.CHI2_LABELS, chi2_labels(*labels)),
            (
                registry.UNCERTAIN_RATE,
                uncertain_rate(
                    labels[0][_UNCERTAIN], labels[0].sum(), labels[1][_UNCERTAIN], labels[1].sum()
                ),
            ),
        ]
    sizes = (round(fine[0].sum()), round(fine[1].sum()))
    return [Measurement(entry, entry.subject, outcome, *sizes) for entry, outcome in outcomes]


def _mixes(reference: Cube, current: Cube, scope: Scope) -> list[Measurement]:
    sizes = tuple(round(cube.whole(scope).tested_bins.sum()) for cube in (reference, current))
    measured = []
    for dimension in Dimension:
        # Only a move of the files' own properties alarms: more photos of a tenant or a category
        # are trade, and are looked at as a cause when the scores have moved.
        outcome = mix_test(reference, current, scope, dimension)
        if outcome is not None and dimension in INPUT_DIMENSIONS:
            measured.append(Measurement(registry.TOTAL_VARIATION, dimension, outcome, *sizes))
    return measured


def _embeddings(
    vectors: tuple[Embeddings | None, Embeddings | None],
    files_moved: bool,
    rng: np.random.Generator,
) -> tuple[list[Measurement], EmbeddingFinding | None, list[str]]:
    before, now = vectors
    if before is None or now is None:
        side = "reference" if before is None else "window"
        return [], None, [f"Embeddings were not compared: the {side}'s verdicts have none."]
    if before.vectors.shape[1] != now.vectors.shape[1]:
        return [], None, ["Embeddings were not compared: their number of dimensions changed."]
    weights: FloatArray = np.ones(len(before))
    if files_moved:
        # Photos of another encoding lie elsewhere whatever they show: compare like with like.
        weights, kept = matched(before, now)
        now = now.take(kept)
        before, weights = before.take(np.flatnonzero(weights > 0)), weights[weights > 0]
    if min(len(before), len(now)) < MIN_VECTORS:
        few = f"{len(before)} and {len(now)} photos of the same kinds of file"
        note = f"Embeddings were not compared: {few}, {MIN_VECTORS} of each are needed."
        return [], None, [note]
    cluster = find_cluster(before.vectors, weights, now.vectors, rng)
    sizes = (len(before), len(now))
    measured = [
        Measurement(registry.MMD, Subject.EMBEDDING, _mmd(before, weights, now, rng), *sizes),
        Measurement(
            registry.NEW_CLUSTER,
            Subject.EMBEDDING,
            Outcome(max(0.0, cluster.gain), cluster.p_value),
            *sizes,
        ),
    ]
    return measured, EmbeddingFinding(cluster, now, files_moved), []


def _mmd(
    before: Embeddings, weights: FloatArray, now: Embeddings, rng: np.random.Generator
) -> Outcome:
    """Compare samples; the weighted reference is drawn from without replacement, by weight."""
    drawn = min(_MMD_VECTORS, len(before), max(2, int(np.sum(weights) / weights.max())))
    rows = rng.choice(len(before), drawn, replace=False, p=weights / weights.sum())
    own = rng.permutation(len(now))[:_MMD_VECTORS]
    return mmd(before.vectors[rows], now.vectors[own], rng)


def _merged(bins: FloatArray) -> FloatArray:
    starts = np.unique(np.linspace(0, bins.size, _COARSE_BINS + 1).astype(int)[:-1])
    return np.add.reduceat(bins, starts)


def _weighted(counts: Counts) -> Weighted:
    filled = counts.bins > 0
    return Weighted(counts.logits[filled] / counts.bins[filled], counts.tested_bins[filled])


def uncertain_share(counts: Counts) -> float:
    """Return the share of uncertain verdicts among the network's own."""
    own = counts.labels[: len(Label)]
    return float(own[_UNCERTAIN] / own.sum()) if own.sum() else 0.0
