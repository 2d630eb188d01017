"""A window against its reference: tests of every scope, one correction, cause, severity, report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from services.drift.analysis.accuracy import estimate
from services.drift.analysis.comparison import Comparison, EmbeddingFinding, Measurement, compare
from services.drift.analysis.counts import Cube, Scope
from services.drift.analysis.embeddings import Embeddings
from services.drift.analysis.mixes import mix_shift
from services.drift.analysis.segments import segment_shifts
from services.drift.reference.frozen import Reference
from services.drift.report.cause import Findings, name_cause
from services.drift.report.charts import draw_charts
from services.drift.report.severity import Patience, State, advance, is_calm, window_severity
from services.drift.statistics.correction import benjamini_hochberg
from services.drift.statistics.outcome import FloatArray
from services.drift.statistics.registry import Subject
from shared.contracts.drift import (
    Cause,
    CauseFinding,
    ClusterFinding,
    Dimension,
    DriftReport,
    ReferenceFacts,
    Statistic,
    WindowFacts,
)
from shared.db.drift.counts import Span

# Kinds of tests that are corrected apart; all others are of the verdicts.
_KINDS = {Subject.EMBEDDING: "embeddings", Subject.MIX: "files"}
# Photos shown of a new cluster.
_EXAMPLES = 12
_SCORES_ONLY = (
    "The reference is the model's evaluation. What its photos show, their files and their sources"
    " say nothing of the traffic's: only scores and labels were compared, no embeddings, mixes or"
    " segments."
)


@dataclass(frozen=True, slots=True)
class Rules:
    """When a window counts.

    `alpha` bounds the chance that any test of a run is falsely significant; `min_independent` is
    what a scope needs on both sides.
    """

    alpha: float = 0.02
    min_independent: int = 200
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, slots=True)
class Window:
    """The current side: counts, and the embeddings of each scope that has a sample of its own."""

    span: Span
    cube: Cube
    embeddings: Mapping[Scope, Embeddings]


@dataclass(frozen=True, slots=True)
class Tested:
    """One scope's measurements, and as statistics after the correction."""

    comparison: Comparison
    statistics: Sequence[Statistic]


@dataclass(frozen=True, slots=True)
class ScopeResult:
    """What a window says of one scope, and the state that it leads to."""

    scope: Scope
    report: DriftReport
    state: State


def checked_scopes(reference: Cube, current: Cube, minimum: int) -> list[Scope]:
    """Return the scopes with enough independent photos on both sides, the whole first."""
    scopes: list[Scope] = [None, *sorted(current.tenants(), key=str)]
    return [
        scope
        for scope in scopes
        if min(cube.whole(scope).tested_bins.sum() for cube in (reference, current)) >= minimum
    ]


def analyse(
    reference: Reference,
    window: Window,
    states: Mapping[Scope, State],
    rules: Rules,
    rng: np.random.Generator,
) -> list[ScopeResult]:
    """Compare every scope that has enough photos, and report on each."""
    tested = run_tests(reference, window, rules, rng)
    return [
        conclude(reference, window, scope, found, states.get(scope, State()), rules)
        for scope, found in tested.items()
    ]


def run_tests(
    reference: Reference, window: Window, rules: Rules, rng: np.random.Generator
) -> dict[Scope, Tested]:
    """Run and correct the tests of every scope that has enough photos."""
    scopes = checked_scopes(reference.cube, window.cube, rules.min_independent)
    compared = {
        scope: compare(
            reference.cube,
            window.cube,
            scope,
            (reference.embeddings.get(scope), window.embeddings.get(scope)),
            rng,
        )
        for scope in scopes
    }
    statistics = _corrected(compared, rules.alpha)
    return {scope: Tested(compared[scope], statistics[scope]) for scope in scopes}


def _corrected(compared: Mapping[Scope, Comparison], alpha: float) -> dict[Scope, list[Statistic]]:
    """Correct the tests of each scope, and tenants' once more for their number.

    So the operator's own alarm does not lose its power with the number of tenants.
    """
    tenants = sum(scope is not None for scope in compared)
    statistics = {}
    for scope, comparison in compared.items():
        adjusted = _adjusted(comparison.measurements) * (1 if scope is None else tenants)
        statistics[scope] = [
            _statistic(each, float(min(1.0, p)), alpha)
            for each, p in zip(comparison.measurements, adjusted, strict=True)
        ]
    return statistics


def _adjusted(measurements: Sequence[Measurement]) -> FloatArray:
    """Return corrected p-values `[N]`: of verdicts, files and embeddings each on their own.

    Each kind has a share of alpha by the number of its tests. Tests of verdicts agree with each
    other and are the stronger for it, but a change of files makes no cluster more credible.
    """
    kinds = np.array([_KINDS.get(each.entry.subject, "verdicts") for each in measurements])
    p_values = np.array([each.outcome.p_value for each in measurements])
    adjusted = np.ones(len(measurements))
    for kind in np.unique(kinds):
        own = kinds == kind
        adjusted[own] = benjamini_hochberg(p_values[own]) * len(measurements) / own.sum()
    return adjusted


def _statistic(measured: Measurement, adjusted: float, alpha: float) -> Statistic:
    entry, outcome = measured.entry, measured.outcome
    return Statistic(
        name=entry.name,
        subject=measured.subject,
        value=outcome.value,
        threshold=entry.threshold,
        p_value=outcome.p_value,
        p_adjusted=adjusted,
        drifted=outcome.value >= entry.threshold and adjusted < alpha,
        n_reference=measured.n_reference,
        n_current=measured.n_current,
        version=entry.version,
    )


def conclude(
    reference: Reference,
    window: Window,
    scope: Scope,
    tested: Tested,
    before: State,
    rules: Rules,
) -> ScopeResult:
    """Name the cause of what was found in one scope, judge it, and write it down."""
    comparison, statistics = tested.comparison, tested.statistics
    dimensions = _dimensions(reference, scope)
    mixes = {name: mix_shift(reference.cube, window.cube, scope, name) for name in dimensions}
    segments = segment_shifts(reference.cube, window.cube, scope, rules.alpha) if dimensions else []
    cause = name_cause(Findings(statistics, mixes, segments, comparison.finding))
    severity = window_severity(statistics, cause.kind)
    after = advance(before, severity, is_calm(statistics, rules.alpha), rules.patience)
    whole_before, whole_now = reference.cube.whole(scope), window.cube.whole(scope)
    cluster = _cluster(comparison.finding, cause)
    report = DriftReport(
        model_version=window.span.model_version,
        tenant_id=scope,
        window=WindowFacts(
            start=window.span.start,
            end=window.span.end,
            photos=round(whole_now.photos),
            independent=round(whole_now.tested_bins.sum()),
            reused=round(whole_now.reused),
        ),
        reference=_own_facts(reference, scope),
        severity=after.severity,
        previous_severity=before.severity,
        window_severity=severity,
        cause=cause,
        statistics=list(statistics),
        segments=segments,
        mixes=list(mixes.values()),
        cluster=cluster,
        examples=cluster.examples if cluster else [],
        estimated=estimate(whole_before, whole_now),
        charts=draw_charts(
            reference,
            window.cube,
            window.embeddings.get(scope),
            scope,
            dimensions,
            comparison.finding if cluster else None,
        ),
        notes=list(comparison.notes) if dimensions else [_SCORES_ONLY],
    )
    return ScopeResult(scope, report, after)


def _dimensions(reference: Reference, scope: Scope) -> list[Dimension]:
    """Return what photos are told apart by; nothing of an evaluation's, which is no traffic."""
    if reference.cube.common:
        return []
    return [name for name in Dimension if scope is None or name is not Dimension.TENANT]


def _own_facts(reference: Reference, scope: Scope) -> ReferenceFacts:
    whole = reference.cube.whole(scope)
    update = {
        "photos": round(whole.photos),
        "independent": round(whole.tested_bins.sum()),
    }
    return reference.facts.model_copy(update=update)


def _cluster(finding: EmbeddingFinding | None, cause: CauseFinding) -> ClusterFinding | None:
    """Return the cluster as the report shows it; None unless it is the named cause."""
    if finding is None or cause.kind is not Cause.NEW_CLUSTER:
        return None
    members, sample = finding.cluster.members, finding.sample
    inside = sample.take(members)
    return ClusterFinding(
        current_share=finding.cluster.current_share,
        reference_share=finding.cluster.reference_share,
        photos=len(members),
        p_value=finding.cluster.p_value,
        mean_probability=float(inside.probabilities.mean()),
        label_shares={
            label: list(inside.labels).count(label) / len(inside)
            for label in sorted(set(inside.labels))
        },
        examples=list(inside.ids[:_EXAMPLES]),
    )
