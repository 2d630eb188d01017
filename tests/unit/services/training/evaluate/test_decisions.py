"""The rule over arrays is the worker's rule for one photo."""

import math

import numpy as np
import pytest

from services.training.evaluate.decisions import NAMES, Rule, logit_at, probabilities
from shared.core.settings import REPOSITORY_ROOT
from shared.ml.package import read_manifest
from shared.ml.postprocess import judge, needs_second_look, settle
from shared.ml.spec import Calibration, Recheck, Thresholds

CALIBRATION = Calibration(temperature=1.7, bias=-0.4)
THRESHOLDS = Thresholds(real_below=0.2, ai_above=0.9, false_accusation_budget=0.01)


@pytest.mark.parametrize(
    "recheck",
    [
        None,
        Recheck(ai_below_logit=5.5, real_above_logit=-3.0),
        Recheck(ai_below_logit=5.5),
        Recheck(real_above_logit=-3.0),
    ],
)
def test_arrays_and_serving_give_the_same_verdicts(recheck):
    rng = np.random.default_rng(0)
    first = rng.normal(0, 5, 2000)
    second = first + rng.normal(0, 2, 2000)
    rule = Rule(CALIBRATION, THRESHOLDS, recheck)
    manifest = read_manifest(REPOSITORY_ROOT / "models" / "0.3.1").model_copy(
        update={"calibration": CALIBRATION, "thresholds": THRESHOLDS, "recheck": recheck}
    )
    labels, asked = [], []
    for one, two in zip(first, second, strict=True):
        judgement = judge(one, manifest)
        asked.append(needs_second_look(judgement, manifest))
        labels.append((settle(judgement, two, manifest) if asked[-1] else judgement).label)
    assert rule.asks(first).tolist() == asked
    assert [NAMES[int(verdict)] for verdict in rule.verdicts(first, second)] == labels
    assert any(asked) is (recheck is not None)


def test_photos_not_asked_need_no_second_logit():
    rule = Rule(CALIBRATION, THRESHOLDS, Recheck(ai_below_logit=5.5))
    first = np.array([-9.0, 0.0, 9.0])
    assert rule.verdicts(first, np.full(3, np.nan)).tolist() == [-1, 0, 1]


def test_the_logit_of_a_probability():
    logits = np.array([logit_at(p, CALIBRATION) for p in (0.01, 0.5, 0.97)])
    assert probabilities(logits, CALIBRATION) == pytest.approx([0.01, 0.5, 0.97])
    assert logit_at(1.0, CALIBRATION) == math.inf
    assert logit_at(0.0, CALIBRATION) == -math.inf
