"""Weights, cascade and operating points: skipped tiles change no label, budgets hold."""

import numpy as np
import pytest

from services.training.config import CalibrationConfig
from services.training.evaluate.decisions import by_thresholds, probabilities
from services.training.eyes.fusion import BUDGETS, Judged, fit_fusion, operate

CONFIG = CalibrationConfig()


def judged(view, tiles, seed=0, photos=300, sources=15):
    """Logits whose classes lie `view` and `tiles` deviations apart, of as many sources a class."""
    rng = np.random.default_rng(seed)
    label = np.arange(photos) % 2
    side = 2 * label - 1
    return Judged(
        view=rng.normal(side * view / 2, 1, photos),
        tiles=rng.normal(side * tiles / 2, 1, photos),
        label=label,
        repository=np.array([f"shop/{n}" for n in rng.integers(0, sources, photos)]),
    )


# A strong view, a view that tiles can always overrule, and both alike.
@pytest.fixture(scope="module", params=[(6.0, 0.5), (0.5, 3.0), (2.5, 2.5)], ids=str)
def case(request):
    view, tiles = request.param
    thresholding = judged(view, tiles, seed=1)
    return operate(judged(view, tiles), thresholding, CONFIG), thresholding


def labels(operating, logits):
    probability = probabilities(logits, operating.calibration)
    return [by_thresholds(probability, point.thresholds) for point in operating.points]


def test_skipped_tiles_change_no_label_at_any_budget(case):
    operating, _ = case
    rng = np.random.default_rng(2)
    for spread in (1.0, 5.0, 50.0):
        view = rng.normal(0, spread, 20_000)
        # Also at the very edges.
        edges = np.array([operating.cascade.below, operating.cascade.above])
        edges = np.nextafter(edges, np.array([-np.inf, np.inf]))
        # An edge that far away is none: no photo has such a logit.
        view[:200] = np.where(np.abs(edges) < 1e6, edges, 0).repeat(100)
        tiles = rng.normal(0, spread, 20_000)
        every = operating.fusion.logits(view, tiles)
        some = operating.logits(Judged(view, tiles, np.zeros(0), np.zeros(0)))
        for a, b in zip(labels(operating, every), labels(operating, some), strict=True):
            assert np.array_equal(a, b)


def test_a_strong_view_spares_tiles_and_a_weak_one_does_not():
    strong = operate(judged(6.0, 0.5), judged(6.0, 0.5, seed=1), CONFIG)
    assert strong.cascade.share < 0.9
    weak = operate(judged(0.5, 3.0), judged(0.5, 3.0, seed=1), CONFIG)
    assert weak.cascade.share == 1


def test_the_share_is_of_the_photos_whose_tiles_are_looked_at(case):
    operating, thresholding = case
    cascade = operating.cascade
    looked = (thresholding.view >= cascade.below) & (thresholding.view <= cascade.above)
    assert cascade.share == pytest.approx(looked.mean())


def test_thresholds_hold_their_budgets_and_bounds_are_kept(case):
    operating, thresholding = case
    probability = probabilities(operating.logits(thresholding), operating.calibration)
    real = thresholding.label == 0
    found = []
    for point, numbers in zip(operating.points, operating.numbers["operating_points"], strict=True):
        budget = point.thresholds.false_accusation_budget
        accused = (probability[real] >= point.thresholds.ai_above).mean()
        assert accused <= budget
        assert numbers["false_accusation_rate"] == pytest.approx(accused)
        assert point.bound == numbers["false_accusation_bound"]
        assert point.bound >= accused
        assert point.guaranteed == (point.bound <= budget)
        recall = (probability[~real] >= point.thresholds.ai_above).mean()
        assert numbers["recall"] == pytest.approx(recall)
        found.append(budget)
    assert tuple(found) == BUDGETS
    above = [point.thresholds.ai_above for point in operating.points]
    assert above == sorted(above, reverse=True)


def test_a_large_budget_is_shown_to_hold_and_a_small_one_cannot_be(case):
    operating, _ = case
    # 150 real photos cannot show half a percent, whatever happens.
    assert not operating.points[0].guaranteed
    assert operating.points[0].bound > 0.005
    many = operate(judged(4, 4, photos=1200), judged(4, 4, seed=1, photos=1200, sources=40), CONFIG)
    assert many.points[-1].guaranteed


def test_both_members_count_and_beyond_the_limit_they_count_no_further():
    fusion = fit_fusion(judged(2.0, 2.0))
    assert fusion.view_weight > 0.1
    assert fusion.tiles_weight > 0.1
    at_limit = fusion.logits(np.array([fusion.view_limit]), np.array([fusion.tiles_limit]))
    assert fusion.logits(np.array([99.0]), np.array([99.0])) == pytest.approx(at_limit)
    # A member that ranks the wrong way round has no say, rather than a say against.
    assert fit_fusion(judged(2.0, -2.0)).tiles_weight == 1e-3


def test_the_joined_logit_ranks_better_than_its_parts(case):
    numbers = case[0].numbers
    assert numbers["auc"] >= max(numbers["auc_view"], numbers["auc_tiles"]) - 0.01
    assert numbers["real_photos"] == 150
    assert 0 <= numbers["ece"] <= 1
