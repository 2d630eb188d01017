import numpy as np
import pytest

from services.training.evaluate.decisions import Rule
from services.training.evaluate.scoring import Looks
from services.training.evaluate.stability import MAX_TWICE, choose_recheck, stability
from shared.ml.spec import Calibration, Thresholds

RULE = Rule(
    Calibration(temperature=1.0, bias=0.0),
    Thresholds(real_below=0.2, ai_above=0.9, false_accusation_budget=0.01),
)


def looks(noise, n=20_000, spread=6.0):
    rng = np.random.default_rng(0)
    first = rng.normal(0, spread, n)
    return Looks(first, first + rng.normal(0, noise, n))


def test_most_flips_are_found_at_a_small_cost():
    report = choose_recheck([looks(0.2)], RULE)
    assert 0.93 < report.caught_rate <= 1
    assert report.flips_rate < report.twice_rate < MAX_TWICE
    # The limits lie on the verdict's side of its threshold, by about two deviations.
    assert np.log(9) < report.recheck.ai_below_logit < np.log(9) + 0.6
    assert np.log(0.25) - 0.6 < report.recheck.real_above_logit < np.log(0.25)


def test_the_cost_is_bounded_where_verdicts_are_restless():
    report = choose_recheck([looks(3.0), looks(2.0)], RULE)
    assert report.twice_rate == pytest.approx(MAX_TWICE, abs=0.001)
    assert 0 < report.caught_rate < 0.95


def test_steady_verdicts_need_no_second_look():
    report = choose_recheck([looks(0.0)], RULE)
    assert report.recheck.ai_below_logit is None
    assert report.recheck.real_above_logit is None
    assert (report.twice_rate, report.flips_rate) == (0, 0)


def test_a_second_look_overturns_what_it_finds_and_nothing_else():
    seen = looks(0.4)
    report = choose_recheck([seen], RULE)
    rule = Rule(RULE.calibration, RULE.thresholds, report.recheck)
    before, after = rule.first(seen.first), rule.verdicts(seen.first, seen.second)
    changed = before != after
    assert (after[changed] == 0).all()
    assert changed.mean() == pytest.approx(report.flips_rate * report.caught_rate)


def test_shares_of_verdicts_that_hold():
    labels = np.array([0, 0, 1, 1])
    verdicts = {
        "clean": np.array([-1, -1, 0, 1], np.int8),
        "q40": np.array([-1, 1, 0, 0], np.int8),
        "webp": np.array([-1, -1, 1, 1], np.int8),
    }
    shares = stability(labels, verdicts, "clean")
    assert shares["q40"] == {
        "same_label": 0.5,
        "same_label_real": 0.5,
        "same_label_ai_generated": 0.5,
        "flipped": 0.25,
    }
    assert shares["webp"]["same_label"] == 0.75
    assert shares["webp"]["flipped"] == 0
    assert shares["every_tier"] == {"same_label": 0.25}
    assert "clean" not in shares
