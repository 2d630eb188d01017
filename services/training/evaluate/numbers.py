"""Every number of the model card, from a predictor and the photos."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.training.config import EvaluationConfig
from services.training.data.photos import Row, fingerprint
from services.training.evaluate.decisions import Rule, Verdicts
from services.training.evaluate.metrics import (
    Labels,
    Scores,
    auc,
    bootstrap_interval,
    decision_metrics,
    even_class_weights,
    expected_calibration_error,
    recall_at_fpr,
)
from services.training.evaluate.scoring import Predictor, labels_of, look
from services.training.evaluate.sources import by_source, compact
from services.training.evaluate.stability import stability
from shared.ml.spec import PreprocessSpec

Report = dict[str, Any]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Judged:
    """The photos of one split in one tier, as a worker judges them. Arrays of `[N]`."""

    logits: Scores
    probability: Scores
    verdicts: Verdicts
    # Logits of the second look, NaN where no rule asked for one.
    second: Scores
    twice: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The report, and the photo by photo results that it sums up."""

    report: Report
    rows: dict[str, tuple[Row, ...]]
    # By split, then tier.
    judged: dict[str, dict[str, Judged]]


def evaluate(
    splits: dict[str, tuple[Row, ...]],
    predictor: Predictor,
    spec: PreprocessSpec,
    rule: Rule,
    config: EvaluationConfig,
    seed: int,
    say: Say = lambda _line: None,
    further: Sequence[Rule] = (),
) -> Evaluation:
    """Judge every photo in every tier and report it; `further` are rules of other budgets.

    The report has "splits" {split: {tier: numbers}}, "by_source" {split: entries} of the first
    tier, "by_source_tiers" {split: {tier: entries}}, "stability" {split: {tier: numbers}},
    "operating_points" {split: {tier: [numbers]}} and "test_fingerprint", a hash over the photos.
    `say` is told each tier when it begins.
    """
    judged = judge_splits(splits, predictor, spec, (rule, *further), config, say)
    report: Report = {"splits": {}, "by_source": {}, "by_source_tiers": {}, "stability": {}}
    report["operating_points"] = {}
    for name, rows in splits.items():
        tiers, labels = judged[name], labels_of(rows)
        report["splits"][name] = {
            tier: tier_numbers(labels, result, config, seed) for tier, result in tiers.items()
        }
        tables = {
            tier: by_source(rows, result.logits, result.probability, result.verdicts)
            for tier, result in tiers.items()
        }
        report["by_source"][name] = tables[config.tiers[0]]
        report["by_source_tiers"][name] = {tier: compact(table) for tier, table in tables.items()}
        report["operating_points"][name] = {
            tier: [_at_budget(labels, result, each) for each in further]
            for tier, result in tiers.items()
        }
        verdicts = {tier: result.verdicts for tier, result in tiers.items()}
        report["stability"][name] = stability(labels, verdicts, config.tiers[0])
    unique = {row.path: row for rows in splits.values() for row in rows}
    report["test_fingerprint"] = fingerprint(unique.values())
    return Evaluation(report, splits, judged)


def judge_splits(
    splits: dict[str, tuple[Row, ...]],
    predictor: Predictor,
    spec: PreprocessSpec,
    rules: Sequence[Rule],
    config: EvaluationConfig,
    say: Say,
) -> dict[str, dict[str, Judged]]:
    """Return the results by split and tier; a photo in several splits is scored once a tier.

    The verdicts are of the first of `rules`; photos get a second look where any of them asks.
    """

    def asks(logits: Scores) -> NDArray[np.bool_]:
        asked: NDArray[np.bool_] = np.any([each.asks(logits) for each in rules], axis=0)
        return asked

    rule = rules[0]
    unique = {row.path: row for rows in splits.values() for row in rows}
    every = list(unique.values())
    position = {path: index for index, path in enumerate(unique)}
    quality = rule.recheck.jpeg_quality if rule.recheck else 75
    judged: dict[str, dict[str, Judged]] = {name: {} for name in splits}
    for tier in config.tiers:
        say(f"judging {len(every)} photos, tier {tier}")
        looks = look(every, tier, predictor, spec, config.batch_size, asks, quality)
        for name, rows in splits.items():
            index = np.array([position[row.path] for row in rows])
            first, second = looks.first[index], looks.second[index]
            judged[name][tier] = Judged(
                logits=first,
                probability=rule.probability(first),
                verdicts=rule.verdicts(first, second),
                second=second,
                twice=rule.asks(first),
            )
    return judged


def tier_numbers(
    labels: Labels, judged: Judged, config: EvaluationConfig, seed: int
) -> dict[str, Any]:
    """Return all numbers of one split in one tier; `*_interval` are 95% bootstrap intervals."""
    numbers: dict[str, Any] = {
        "n_real": int((labels == 0).sum()),
        "n_ai_generated": int((labels == 1).sum()),
    }
    statistics: dict[str, tuple[Callable[[Labels, Scores], float], Scores]] = {
        "auc": (auc, judged.logits),
        "recall_at_1pct_fpr": (partial(recall_at_fpr, fpr=0.01), judged.logits),
        "recall_at_5pct_fpr": (partial(recall_at_fpr, fpr=0.05), judged.logits),
        "balanced_accuracy_at_half": (_balanced_accuracy, judged.probability - 0.5),
        "balanced_accuracy": (_balanced_accuracy, judged.verdicts.astype(np.float64) - 0.5),
    }
    for name, (statistic, values) in statistics.items():
        rng = np.random.default_rng(seed)
        numbers[name] = statistic(labels, values)
        numbers[f"{name}_interval"] = bootstrap_interval(
            statistic, labels, values, config.bootstrap, rng
        )
    numbers["ece"] = expected_calibration_error(labels, judged.probability)
    # The probability is one for an even prior, and the set is not even: without the set's own.
    numbers["ece_even_classes"] = expected_calibration_error(
        labels, judged.probability, weights=even_class_weights(labels)
    )
    numbers |= decision_metrics(labels, judged.verdicts)
    numbers["judged_twice_rate"] = float(judged.twice.mean())
    return numbers


def _at_budget(labels: Labels, judged: Judged, rule: Rule) -> dict[str, float]:
    numbers = decision_metrics(labels, rule.verdicts(judged.logits, judged.second))
    kept = ("false_accusation_rate", "recall", "ai_called_real_rate", "uncertain_rate")
    return {
        "budget": rule.thresholds.false_accusation_budget,
        **{key: numbers[key] for key in kept},
        "judged_twice_rate": float(rule.asks(judged.logits).mean()),
    }


def _balanced_accuracy(labels: Labels, margins: Scores) -> float:
    """Return the mean of the two recalls of "generated where the margin is at least 0"."""
    called = margins >= 0
    return float((called[labels == 1].mean() + 1.0 - called[labels == 0].mean()) / 2)


def headline(report: Report) -> dict[str, float]:
    """Return the scalar numbers as one flat dict, "<split>.<tier>.<metric>"."""
    return {
        f"{split}.{tier}.{metric}": float(value)
        for split, tiers in report["splits"].items()
        for tier, numbers in tiers.items()
        for metric, value in numbers.items()
        if isinstance(value, int | float)
    }
