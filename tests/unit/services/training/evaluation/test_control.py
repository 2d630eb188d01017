import numpy as np
import pytest

from services.training.evaluate.metrics import auc
from services.training.evaluation.control import (
    LIMIT,
    FileFacts,
    control_numbers,
    control_scores,
    matched_subset,
)

N = 480


def photos(size_clue):
    """20 sources a class; with the clue most generated photos are large, and few real ones."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], N // 2)
    large = rng.random(N) < np.where(labels == 1, 0.8, 0.2) if size_clue else rng.random(N) < 0.5
    width = np.where(large, 1400, 700) + rng.integers(-60, 60, N)
    height = np.where(large, 1400, 700) + rng.integers(-60, 60, N)
    facts = FileFacts(
        width.astype(float),
        height.astype(float),
        width * height * rng.uniform(0.1, 0.3, N),
        np.where(large, 4.0, 4.0),
        np.array(["JPEG"] * N),
    )
    sources = [f"{label}/{number % 20}" for number, label in enumerate(labels)]
    return facts, labels, sources


def test_the_control_finds_a_planted_size_clue():
    facts, labels, sources = photos(size_clue=True)
    assert 0.72 < auc(labels, control_scores(facts, labels, sources, seed=1)) < 0.85


def test_the_control_finds_nothing_where_nothing_is():
    facts, labels, sources = photos(size_clue=False)
    assert auc(labels, control_scores(facts, labels, sources, seed=1)) == pytest.approx(
        0.5, abs=0.1
    )


def test_the_control_finds_the_format():
    facts, labels, sources = photos(size_clue=False)
    facts = FileFacts(
        facts.width, facts.height, facts.bytes, facts.tiles, np.where(labels, "PNG", "JPEG")
    )
    assert auc(labels, control_scores(facts, labels, sources, seed=1)) > 0.98


def test_the_control_does_not_learn_a_source_by_heart():
    """Every source has its own size: no help for the sources held out."""
    facts, labels, sources = photos(size_clue=False)
    sizes = dict(zip(sorted(set(sources)), np.random.default_rng(3).permutation(40), strict=True))
    own = np.array([500.0 + 10 * sizes[source] for source in sources])
    facts = FileFacts(own, own, own**2 / 5, facts.tiles, facts.format)
    assert auc(labels, control_scores(facts, labels, sources, seed=1)) < 0.67


def test_the_matched_subset_removes_the_clue_and_shows_who_lived_on_it():
    facts, labels, sources = photos(size_clue=True)
    rng = np.random.default_rng(5)
    control = control_scores(facts, labels, sources, seed=1)
    found = matched_subset(facts, labels, sources, control, seed=1)
    assert found.control_auc <= LIMIT
    assert (labels[found.index] == 1).sum() == (labels[found.index] == 0).sum() > 50
    by_size = np.log(facts.width * facts.height) + rng.normal(0, 0.01, N)
    by_pixels = labels + rng.normal(0, 0.4, N)
    assert auc(labels, by_size) > 0.7
    assert auc(labels[found.index], by_size[found.index]) == pytest.approx(0.5, abs=0.07)
    numbers = control_numbers(facts, labels, sources, by_pixels, 1, lambda index: [len(index)])
    assert numbers["control_auc"] == auc(labels, control)
    assert numbers["matched"]["gap"] == pytest.approx(0, abs=0.03)
    assert numbers["matched"]["auc_interval"] == [len(found.index)]


def test_too_few_photos_have_no_matched_subset():
    facts, labels, sources = photos(size_clue=True)
    few = np.r_[0:20, N - 20 : N]
    kept = [sources[index] for index in few]
    numbers = control_numbers(facts.at(few), labels[few], kept, few * 1.0, 1, lambda _index: [])
    assert numbers["matched"] is None


def test_one_source_of_a_class_has_no_control():
    facts, labels, _ = photos(size_clue=True)
    one = ["shop" if label == 0 else f"gallery-{n % 9}" for n, label in enumerate(labels)]
    assert control_scores(facts, labels, one, seed=1) is None
