import numpy as np
import pytest

from services.training.data.validation.bias import describe, file_auc, measure

GROUPS = [f"group-{number // 10}" for number in range(200)]
LABELS = np.array([number // 10 % 2 for number in range(200)])


def test_a_feature_that_follows_the_class_is_found():
    rng = np.random.default_rng(0)
    told = file_auc({"size": LABELS * 2 + rng.normal(0, 0.5, 200)}, LABELS, GROUPS)
    assert told.auc > 0.95
    assert told.lowest_fold <= told.auc <= told.highest_fold


def test_noise_gives_no_clue():
    rng = np.random.default_rng(0)
    assert file_auc({"size": rng.normal(0, 1, 200)}, LABELS, GROUPS).auc == pytest.approx(
        0.5, abs=0.12
    )


def test_what_marks_a_source_but_not_a_class_gives_no_clue():
    """A feature of whole groups is learnt by heart unless groups are held out."""
    rng = np.random.default_rng(1)
    size = np.repeat(rng.normal(0, 1, 20), 10)
    assert file_auc({"size": size}, LABELS, GROUPS).auc < 0.75


def test_too_few_sources_are_not_measured():
    assert file_auc({"size": LABELS * 1.0}, LABELS, ["a"] * 200) is None
    assert measure(None, LABELS, GROUPS) == {"features": {}, "classifier": None}


def test_each_feature_is_described_by_class():
    columns = {
        "width": np.array([100.0, 300.0, 200.0, 400.0]),
        "square": np.array([1.0, 0.0, 1.0, 1.0]),
        "quality": np.array([np.nan, np.nan, 80.0, 90.0]),
    }
    found = describe(columns, np.array([0, 0, 1, 1]))
    assert found["width"] == {"real": 200.0, "ai_generated": 300.0, "auc": 0.75}
    assert found["square"] == {"real": 0.5, "ai_generated": 1.0, "auc": 0.75}
    assert found["quality"]["auc"] is None
