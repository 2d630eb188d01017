"""Verdicts that hold when a photo is saved again, and the second look that guards them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.training.evaluate.decisions import GENERATED, REAL, Rule, Verdicts, logit_at
from services.training.evaluate.metrics import Labels, Scores
from services.training.evaluate.scoring import Looks
from shared.ml.spec import Recheck

# Quality of the JPEG between two looks: light, what a marketplace's own thumbnails have.
JPEG_QUALITY = 75
# The second look must find this share of the verdicts that it would overturn ...
COVERAGE = 0.95
# ... but at most this share of all photos is looked at again.
MAX_TWICE = 0.10


@dataclass(frozen=True, slots=True)
class RecheckReport:
    """The second look's limits, and what they do on the photos that they were chosen on."""

    recheck: Recheck
    # Share of photos looked at twice: the extra cost in forward passes.
    twice_rate: float
    # Share of verdicts that a second look at every photo would overturn, and that these limits do.
    flips_rate: float
    caught_rate: float


def choose_recheck(looks: Sequence[Looks], rule: Rule) -> RecheckReport:
    """Choose the limits on photos of which every one was looked at twice.

    Each side's limit is the smallest distance from its threshold within which COVERAGE of the
    overturned verdicts lie; both shrink alike until at most MAX_TWICE of all photos lie within.
    """
    first = np.concatenate([each.first for each in looks])
    second = np.concatenate([each.second for each in looks])
    before, after = rule.first(first), rule.first(second)
    flipped = (before != after) & (before != 0)
    thresholds, calibration = rule.thresholds, rule.calibration
    edges = {
        GENERATED: logit_at(thresholds.ai_above, calibration),
        REAL: logit_at(thresholds.real_below, calibration),
    }
    margins = {
        side: _margin(np.abs(first - edge)[flipped & (before == side)])
        for side, edge in edges.items()
    }
    recheck = _affordable(first, before, edges, margins)
    limited = Rule(calibration, thresholds, recheck)
    asked = limited.asks(first)
    return RecheckReport(
        recheck=recheck,
        twice_rate=float(asked.mean()),
        flips_rate=float(flipped.mean()),
        caught_rate=float(flipped[asked].sum() / max(1, flipped.sum())),
    )


def _margin(distances: Scores) -> float | None:
    return float(np.quantile(distances, COVERAGE)) if len(distances) else None


def _affordable(
    logits: Scores, verdicts: Verdicts, edges: dict[int, float], margins: dict[int, float | None]
) -> Recheck:
    ratios = np.full(len(logits), np.inf)
    for side, margin in margins.items():
        if margin:
            mask = verdicts == side
            ratios[mask] = np.abs(logits[mask] - edges[side]) / margin
    # The share of the margins within which MAX_TWICE of the photos lie, at most all of them.
    share = min(1.0, float(np.sort(ratios)[int(MAX_TWICE * len(ratios))]))
    limits = {
        side: None if margin is None else edges[side] + side * share * margin
        for side, margin in margins.items()
    }
    return Recheck(
        jpeg_quality=JPEG_QUALITY, ai_below_logit=limits[GENERATED], real_above_logit=limits[REAL]
    )


def stability(labels: Labels, verdicts: dict[str, Verdicts], reference: str) -> dict[str, Any]:
    """Return, per tier, how far verdicts are those of the tier `reference`, and "every_tier".

    `same_label` is the share of photos with the same verdict, `flipped` the share that goes from
    one of `real` and `ai_generated` to the other; `*_real` and `*_ai_generated` are of one class.
    """
    base = verdicts[reference]
    result: dict[str, Any] = {}
    steady: NDArray[np.bool_] = np.ones(len(base), dtype=bool)
    for tier, given in verdicts.items():
        if tier == reference:
            continue
        same, flipped = given == base, given * base == GENERATED * REAL
        steady &= same
        result[tier] = {
            "same_label": float(same.mean()),
            "same_label_real": float(same[labels == 0].mean()),
            "same_label_ai_generated": float(same[labels == 1].mean()),
            "flipped": float(flipped.mean()),
        }
    result["every_tier"] = {"same_label": float(steady.mean())}
    return result
