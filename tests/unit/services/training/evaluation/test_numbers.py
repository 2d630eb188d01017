"""Buyer's table, intervals, content matching and coverage, where the answer is known by hand."""

import numpy as np
import pytest
from scipy.stats import beta

from services.training.config import CalibrationConfig
from services.training.errors import TrainingError
from services.training.evaluate.metrics import auc
from services.training.evaluation.buyer import buyers_table, by_kind, of_hundred, sentence
from services.training.evaluation.content import content_matched
from services.training.evaluation.coverage import bound_coverage, fit_beta_binomial
from services.training.evaluation.intervals import by_source_interval, share_interval

LABELS = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0])
VERDICTS = np.array([1, 1, -1, 0, 1, -1, -1, -1, 0], dtype=np.int8)
SOURCES = [*"aabb", *"cccdd"]


def test_the_buyers_table_counts_each_class():
    table = buyers_table(LABELS, VERDICTS, SOURCES)
    assert table["generated"] == {
        "n": 4,
        "sources": 2,
        "found": 0.5,
        "missed": 0.25,
        "undecided": 0.25,
    }
    real = table["real"]
    assert (real["n"], real["sources"]) == (5, 2)
    assert real["accused"] == pytest.approx(0.2)
    assert real["accused"] + real["cleared"] + real["undecided"] == pytest.approx(1)
    low, high = real["accused_interval"]
    assert low < 0.2 < high


def test_the_table_sums_to_a_hundred_however_it_rounds():
    assert of_hundred([1 / 3, 1 / 3, 1 / 3]) == ["34", "33", "33"]
    assert of_hundred([0.29, 0.57, 0.14]) == ["29", "57", "14"]
    rng = np.random.default_rng(0)
    for _ in range(200):
        counts = rng.multinomial(rng.integers(1, 400), [0.7, 0.2, 0.1])
        for digits in (0, 1):
            shares = of_hundred(counts / counts.sum(), digits)
            assert sum(map(float, shares)) == pytest.approx(100)


def test_the_sentence_is_one_that_a_buyer_understands():
    assert sentence(buyers_table(LABELS, VERDICTS, SOURCES)) == (
        "of 100 generated photos 50 are found, 25 missed and 25 undecided; of 100 real ones 20.0"
        " are accused, 60.0 cleared and 20.0 undecided"
    )


def test_kinds_are_counted_by_class_and_against_the_other():
    kinds = [*["flux"] * 3, "dall-e", *["food"] * 5]
    logits = np.array([3.0, 3, 3, -9, 0, 0, 0, 0, 0])
    entries = by_kind(LABELS, kinds, SOURCES, logits, VERDICTS)
    assert [(entry["kind"], entry["n"], entry["auc"]) for entry in entries] == [
        ("flux", 3, 1.0),
        ("dall-e", 1, 0.0),
        ("food", 5, pytest.approx(0.75)),
    ]
    assert entries[0]["found"] == pytest.approx(2 / 3)
    assert entries[2]["accused"] == pytest.approx(0.2)


def clustered(rng, shift):
    """40 sources of 10 photos each, whose photos share the luck of their source."""
    sources = np.repeat(np.arange(40), 10)
    labels = sources % 2
    scores = labels + rng.normal(0, shift, 40)[sources] + rng.normal(0, 0.5, 400)
    return labels, scores, [f"shop-{number}" for number in sources]


def test_the_interval_by_source_is_wider_than_the_one_by_photo():
    labels, scores, sources = clustered(np.random.default_rng(1), 1.0)
    each = [str(number) for number in range(len(labels))]

    def measure(index):
        return np.array([auc(labels[index], scores[index]), 1.0])

    by_source = by_source_interval(measure, labels, sources, 300, seed=3)
    by_photo = by_source_interval(measure, labels, each, 300, seed=3)
    assert by_source.shape == (2, 2)
    assert np.ptp(by_source[0]) > 1.8 * np.ptp(by_photo[0])
    assert by_source[0][0] < auc(labels, scores) < by_source[0][1]
    assert by_source[1].tolist() == [1, 1]


def test_without_differences_between_sources_the_share_has_its_exact_interval():
    hits = np.zeros(100, bool)
    low, high = share_interval(hits, ["a"] * 50 + ["b"] * 50)
    assert (low, high) == (0.0, pytest.approx(beta.ppf(0.975, 1, 100)))
    hits[[0, 99]] = True
    low, high = share_interval(hits, ["a"] * 50 + ["b"] * 50)
    assert high == pytest.approx(beta.ppf(0.975, 3, 98))
    assert low == pytest.approx(beta.ppf(0.025, 2, 99))


def test_accusations_of_one_shop_widen_the_interval():
    hits = np.zeros(200, bool)
    hits[:4] = True
    together = [f"shop-{number // 10}" for number in range(200)]
    spread = [f"shop-{number % 20}" for number in range(200)]
    low_together, high_together = share_interval(hits, together)
    low_spread, high_spread = share_interval(hits, spread)
    assert high_together > 1.3 * high_spread
    assert low_together < low_spread


def test_content_is_matched_with_other_sources_only():
    labels = np.array([1, 0, 0, 0])
    sources = ["x", "x", "y", "z"]
    # The nearest real photo is of the same source; of the others y is like it, z is not.
    embedding = np.array([[1.0, 0], [1, 0], [0.9, 0.3], [-1, 0.1]])
    logits = np.array([1.0, 5.0, 2.0, 0.0])
    found = content_matched(labels, sources, logits, embedding, nearest=1)
    assert found.auc == 0.0
    assert found.auc_random_pairs == 0.5
    assert found.index.tolist() == [0]


def test_photos_without_an_embedding_take_no_part():
    labels = np.array([1, 1, 0, 0])
    embedding = np.array([[1.0, 0], [np.nan, 0], [1, 0], [0, np.nan]])
    logits = np.array([1.0, -1.0, 1.0, 0.0])
    found = content_matched(labels, ["a", "b", "c", "d"], logits, embedding)
    assert (found.auc, found.index.tolist()) == (0.5, [0])
    assert content_matched(labels, ["a"] * 4, logits, embedding) is None


def test_a_beta_binomial_is_found_again():
    rng = np.random.default_rng(0)
    photos = np.full(4000, 30)
    accused = rng.binomial(photos, rng.beta(0.5, 20, 4000))
    a, b = fit_beta_binomial(accused, photos)
    assert a / (a + b) == pytest.approx(0.5 / 20.5, rel=0.1)
    assert a + b == pytest.approx(20.5, rel=0.2)
    with pytest.raises(TrainingError, match="cannot be fitted"):
        fit_beta_binomial(np.zeros(5, int), np.full(5, 9))


def test_the_bound_holds_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    photos = rng.integers(5, 30, 70)
    accused = rng.binomial(photos, rng.beta(1.0, 60, 70))
    config = CalibrationConfig(false_accusation_budget=0.02)
    found = bound_coverage(accused, photos, config, draws=30)
    assert found.covered > 0.85
    assert found.mean_rate < found.mean_bound
    few = [bound_coverage(accused, photos, config, draws=3) for _ in range(2)]
    assert few[0] == few[1]
