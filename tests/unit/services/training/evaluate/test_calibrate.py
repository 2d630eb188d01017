import numpy as np
import pytest

from services.training.config import CalibrationConfig
from services.training.errors import TrainingError
from services.training.evaluate.calibrate import (
    choose_thresholds,
    fit_platt,
    group_weights,
    probabilities,
)
from services.training.evaluate.metrics import expected_calibration_error
from shared.ml.postprocess import calibrated_probability


def sample(n, slope=2.0, bias=-0.7, seed=0):
    """Logits whose true P(AI) is sigmoid(slope * logit + bias), classes about even."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-bias / slope, 1.0, n)
    truth = 1 / (1 + np.exp(-(slope * logits + bias)))
    return (rng.random(n) < truth).astype(int), logits


def test_platt_finds_the_true_scaling():
    labels, logits = sample(60_000)
    calibration = fit_platt(labels, logits)
    assert 1 / calibration.temperature == pytest.approx(2.0, rel=0.05)
    assert calibration.bias == pytest.approx(-0.7, abs=0.05)
    assert expected_calibration_error(labels, probabilities(logits, calibration)) < 0.01


def test_class_sizes_do_not_matter():
    """Ten times the real photos give the same probabilities: the prior stays even."""
    labels, logits = sample(2_000)
    real = labels == 0
    more = np.concatenate([labels, np.tile(labels[real], 9)])
    more_logits = np.concatenate([logits, np.tile(logits[real], 9)])
    first, second = fit_platt(labels, logits), fit_platt(more, more_logits)
    assert second.temperature == pytest.approx(first.temperature, rel=0.02)
    assert second.bias == pytest.approx(first.bias, abs=0.02)


def test_separable_classes_stay_finite():
    labels = np.array([0] * 20 + [1] * 20)
    calibration = fit_platt(labels, np.where(labels, 3.0, -3.0))
    assert 0.01 < calibration.temperature < 10
    assert probabilities(np.array([3.0]), calibration)[0] > 0.9


def test_a_model_that_ranks_backwards_is_refused():
    labels, logits = sample(500)
    with pytest.raises(TrainingError, match="rank"):
        fit_platt(labels, -logits)


def test_arrays_and_serving_compute_the_same_probability():
    labels, logits = sample(500)
    calibration = fit_platt(labels, logits)
    expected = [calibrated_probability(float(value), calibration) for value in logits]
    assert probabilities(logits, calibration) == pytest.approx(expected)


def test_the_budget_holds_with_its_bound_on_a_large_sample():
    labels, logits = sample(20_000)
    probability = probabilities(logits, fit_platt(labels, logits))
    report = choose_thresholds(labels, probability, CalibrationConfig(), tiers=1)
    accused = (probability[labels == 0] >= report.thresholds.ai_above).mean()
    assert report.bound_holds
    assert accused == pytest.approx(report.false_accusation_rate)
    assert report.false_accusation_rate < report.false_accusation_bound <= 0.01
    cleared = (probability[labels == 1] <= report.thresholds.real_below).mean()
    assert cleared <= 0.05


def test_the_bound_keeps_its_promise_on_new_photos():
    """In at least 95 of 100 draws the true rate is within the budget."""
    population_labels, population = sample(100_000, seed=9)
    real = np.sort(population[population_labels == 0])
    broken = 0
    for seed in range(100):
        labels, logits = sample(1_500, seed=seed)
        probability = 1 / (1 + np.exp(-logits))
        report = choose_thresholds(labels, probability, CalibrationConfig(), tiers=1)
        cut = report.thresholds.ai_above
        cut_logit = np.log(cut / (1 - cut))
        broken += (real >= cut_logit).mean() > 0.01
    assert broken <= 5


def test_a_small_sample_falls_back_to_the_rate_and_says_so():
    labels, logits = sample(200)
    probability = probabilities(logits, fit_platt(labels, logits))
    report = choose_thresholds(labels, probability, CalibrationConfig(), tiers=1)
    assert not report.bound_holds
    assert report.false_accusation_bound > 0.01
    assert report.false_accusation_rate <= 0.01


def test_looks_at_one_photo_do_not_count_as_photos():
    """Each photo seen five times alike gives the thresholds of each seen once."""
    labels, logits = sample(3_000)
    probability = probabilities(logits, fit_platt(labels, logits))
    once = choose_thresholds(labels, probability, CalibrationConfig(), tiers=1)
    five = choose_thresholds(
        np.tile(labels, 5), np.tile(probability, 5), CalibrationConfig(), tiers=5
    )
    assert five.false_accusation_bound == pytest.approx(once.false_accusation_bound)
    assert five.thresholds.ai_above == pytest.approx(once.thresholds.ai_above, abs=1e-3)


def test_families_weigh_by_the_root_of_their_size():
    labels = np.array([0] * 25 + [1] * 5)
    families = ["large"] * 16 + ["small"] * 9 + ["large"] * 4 + ["one"]
    weights = group_weights(labels, families)
    assert weights[:25].sum() == pytest.approx(0.5)
    assert weights[:16].sum() / weights[16:25].sum() == pytest.approx(4 / 3)
    assert weights[25:29].sum() / weights[29] == pytest.approx(2)


def test_a_large_source_does_not_rule_the_calibration():
    """One source of 900 photos is off by two logits; twenty of 25 are not."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 1400)
    families = ["large"] * 900 + [f"small-{number // 25}" for number in range(500)]
    logits = np.where(labels, 1.0, -1.0) + rng.normal(0, 1, 1400)
    logits[:900] += 2.0
    even = fit_platt(labels, logits)
    weighted = fit_platt(labels, logits, group_weights(labels, families))
    small = slice(900, None)
    error = [
        expected_calibration_error(labels[small], probabilities(logits[small], each))
        for each in (even, weighted)
    ]
    assert error[1] < error[0]


def clustered(seed, sources=20, photos=50):
    """Real photos whose sources differ, in photos that each stand apart from their source."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(rng.normal(-2, 1.2, sources), photos)
    real = centres + rng.normal(0, 1, sources * photos)
    labels = np.concatenate([np.zeros(len(real), int), np.ones(500, int)])
    logits = np.concatenate([real, rng.normal(2, 1.5, 500)])
    families = [f"shop-{n // photos}" for n in range(len(real))] + ["generator"] * 500
    return labels, 1 / (1 + np.exp(-logits)), families


def test_sources_that_differ_raise_the_bound():
    """The photos of one shop fail together: counting them as independent promises too much."""
    population = np.random.default_rng(99)
    truth = population.normal(-2, 1.2, 200_000) + population.normal(0, 1, 200_000)
    config = CalibrationConfig(false_accusation_budget=0.05)
    broken = {"photos": 0, "sources": 0}
    for seed in range(40):
        labels, probability, families = clustered(seed)
        for name, given in (("photos", None), ("sources", families)):
            report = choose_thresholds(labels, probability, config, 1, given)
            cut = report.thresholds.ai_above
            broken[name] += (truth >= np.log(cut / (1 - cut))).mean() > 0.05
            assert report.false_accusation_bound >= report.false_accusation_rate
            assert report.sources == (20 if given else 0)
    assert broken["sources"] < 0.6 * broken["photos"]
    # Twenty sources so different are few: it promises to break in 5 of 100, and does in 18.
    assert broken["sources"] <= 7


def test_one_hard_source_is_seen():
    """Ten sources of forty; the photos above the threshold all come from one."""
    labels = np.array([0] * 400 + [1] * 100)
    families = [f"shop-{n // 40}" for n in range(400)] + ["generator"] * 100
    probability = np.linspace(0.0, 0.4, 500)
    probability[:40] = np.linspace(0.3, 0.99, 40)
    probability[400:] = np.linspace(0.5, 1, 100)
    config = CalibrationConfig(false_accusation_budget=0.05)
    alike = choose_thresholds(labels, probability, config, 1, None)
    apart = choose_thresholds(labels, probability, config, 1, families)
    assert apart.thresholds.ai_above > alike.thresholds.ai_above
    assert apart.bound_holds
    assert apart.false_accusation_bound <= 0.05
