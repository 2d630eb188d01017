"""Every number of the model card, from a predictor and the photos."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from services.training.calibrate import probabilities
from services.training.config import EvaluationConfig
from services.training.data import Row
from services.training.metrics import (
    Labels,
    Scores,
    auc,
    bootstrap_interval,
    decision_metrics,
    expected_calibration_error,
    recall_at_fpr,
)
from services.training.scoring import Predictor, labels_of, score
from shared.ml.spec import Calibration, PreprocessSpec, Thresholds

Report = dict[str, Any]


def evaluate(
    splits: dict[str, tuple[Row, ...]],
    predictor: Predictor,
    spec: PreprocessSpec,
    calibration: Calibration,
    thresholds: Thresholds,
    config: EvaluationConfig,
    seed: int,
) -> Report:
    """Return {"splits": {split: {tier: numbers}}, "by_source": {split: [...]}}.

    A photo that is in several splits is scored once per tier.
    """
    unique = {row.path: row for rows in splits.values() for row in rows}
    every = list(unique.values())
    report: Report = {"splits": defaultdict(dict), "by_source": {}}
    for tier in config.tiers:
        logits = score(every, tier, predictor, spec, config.batch_size)
        by_path = dict(zip(unique, logits, strict=True))
        for name, rows in splits.items():
            values = np.array([by_path[row.path] for row in rows])
            probability = probabilities(values, calibration)
            report["splits"][name][tier] = tier_numbers(
                labels_of(rows), values, probability, thresholds, config, seed
            )
            if tier == config.tiers[0]:
                report["by_source"][name] = _by_source(rows, probability, thresholds)
    report["splits"] = dict(report["splits"])
    return report


def tier_numbers(
    labels: Labels,
    logits: Scores,
    probability: Scores,
    thresholds: Thresholds,
    config: EvaluationConfig,
    seed: int,
) -> dict[str, Any]:
    """Return all numbers of one split in one tier; `*_interval` are 95% bootstrap intervals."""
    ranking: dict[str, Callable[[Labels, Scores], float]] = {
        "auc": auc,
        "recall_at_1pct_fpr": partial(recall_at_fpr, fpr=0.01),
        "recall_at_5pct_fpr": partial(recall_at_fpr, fpr=0.05),
    }
    numbers: dict[str, Any] = {
        "n_real": int((labels == 0).sum()),
        "n_ai_generated": int((labels == 1).sum()),
    }
    for name, statistic in ranking.items():
        rng = np.random.default_rng(seed)
        numbers[name] = statistic(labels, logits)
        numbers[f"{name}_interval"] = bootstrap_interval(
            statistic, labels, logits, config.bootstrap, rng
        )
    numbers["ece"] = expected_calibration_error(labels, probability)
    numbers |= decision_metrics(labels, probability, thresholds.real_below, thresholds.ai_above)
    return numbers


def _by_source(
    rows: Sequence[Row], probability: Scores, thresholds: Thresholds
) -> list[dict[str, Any]]:
    """Return what happens to each generator and each real source, largest first."""
    members: defaultdict[tuple[int, str], list[float]] = defaultdict(list)
    for row, value in zip(rows, probability, strict=True):
        members[row.label, row.family].append(float(value))
    table = [
        {
            "label": "ai_generated" if label else "real",
            "source": family,
            "n": len(values),
            "mean_probability": float(np.mean(values)),
            "called_ai_generated": float((np.array(values) >= thresholds.ai_above).mean()),
            "called_real": float((np.array(values) <= thresholds.real_below).mean()),
        }
        for (label, family), values in members.items()
    ]
    return sorted(table, key=lambda entry: (entry["label"], -entry["n"], entry["source"]))


def headline(report: Report) -> dict[str, float]:
    """Return the scalar numbers as one flat dict, "<split>.<tier>.<metric>"."""
    return {
        f"{split}.{tier}.{metric}": float(value)
        for split, tiers in report["splits"].items()
        for tier, numbers in tiers.items()
        for metric, value in numbers.items()
        if isinstance(value, int | float)
    }
