"""Every number of the second edition's evaluation, from scores: a plain dict, ready for JSON."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.training.evaluate.decisions import Rule
from services.training.evaluate.metrics import (
    Labels,
    auc,
    decision_metrics,
    even_class_weights,
    expected_calibration_error,
    recall_at_fpr,
)
from services.training.evaluate.stability import stability
from services.training.evaluation.buyer import buyers_table, by_kind
from services.training.evaluation.content import content_matched
from services.training.evaluation.control import FileFacts, control_numbers
from services.training.evaluation.intervals import by_source_interval
from services.training.evaluation.judging import TierScores
from services.training.evaluation.photos import CAP, GENERATOR, SOURCE, PhotoSet, fingerprint
from services.training.evaluation.tiers import HEADLINE

Report = dict[str, Any]
Say = Callable[[str], None]
Indices = NDArray[np.int64]

_RANKING = ("auc", "recall_at_1pct_fpr", "recall_at_5pct_fpr")


@dataclass(frozen=True, slots=True)
class Sampling:
    """Draws of every bootstrap interval, and the seed of all chance in the report."""

    bootstrap: int = 1000
    seed: int = 17


@dataclass(frozen=True, slots=True)
class _Part:
    """One split in one tier."""

    labels: Labels
    sources: list[str]
    kinds: list[str]
    judged: TierScores


def report_of(
    test_set: PhotoSet,
    judged: Mapping[str, TierScores],
    rules: Sequence[Rule],
    sampling: Sampling,
    say: Say = lambda _line: None,
) -> Report:
    """Report the headline: `judged` has every tier's scores of `test_set.items`, in their order.

    The first of `rules` is the shipped one. Splits without photos of both classes are left out.
    Keys: "cap", "coverage", "test_fingerprint"; by split and tier "splits" (numbers),
    "operating_points" (a buyer's table per rule), "by_kind", "control", "content_matched",
    "stability"; and "target", the floors that the package was built for and what they met.
    """
    report: Report = {
        "cap": CAP,
        "coverage": test_set.coverage,
        "test_fingerprint": fingerprint(test_set),
        **{name: {} for name in ("splits", "operating_points", "by_kind", "stability")},
        **{name: {} for name in ("control", "content_matched")},
    }
    for split, index in test_set.splits.items():
        labels = test_set.labels[index]
        if len(set(labels.tolist())) < 2:
            continue
        say(f"counting {split}: {len(index)} photos")
        parts = {tier: _part(test_set, index, scores) for tier, scores in judged.items()}
        headline = {tier: part for tier, part in parts.items() if tier in HEADLINE}
        for name, measure in _MEASURES.items():
            report[name][split] = {
                tier: measure(part, rules, sampling) for tier, part in headline.items()
            }
        verdicts = {
            tier: rules[0].verdicts(part.judged.scores.logit, part.judged.second)
            for tier, part in parts.items()
        }
        report["stability"][split] = stability(labels, _steady(verdicts), HEADLINE[0])
    report["target"] = targets(report)
    return report


def splits_of(
    test_set: PhotoSet, judged: Mapping[str, TierScores], rule: Rule, sampling: Sampling
) -> dict[str, dict[str, Any]]:
    """Return only the numbers, {split: {tier: numbers}}: of views, or of another package."""
    found: dict[str, dict[str, Any]] = {}
    for split, index in test_set.splits.items():
        if len(set(test_set.labels[index].tolist())) < 2:
            continue
        found[split] = {
            tier: tier_numbers(_part(test_set, index, scores), [rule], sampling)
            for tier, scores in judged.items()
        }
    return found


def _part(test_set: PhotoSet, index: Indices, scores: TierScores) -> _Part:
    sources, kinds = test_set.sources, test_set.kinds
    return _Part(
        test_set.labels[index],
        [sources[number] for number in index],
        [kinds[number] for number in index],
        scores.at(index),
    )


def _steady(verdicts: dict[str, Any]) -> dict[str, Any]:
    """Return the tiers whose verdicts are compared: the first, and what is made of it."""
    others = [tier for tier in verdicts if tier not in HEADLINE]
    return {tier: verdicts[tier] for tier in (HEADLINE[0], *others)}


def tier_numbers(part: _Part, rules: Sequence[Rule], sampling: Sampling) -> dict[str, Any]:
    """Return all numbers of one split in one tier; `*_interval` are 95% intervals by source.

    `buyer` is the buyer's table at the shipped thresholds.
    """
    rule, labels, scores = rules[0], part.labels, part.judged.scores
    logits = scores.logit
    numbers: dict[str, Any] = {}
    for label, word in ((0, "real"), (1, "ai_generated")):
        kept = labels == label
        numbers[f"n_{word}"] = int(kept.sum())
        of = {source for source, keep in zip(part.sources, kept, strict=True) if keep}
        numbers[f"sources_{word}"] = len(of)
    every = np.arange(len(labels))
    intervals = by_source_interval(
        lambda index: _ranking(labels[index], logits[index]),
        labels,
        part.sources,
        sampling.bootstrap,
        sampling.seed,
    )
    values = _ranking(labels[every], logits)
    for name, value, interval in zip(_RANKING, values, intervals, strict=True):
        numbers |= {name: float(value), f"{name}_interval": interval.tolist()}
    probability = rule.probability(logits)
    numbers["ece"] = expected_calibration_error(labels, probability)
    numbers["ece_even_classes"] = expected_calibration_error(
        labels, probability, weights=even_class_weights(labels)
    )
    verdicts = rule.verdicts(logits, part.judged.second)
    numbers |= decision_metrics(labels, verdicts)
    numbers["judged_twice_rate"] = float(rule.asks(logits).mean())
    if np.isfinite(scores.view).all():
        numbers["view_auc"] = auc(labels, scores.view)
        numbers["tiles_seen_rate"] = float(scores.tiles_seen.mean())
    numbers["buyer"] = buyers_table(labels, verdicts, part.sources)
    return numbers


def _ranking(labels: Labels, logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array(
        [
            auc(labels, logits),
            recall_at_fpr(labels, logits, 0.01),
            recall_at_fpr(labels, logits, 0.05),
        ]
    )


def _operating_points(
    part: _Part, rules: Sequence[Rule], _sampling: Sampling
) -> list[dict[str, Any]]:
    """Return a buyer's table for each rule, the strictest first."""
    shipped = rules[0].thresholds.false_accusation_budget
    ordered = sorted(rules, key=lambda rule: rule.thresholds.false_accusation_budget)
    return [
        {
            "budget": rule.thresholds.false_accusation_budget,
            "shipped": rule.thresholds.false_accusation_budget == shipped,
            **buyers_table(
                part.labels,
                rule.verdicts(part.judged.scores.logit, part.judged.second),
                part.sources,
            ),
        }
        for rule in ordered
    ]


def _by_kind(part: _Part, rules: Sequence[Rule], _sampling: Sampling) -> list[dict[str, Any]]:
    logits = part.judged.scores.logit
    verdicts = rules[0].verdicts(logits, part.judged.second)
    return by_kind(part.labels, part.kinds, part.sources, logits, verdicts)


def _control(part: _Part, _rules: Sequence[Rule], sampling: Sampling) -> dict[str, Any]:
    labels, logits = part.labels, part.judged.scores.logit

    def interval(index: Indices) -> list[float]:
        kept = [part.sources[number] for number in index]
        found: list[float] = by_source_interval(
            lambda drawn: np.array([auc(labels[index][drawn], logits[index][drawn])]),
            labels[index],
            kept,
            sampling.bootstrap,
            sampling.seed,
        )[0].tolist()
        return found

    facts = FileFacts.of(part.judged)
    return control_numbers(facts, labels, part.sources, logits, sampling.seed, interval)


def _content(part: _Part, _rules: Sequence[Rule], sampling: Sampling) -> dict[str, Any] | None:
    scores = part.judged.scores
    if scores.embedding is None:
        return None
    found = content_matched(part.labels, part.sources, scores.logit, scores.embedding)
    if found is None:
        return None
    kept = [part.sources[number] for number in found.index]
    # Only generated photos are resampled: the real ones are each one's own neighbours.
    rng = np.random.default_rng(sampling.seed)
    names, of = np.unique(np.array(kept), return_inverse=True)
    sums, counts = np.bincount(of, found.of_each), np.bincount(of)
    drawn = rng.integers(0, len(names), (sampling.bootstrap, len(names)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return {
        "n_ai_generated": len(found.index),
        "auc": found.auc,
        "auc_interval": [float(low), float(high)],
        "auc_random_pairs": found.auc_random_pairs,
    }


_MEASURES: dict[str, Callable[[_Part, Sequence[Rule], Sampling], Any]] = {
    "splits": tier_numbers,
    "operating_points": _operating_points,
    "by_kind": _by_kind,
    "control": _control,
    "content_matched": _content,
}


def _floors() -> Iterator[tuple[str, str, float]]:
    """Yield (path in the report, "at_least" or "at_most", value): what a release aims at."""
    for split, native in ((SOURCE, 0.97), (GENERATOR, 0.975)):
        ranks = {"native": (native, 0.75), "web": (0.96, 0.65), "hard": (0.94, 0.50)}
        for tier, (area, recall) in ranks.items():
            yield f"splits.{split}.{tier}.auc", "at_least", area
            yield f"splits.{split}.{tier}.recall_at_1pct_fpr", "at_least", recall
        yield f"splits.{split}.thumb.auc", "at_least", 0.92
        yield f"control.{split}.native.matched.control_auc", "at_most", 0.60
        yield f"control.{split}.native.matched.gap", "at_most", 0.015
        yield f"content_matched.{split}.native.auc", "at_least", 0.94
        for tier in HEADLINE:
            buyer = f"splits.{split}.{tier}.buyer"
            yield f"{buyer}.real.accused_interval.0", "at_most", 0.01
            yield f"{buyer}.real.accused", "at_most", 0.025
            yield f"splits.{split}.{tier}.ece_even_classes", "at_most", 0.04
        for tier, found, missed in (("native", 0.70, 0.08), ("web", 0.60, 0.12)):
            yield f"splits.{split}.{tier}.buyer.generated.found", "at_least", found
            yield f"splits.{split}.{tier}.buyer.generated.missed", "at_most", missed
        yield f"splits.{split}.native.buyer.generated.undecided", "at_most", 0.20
        yield f"stability.{split}.reencoded.same_label", "at_least", 0.95
        yield f"stability.{split}.half.same_label", "at_least", 0.88


def targets(report: Report) -> list[dict[str, Any]]:
    """Return each floor with the report's value and whether it is met; None is not met."""
    found = []
    for path, kind, limit in _floors():
        value = _at(report, path)
        met = value is not None and (value >= limit if kind == "at_least" else value <= limit)
        found.append({"number": path, kind: limit, "value": value, "met": bool(met)})
    return found


def _at(report: Report, path: str) -> float | None:
    value: Any = report
    for key in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, Sequence) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return float(value) if isinstance(value, int | float) else None
