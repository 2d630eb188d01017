import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.core.settings import REPOSITORY_ROOT
from shared.ml.package import read_manifest
from shared.ml.postprocess import calibrated_probability, judge, needs_second_look, settle
from shared.ml.spec import Calibration, ModelManifest, Recheck, Thresholds

CALIBRATION = Calibration(temperature=2.0, bias=-0.5)


@pytest.fixture
def manifest():
    return read_manifest(REPOSITORY_ROOT / "models" / "0.3.1").model_copy(
        update={
            "calibration": CALIBRATION,
            "thresholds": Thresholds(real_below=0.2, ai_above=0.9, false_accusation_budget=0.01),
        }
    )


def logit_of(probability):
    return CALIBRATION.temperature * (math.log(probability / (1 - probability)) - CALIBRATION.bias)


def test_platt_scaling():
    assert calibrated_probability(3.0, CALIBRATION) == pytest.approx(1 / (1 + math.exp(-1.0)))


@given(st.floats(-1e6, 1e6))
def test_probability_stays_in_range_without_overflow(logit):
    assert 0.0 <= calibrated_probability(logit, CALIBRATION) <= 1.0


@pytest.mark.parametrize(
    ("probability", "label", "confidence"),
    [
        (0.1, "real", 0.9),
        (0.21, "uncertain", 0.79),
        (0.5, "uncertain", 0.5),
        (0.89, "uncertain", 0.89),
        (0.95, "ai_generated", 0.95),
    ],
)
def test_two_thresholds_make_three_labels(manifest, probability, label, confidence):
    """Confidence is the probability of the stated side, of the likelier one when uncertain."""
    logit = logit_of(probability)
    judgement = judge(logit, manifest)
    assert judgement.label == label
    assert judgement.probability == pytest.approx(probability)
    assert judgement.confidence == pytest.approx(confidence)
    assert judgement.logit == logit


def test_a_threshold_itself_belongs_to_its_verdict(manifest):
    probability = judge(logit_of(0.9), manifest).probability
    exact = Thresholds(real_below=0.2, ai_above=probability, false_accusation_budget=0.01)
    assert judge(logit_of(0.9), manifest.model_copy(update={"thresholds": exact})).label == (
        "ai_generated"
    )


@given(a=st.floats(-50, 50), b=st.floats(-50, 50))
def test_a_higher_logit_is_never_less_ai(a, b):
    low, high = sorted((a, b))
    assert calibrated_probability(low, CALIBRATION) <= calibrated_probability(high, CALIBRATION)


@pytest.mark.parametrize("logit", [math.nan, math.inf, -math.inf])
def test_a_broken_forward_pass_is_no_verdict(manifest, logit):
    with pytest.raises(ValueError, match="logit"):
        judge(logit, manifest)


def test_thresholds_must_leave_room_between_them():
    with pytest.raises(ValidationError, match="smaller"):
        Thresholds(real_below=0.5, ai_above=0.5, false_accusation_budget=0.01)


def with_recheck(manifest, **limits):
    return manifest.model_copy(update={"recheck": Recheck(**limits)})


def test_only_a_verdict_near_its_threshold_gets_a_second_look(manifest):
    manifest_on = with_recheck(
        manifest, ai_below_logit=logit_of(0.95), real_above_logit=logit_of(0.1)
    )
    asked = {
        probability: needs_second_look(judge(logit_of(probability), manifest_on), manifest_on)
        for probability in (0.05, 0.15, 0.5, 0.93, 0.97)
    }
    assert asked == {0.05: False, 0.15: True, 0.5: False, 0.93: True, 0.97: False}
    for probability in asked:
        assert not needs_second_look(judge(logit_of(probability), manifest), manifest)
        one_sided = with_recheck(manifest, ai_below_logit=None, real_above_logit=None)
        assert not needs_second_look(judge(logit_of(probability), one_sided), one_sided)


@pytest.mark.parametrize(
    ("first", "second", "label"),
    [
        (0.95, 0.92, "ai_generated"),
        (0.95, 0.5, "uncertain"),
        (0.95, 0.1, "uncertain"),
        (0.1, 0.15, "real"),
        (0.1, 0.3, "uncertain"),
    ],
)
def test_a_flip_is_uncertain_and_says_so(manifest, first, second, label):
    manifest = with_recheck(manifest, jpeg_quality=75)
    judgement = judge(logit_of(first), manifest)
    settled = settle(judgement, logit_of(second), manifest)
    assert settled.label == label
    assert settled.probability == judgement.probability
    assert settled.logit == judgement.logit
    assert settled.confidence == pytest.approx(max(first, 1 - first))
    (entry,) = settled.evidence
    assert entry == json.loads(json.dumps(entry))
    assert entry["kind"] == "reencode"
    assert entry["jpeg_quality"] == 75
    assert entry["label"] == judgement.label
    assert entry["flipped"] is (label != judgement.label)
    assert entry["probability_after"] == pytest.approx(second)


def test_a_manifest_without_the_section_is_read(manifest):
    """Packages made before it was introduced judge every photo once."""
    content = manifest.model_dump(mode="json")
    del content["recheck"]
    assert ModelManifest.model_validate(content).recheck is None
