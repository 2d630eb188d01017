"""What the gate lets through and what it refuses, in which words."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.training.registry.gate import TEST_FINGERPRINT, GatePolicy, decide
from shared.core.settings import REPOSITORY_ROOT

SPLITS = ("test_unseen_source", "test_unseen_generator")
TIERS = ("clean", "q40")
BUDGET = 0.01


def numbers(**changes):
    return {
        "n_real": 600,
        "n_ai_generated": 400,
        "auc": 0.9,
        "recall_at_5pct_fpr": 0.6,
        "ece": 0.03,
        "false_accusation_rate": 0.01,
    } | changes


def report(**changes):
    return {"splits": {split: {tier: numbers(**changes) for tier in TIERS} for split in SPLITS}}


def with_change(split, tier, **changes):
    changed = report()
    changed["splits"][split][tier] |= changes
    return changed


def test_the_shipped_champion_may_follow_itself():
    """On real numbers: its calibration error is above the limit, but no worse than its own."""
    path = REPOSITORY_ROOT / "models" / "champion" / "evaluation.json"
    shipped = json.loads(path.read_text())
    assert decide(shipped, copy.deepcopy(shipped), BUDGET).passed


def test_a_champion_of_other_tiers_is_compared_where_the_challengers_run_judged_it():
    """Tiers were renamed and photos added since the champion's own evaluation."""
    old = {"splits": {"test_unseen_source": {"clean": numbers(n_real=500)}}}
    challenger = report(auc=0.95) | {TEST_FINGERPRINT: "a" * 64}
    assert not decide(challenger, old, BUDGET, champion_version="0.3.1").passed
    challenger["beside"] = {"0.3.1": report()["splits"]}
    assert decide(challenger, old, BUDGET, champion_version="0.3.1").passed
    assert not decide(challenger, old, BUDGET, champion_version="0.4.0").passed
    challenger["beside"] = {"0.3.1": report(auc=0.97)["splits"]}
    refused = decide(challenger, old, BUDGET, champion_version="0.3.1").refusals
    assert len(refused) == 4
    assert "the champion's 0.970: worse by 0.020" in refused[0]


def test_without_a_champion_only_the_own_limits_count():
    assert decide(report(), None, BUDGET).passed
    assert not decide(report(ece=0.06), None, BUDGET).passed


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"auc": 0.85}, "AUC on test_unseen_source q40 is 0.850, the champion's 0.900"),
        ({"recall_at_5pct_fpr": 0.5}, "recall at 5% false accusations on test_unseen_source q40"),
        (
            {"false_accusation_rate": 0.04},
            "calls 4.0% of the real photos of test_unseen_source q40",
        ),
        ({"ece": 0.09}, "(ECE) on test_unseen_source q40 is 0.090, above 0.050 and the champion's"),
        ({"n_real": 599}, "test_unseen_source q40 has 599 real photos, the champion's had 600"),
        ({"auc": float("nan")}, "AUC on test_unseen_source q40 is nan"),
    ],
)
def test_one_bad_tier_is_enough_and_is_named(changes, words):
    decision = decide(with_change("test_unseen_source", "q40", **changes), report(), BUDGET)
    assert not decision.passed
    (refusal,) = decision.refusals
    assert words in refusal


def test_a_tier_that_was_left_out_is_not_a_tier_that_was_passed():
    challenger = report()
    del challenger["splits"]["test_unseen_generator"]["q40"]
    (refusal,) = decide(challenger, report(), BUDGET).refusals
    assert refusal == "it was not evaluated on test_unseen_generator q40, the champion was"


def test_a_report_without_any_tier_is_refused():
    (refusal,) = decide({"splits": {}}, None, BUDGET).refusals
    assert "never evaluated" in refusal


def test_other_test_photos_are_seen_by_their_fingerprint():
    challenger = report() | {TEST_FINGERPRINT: "a" * 64}
    champion = report() | {TEST_FINGERPRINT: "b" * 64}
    (refusal,) = decide(challenger, champion, BUDGET).refusals
    assert "other test photos (fingerprint aaaaaaaaaaaa)" in refusal
    assert decide(challenger, copy.deepcopy(challenger), BUDGET).passed


def test_a_poor_calibration_passes_where_the_champions_is_poorer():
    assert decide(report(ece=0.07), report(ece=0.08), BUDGET).passed


rates = st.floats(0, 1)


@given(ours=rates, theirs=rates, key=st.sampled_from(["auc", "recall_at_5pct_fpr"]))
def test_ranking_is_refused_exactly_when_the_loss_is_more_than_tolerated(ours, theirs, key):
    policy = GatePolicy()
    tolerance = policy.auc_tolerance if key == "auc" else policy.recall_tolerance
    passed = decide(report(**{key: ours}), report(**{key: theirs}), BUDGET, policy).passed
    assert passed == (round(theirs - ours, 9) <= tolerance)


@given(
    base=st.fixed_dictionaries(
        dict.fromkeys(("auc", "recall_at_5pct_fpr", "ece", "false_accusation_rate"), rates)
    ),
    gain=st.floats(0, 0.5),
)
def test_a_challenger_that_is_nowhere_worse_and_within_its_budget_always_passes(base, gain):
    better = {
        "auc": min(1.0, base["auc"] + gain),
        "recall_at_5pct_fpr": min(1.0, base["recall_at_5pct_fpr"] + gain),
        "ece": max(0.0, base["ece"] - gain),
        "false_accusation_rate": min(base["false_accusation_rate"], BUDGET),
    }
    assert decide(report(**better), report(**base), BUDGET).passed
