"""The verdict rule of a package, chosen on validation photos."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.training.config import RunConfig
from services.training.data.photos import Row
from services.training.evaluate.calibrate import choose_thresholds, fit_platt
from services.training.evaluate.decisions import GENERATED, Rule, probabilities
from services.training.evaluate.metrics import (
    Labels,
    Scores,
    auc,
    even_class_weights,
    expected_calibration_error,
)
from services.training.evaluate.scoring import Looks, Predictor, labels_of, look
from services.training.evaluate.stability import JPEG_QUALITY, choose_recheck
from shared.ml.spec import PreprocessSpec

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The rules, and the numbers behind their choice, JSON-ready."""

    rule: Rule
    # For the further budgets, in the configuration's order.
    further: tuple[Rule, ...]
    numbers: dict[str, Any]


def calibrate_on(
    rows: Sequence[Row], predictor: Predictor, spec: PreprocessSpec, config: RunConfig, say: Say
) -> Calibrated:
    """Look at `rows` in all tiers of the calibration, twice where it has a second look; choose.

    Raises TrainingError when the network ranks real photos above generated ones.
    """
    chosen, looks = config.calibration, {}
    for tier in chosen.tiers:
        say(f"judging {len(rows)} validation photos, tier {tier}")
        asks = _every if chosen.recheck else None
        looks[tier] = look(
            rows, tier, predictor, spec, config.evaluation.batch_size, asks, JPEG_QUALITY
        )
    return choose_rule(labels_of(rows), [row.family for row in rows], looks, config)


def choose_rule(
    labels: Labels, families: Sequence[str], looks: dict[str, Looks], config: RunConfig
) -> Calibrated:
    """Choose calibration, thresholds and second look; `labels` and `families` are of each photo."""
    tiers, chosen = len(looks), config.calibration
    every, sources = np.tile(labels, tiers), list(families) * tiers
    mixture = np.concatenate([each.first for each in looks.values()])
    # Photos alike: weighing them by source did not lower the error on sources held out, see
    # docs/evaluation.md.
    calibration = fit_platt(every, mixture)
    probability = probabilities(mixture, calibration)

    def at(budget: float) -> tuple[Rule, dict[str, Any]]:
        limits = chosen.model_copy(update={"false_accusation_budget": budget})
        report = choose_thresholds(every, probability, limits, tiers, sources)
        rule = Rule(calibration, report.thresholds)
        numbers = asdict(report) | {"budget": budget, "recheck": None}
        del numbers["thresholds"]
        if not chosen.recheck:
            return rule, numbers
        return _with_recheck(rule, numbers, every, list(looks.values()))

    rule, numbers = at(chosen.false_accusation_budget)
    further = [at(budget) for budget in chosen.further_budgets]
    numbers |= {
        "auc": {tier: auc(labels, each.first) for tier, each in looks.items()},
        "ece": expected_calibration_error(every, probability, weights=even_class_weights(every)),
        "operating_points": [each for _, each in further],
    }
    return Calibrated(rule, tuple(point for point, _ in further), numbers)


def _with_recheck(
    rule: Rule, numbers: dict[str, Any], labels: Labels, looks: Sequence[Looks]
) -> tuple[Rule, dict[str, Any]]:
    second = choose_recheck(looks, rule)
    rule = replace(rule, recheck=second.recheck)
    first, again = (
        np.concatenate([getattr(each, name) for each in looks]) for name in ("first", "second")
    )
    accused = rule.verdicts(first, again)[labels == 0] == GENERATED
    report = asdict(second) | {"false_accusation_rate": float(accused.mean())}
    del report["recheck"]
    return rule, numbers | {"recheck": report}


def _every(logits: Scores) -> NDArray[np.bool_]:
    return np.ones(len(logits), dtype=bool)
