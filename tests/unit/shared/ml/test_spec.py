"""What a package promises for each false-accusation budget."""

import json

import pytest
from pydantic import ValidationError

from shared.core.settings import REPOSITORY_ROOT
from shared.ml.package import read_manifest
from shared.ml.postprocess import judge
from shared.ml.spec import ModelManifest, OperatingPoint, Recheck, Thresholds


@pytest.fixture
def manifest():
    champion = read_manifest(REPOSITORY_ROOT / "models" / "0.3.1")
    loose = Thresholds(real_below=0.1, ai_above=0.6, false_accusation_budget=0.2)
    point = OperatingPoint(thresholds=loose, recheck=Recheck(ai_below_logit=3.0))
    own = champion.thresholds.model_copy(
        update={"real_below": 0.1, "ai_above": 0.99, "false_accusation_budget": 0.01}
    )
    return champion.model_copy(update={"thresholds": own, "operating_points": (point,)})


def test_a_chosen_budget_brings_its_thresholds_and_second_look(manifest):
    chosen = manifest.at_budget(0.2)
    assert chosen.thresholds.ai_above == 0.6
    assert chosen.recheck == Recheck(ai_below_logit=3.0)
    assert chosen.version == manifest.version
    logit = next(x / 10 for x in range(-100, 100) if judge(x / 10, manifest).probability > 0.8)
    assert judge(logit, manifest).label == "uncertain"
    assert judge(logit, chosen).label == "ai_generated"


def test_the_packages_own_budget_is_one_of_them(manifest):
    assert manifest.at_budget(0.01).thresholds == manifest.thresholds


def test_another_budget_is_refused_with_those_there_are(manifest):
    with pytest.raises(ValueError, match=r"0\.03.*0\.01, 0\.2"):
        manifest.at_budget(0.03)


def test_a_package_made_before_precisions_was_measured_in_float32(manifest):
    older = json.loads(manifest.model_dump_json(exclude={"precisions"}))
    assert ModelManifest.model_validate(older).precisions == ("f32",)
    newer = ModelManifest.model_validate(older | {"precisions": ["bf16", "f32"]})
    assert newer.precisions == ("bf16", "f32")
    assert newer.at_budget(0.2).precisions == newer.precisions


@pytest.mark.parametrize("precisions", [[], ["f32", "f32"], ["f64"], "f32"])
def test_a_list_of_precisions_that_means_nothing_is_refused(manifest, precisions):
    content = json.loads(manifest.model_dump_json()) | {"precisions": precisions}
    with pytest.raises(ValidationError, match="precisions"):
        ModelManifest.model_validate(content)
