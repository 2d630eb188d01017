"""The worker's verdict rule over arrays: thresholds, and the second look near them.

`shared.ml.postprocess` is the rule for one photo; a test holds the two together.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.training.evaluate.metrics import Scores
from shared.ml.spec import Calibration, ModelManifest, Recheck, Thresholds

# int8 `[N]`: one verdict a photo.
Verdicts = NDArray[np.int8]
REAL, UNCERTAIN, GENERATED = -1, 0, 1
NAMES = {REAL: "real", UNCERTAIN: "uncertain", GENERATED: "ai_generated"}


def probabilities(logits: Scores, calibration: Calibration) -> Scores:
    """Return `shared.ml.postprocess.calibrated_probability` of an array, float64 `[N]`."""
    z = logits / calibration.temperature + calibration.bias
    return np.asarray(0.5 * (1 + np.tanh(z / 2)))


def logit_at(probability: float, calibration: Calibration) -> float:
    """Return the raw logit that has this calibrated probability; infinite for 0 and 1."""
    if not 0 < probability < 1:
        return math.copysign(math.inf, probability - 0.5)
    z = math.log(probability / (1 - probability))
    return (z - calibration.bias) * calibration.temperature


def by_thresholds(probability: Scores, thresholds: Thresholds) -> Verdicts:
    """Return the verdicts of one look."""
    generated = probability >= thresholds.ai_above
    real = probability <= thresholds.real_below
    return generated.astype(np.int8) - real.astype(np.int8)


def asks_second_look(
    logits: Scores, verdicts: Verdicts, recheck: Recheck | None
) -> NDArray[np.bool_]:
    """Return which photos are looked at again, bool `[N]`."""
    asked = np.zeros(len(logits), dtype=bool)
    if recheck is None:
        return asked
    if recheck.ai_below_logit is not None:
        asked |= (verdicts == GENERATED) & (logits < recheck.ai_below_logit)
    if recheck.real_above_logit is not None:
        asked |= (verdicts == REAL) & (logits > recheck.real_above_logit)
    return asked


def settled(first: Verdicts, second: Verdicts, asked: NDArray[np.bool_]) -> Verdicts:
    """Return `first`, `uncertain` where a second look was asked for and says something else."""
    return np.where(asked & (first != second), UNCERTAIN, first).astype(np.int8)


@dataclass(frozen=True, slots=True)
class Rule:
    """How logits become verdicts: the three sections of a package's manifest that decide it."""

    calibration: Calibration
    thresholds: Thresholds
    recheck: Recheck | None = None

    def probability(self, logits: Scores) -> Scores:
        """Return the calibrated probabilities, float64 `[N]`."""
        return probabilities(logits, self.calibration)

    def first(self, logits: Scores) -> Verdicts:
        """Return the verdicts of the first look."""
        return by_thresholds(self.probability(logits), self.thresholds)

    def asks(self, logits: Scores) -> NDArray[np.bool_]:
        """Return which photos get a second look, bool `[N]`."""
        return asks_second_look(logits, self.first(logits), self.recheck)

    def verdicts(self, first: Scores, second: Scores) -> Verdicts:
        """Return the final verdicts; `second` matters only where `asks(first)`."""
        asked = self.asks(first)
        again = self.first(np.where(asked, second, first))
        return settled(self.first(first), again, asked)


def rules_of(manifest: ModelManifest) -> list[Rule]:
    """Return a package's verdict rule, and after it those of its further budgets.

    A package may list its own budget among the operating points, for the sake of its bound.
    """
    own = Rule(manifest.calibration, manifest.thresholds, manifest.recheck)
    shipped = manifest.thresholds.false_accusation_budget
    return [
        own,
        *(
            Rule(manifest.calibration, point.thresholds, point.recheck)
            for point in manifest.operating_points
            if point.thresholds.false_accusation_budget != shipped
        ),
    ]
