"""The verdict rule of a package, chosen on validation photos."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.training.calibrate import choose_thresholds, fit_platt, group_weights
from services.training.config import RunConfig
from services.training.data import Row
from services.training.decisions import GENERATED, Rule, probabilities
from services.training.metrics import Labels, Scores, auc, expected_calibration_error
from services.training.scoring import Looks, Predictor, labels_of, look
from services.training.stability import JPEG_QUALITY, choose_recheck
from shared.ml.spec import PreprocessSpec

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The rule, and the numbers behind its choice, JSON-ready."""

    rule: Rule
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
    tiers = len(looks)
    every, sources = np.tile(labels, tiers), list(families) * tiers
    mixture = np.concatenate([each.first for each in looks.values()])
    weights = group_weights(every, sources)
    calibration = fit_platt(every, mixture, weights)
    probability = probabilities(mixture, calibration)
    report = choose_thresholds(every, probability, config.calibration, tiers, sources)
    numbers = asdict(report) | {
        "auc": {tier: auc(labels, each.first) for tier, each in looks.items()},
        "ece": expected_calibration_error(every, probability, weights=weights),
        "recheck": None,
    }
    del numbers["thresholds"]
    rule = Rule(calibration, report.thresholds)
    if config.calibration.recheck:
        second = choose_recheck(list(looks.values()), rule)
        rule = Rule(calibration, report.thresholds, second.recheck)
        again = np.concatenate([each.second for each in looks.values()])
        accused = rule.verdicts(mixture, again)[every == 0] == GENERATED
        numbers["recheck"] = asdict(second) | {"false_accusation_rate": float(accused.mean())}
        del numbers["recheck"]["recheck"]
    return Calibrated(rule, numbers)


def _every(logits: Scores) -> NDArray[np.bool_]:
    return np.ones(len(logits), dtype=bool)
