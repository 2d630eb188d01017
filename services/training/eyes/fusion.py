"""From the members' logits to one: weights, the cascade, calibration and operating points.

Fitted on out-of-fold logits: weights and calibration on some repositories, thresholds on others.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from services.training.config import CalibrationConfig
from services.training.errors import TrainingError
from services.training.evaluate.calibrate import choose_thresholds, fit_platt, group_weights
from services.training.evaluate.decisions import logit_at, probabilities
from services.training.evaluate.metrics import (
    auc,
    even_class_weights,
    expected_calibration_error,
    recall_at_fpr,
)
from services.training.evaluation.coverage import bound_coverage
from shared.ml.spec import Calibration, Cascade, OperatingPoint, Thresholds

Scores = NDArray[np.float64]
# Shares of real photos that a marketplace may choose to accuse; the second is the default.
BUDGETS = (0.005, 0.01, 0.02, 0.05)
DEFAULT_BUDGET = 0.01
# A member's logit counts within this quantile of its absolute values.
_LIMIT_QUANTILE = 0.995
_ROUNDS = 6
# A view logit that no photo has: the cascade never ends on that side.
_FAR = 1e6
# The cascade ends so far outside the edges, as calibrating its own logits moves them a little.
_MARGIN = 0.01


@dataclass(frozen=True, slots=True)
class Judged:
    """Members' logits of N looks that no scored model had seen; arrays of `[N]`."""

    view: Scores
    tiles: Scores
    label: NDArray[np.int64]
    repository: NDArray[np.str_]

    def __getitem__(self, chosen: NDArray[np.bool_]) -> "Judged":
        return Judged(
            self.view[chosen], self.tiles[chosen], self.label[chosen], self.repository[chosen]
        )

    def joined(self, other: "Judged") -> "Judged":
        """Return the looks of both."""
        return Judged(
            *(
                np.concatenate([getattr(self, name), getattr(other, name)])
                for name in self.__slots__
            )
        )


@dataclass(frozen=True, slots=True)
class Fusion:
    """logit = view_weight x clip(view) + tiles_weight x clip(tiles), each within its limit."""

    view_weight: float
    tiles_weight: float
    view_limit: float
    tiles_limit: float
    # The tiles' logit where they are not looked at: clip(slope x view + intercept).
    slope: float
    intercept: float

    def logits(self, view: Scores, tiles: Scores) -> Scores:
        """Return the package's logits, float64 `[N]`, every photo's tiles looked at."""
        return np.asarray(
            self.view_weight * np.clip(view, -self.view_limit, self.view_limit)
            + self.tiles_weight * np.clip(tiles, -self.tiles_limit, self.tiles_limit)
        )

    def cascaded(self, view: Scores, tiles: Scores, below: float, above: float) -> Scores:
        """Return the package's logits where tiles are looked at between `below` and `above`."""
        expected = self.slope * view + self.intercept
        seen = (view >= below) & (view <= above)
        return self.logits(view, np.where(seen, tiles, expected))


@dataclass(frozen=True, slots=True)
class Operating:
    """What turns the members' logits into verdicts, and the numbers behind it, JSON-ready."""

    fusion: Fusion
    cascade: Cascade
    calibration: Calibration
    points: tuple[OperatingPoint, ...]
    numbers: dict[str, Any]

    def logits(self, judged: Judged) -> Scores:
        """Return the cascade's own logits, float64 `[N]`."""
        return self.fusion.cascaded(
            judged.view, judged.tiles, self.cascade.below, self.cascade.above
        )


def fit_fusion(judged: Judged) -> Fusion:
    """Fit the members' weights by logistic regression; sources of n photos count n**0.5 times."""
    limits = [
        float(np.quantile(np.abs(each), _LIMIT_QUANTILE)) for each in (judged.view, judged.tiles)
    ]
    features = np.stack(
        [np.clip(judged.view, -limits[0], limits[0]), np.clip(judged.tiles, -limits[1], limits[1])],
        axis=1,
    )
    weights = group_weights(judged.label, list(judged.repository)) * len(judged.label)
    model = LogisticRegression(C=10.0).fit(features, judged.label, sample_weight=weights)
    view, tiles = (max(float(value), 1e-3) for value in model.coef_[0])
    slope, intercept = np.polyfit(judged.view, judged.tiles, 1)
    return Fusion(view, tiles, limits[0], limits[1], float(slope), float(intercept))


def operate(
    fusing: Judged, thresholding: Judged, config: CalibrationConfig, looks: int = 1
) -> Operating:
    """Choose everything: weights and calibration on `fusing`, thresholds on `thresholding`.

    Photos of `thresholding` appear up to `looks` times, each in another version. The cascade's
    limits follow from the thresholds, and the thresholds are chosen on the cascade's own logits,
    so both are repeated until no skipped tiles could change a label. Where they do not agree, the
    tiles of every photo are looked at.
    """
    fusion = fit_fusion(fusing)
    below, above = -_FAR, _FAR
    for number in range(_ROUNDS):
        calibration = _calibrated(fusion, fusing, below, above)
        logits = fusion.cascaded(thresholding.view, thresholding.tiles, below, above)
        chosen = _points(logits, thresholding, calibration, config, looks)
        lowest, highest = _edges(fusion, calibration, [thresholds for thresholds, _ in chosen])
        if number and below <= lowest and highest <= above:
            break
        below, above = max(lowest - _MARGIN, -_FAR), min(highest + _MARGIN, _FAR)
        if number == _ROUNDS - 2:
            below, above = -_FAR, _FAR
    seen = (thresholding.view >= below) & (thresholding.view <= above)
    cascade = Cascade(
        below=below,
        above=above,
        slope=fusion.slope,
        intercept=fusion.intercept,
        share=float(seen.mean()),
    )
    probability = probabilities(logits, calibration)
    numbers: dict[str, Any] = {
        "photos": len(logits) // looks,
        "real_photos": int((thresholding.label == 0).sum()) // looks,
        "auc": auc(thresholding.label, logits),
        "auc_view": auc(thresholding.label, thresholding.view),
        "auc_tiles": auc(thresholding.label, thresholding.tiles),
        "ece": expected_calibration_error(
            thresholding.label, probability, weights=even_class_weights(thresholding.label)
        ),
        "fusion": asdict(fusion),
        "operating_points": [numbers for _, numbers in chosen],
    }
    points = tuple(
        OperatingPoint(thresholds=thresholds, bound=numbers["false_accusation_bound"])
        for thresholds, numbers in chosen
    )
    return Operating(fusion, cascade, calibration, points, numbers)


def _calibrated(fusion: Fusion, judged: Judged, below: float, above: float) -> Calibration:
    logits = fusion.cascaded(judged.view, judged.tiles, below, above)
    return fit_platt(judged.label, logits, group_weights(judged.label, list(judged.repository)))


def _points(
    logits: Scores, judged: Judged, calibration: Calibration, config: CalibrationConfig, looks: int
) -> list[tuple[Thresholds, dict[str, Any]]]:
    """Return thresholds and their numbers for each of BUDGETS; a smaller one accuses no more.

    Where a sample is too small for the bound, `choose_thresholds` goes by the rate alone, which can
    be the looser rule: then the point takes the threshold of the next larger budget.
    """
    found: list[tuple[Thresholds, dict[str, Any]]] = []
    for budget in reversed(BUDGETS):
        thresholds, numbers = _point(logits, judged, calibration, config, budget, looks)
        if found and thresholds.ai_above < found[-1][0].ai_above:
            thresholds = found[-1][0].model_copy(update={"false_accusation_budget": budget})
            numbers = found[-1][1] | {"budget": budget, "thresholds": thresholds.model_dump()}
            numbers["bound_holds"] = numbers["false_accusation_bound"] <= budget
        found.append((thresholds, numbers))
    return found[::-1]


def _point(
    logits: Scores,
    judged: Judged,
    calibration: Calibration,
    config: CalibrationConfig,
    budget: float,
    looks: int,
) -> tuple[Thresholds, dict[str, Any]]:
    limits = config.model_copy(update={"false_accusation_budget": budget})
    probability = probabilities(logits, calibration)
    report = choose_thresholds(judged.label, probability, limits, looks, list(judged.repository))
    found = probability[judged.label == 1] >= report.thresholds.ai_above
    numbers = asdict(report) | {"budget": budget, "recall": float(found.mean())}
    numbers["thresholds"] = report.thresholds.model_dump()
    return report.thresholds, numbers


def _edges(
    fusion: Fusion, calibration: Calibration, points: Sequence[Thresholds]
) -> tuple[float, float]:
    """Return the view logits outside which no tiles can change the label at any point."""
    reach = fusion.tiles_weight * fusion.tiles_limit
    lowest = min(logit_at(point.real_below, calibration) for point in points)
    highest = max(logit_at(point.ai_above, calibration) for point in points)
    edges = (lowest - reach) / fusion.view_weight, (highest + reach) / fusion.view_weight
    # Beyond its limit a view counts no further: there the tiles always can.
    return (
        edges[0] if edges[0] > -fusion.view_limit else -_FAR,
        edges[1] if edges[1] < fusion.view_limit else _FAR,
    )


def coverage(
    operating: Operating, judged: Judged, config: CalibrationConfig
) -> dict[str, Any] | None:
    """Return how often the bound holds on sources like these; None where nobody is accused."""
    real = judged.label == 0
    probability = probabilities(operating.logits(judged), operating.calibration)[real]
    _, source = np.unique(judged.repository[real], return_inverse=True)
    loosest = max(operating.points, key=lambda point: point.thresholds.false_accusation_budget)
    accused = probability >= loosest.thresholds.ai_above
    try:
        found = bound_coverage(
            np.bincount(source, accused).astype(np.int64), np.bincount(source), config
        )
    except TrainingError:
        return None
    return asdict(found)


def carried(operating: Operating, fresh: Judged) -> dict[str, Any]:
    """Return what the folds' thresholds do on repositories that nothing touched."""
    logits = operating.logits(fresh)
    probability = probabilities(logits, operating.calibration)
    return {
        "auc": auc(fresh.label, logits),
        "recall_at_1pct_fpr": recall_at_fpr(fresh.label, logits, 0.01),
        "real_repositories": len(set(fresh.repository[fresh.label == 0])),
        "points": [
            {
                "budget": point.thresholds.false_accusation_budget,
                "accused": float(
                    (probability[fresh.label == 0] >= point.thresholds.ai_above).mean()
                ),
                "found": float((probability[fresh.label == 1] >= point.thresholds.ai_above).mean()),
                "missed": float(
                    (probability[fresh.label == 1] <= point.thresholds.real_below).mean()
                ),
            }
            for point in operating.points
        ],
    }


def is_fusing(repositories: NDArray[np.str_], share: float) -> NDArray[np.bool_]:
    """Say which repositories fusion and calibration are fitted on; another draw than the folds'."""
    draws = [hashlib.sha256(f"fusing {name}".encode()).digest()[0] / 256 for name in repositories]
    return np.array(draws) < share
