"""Which photos a step sees, the first head, and folds that cut no repository."""

import numpy as np
import pytest

from services.training.evaluate.metrics import auc
from services.training.eyes.head import fit_head
from services.training.eyes.sampling import Columns, draw_weights, folds


def columns(labels, repositories):
    count = len(labels)
    names = np.array([f"{number:02x}" for number in range(count)])
    return Columns(
        sha256=names,
        label=np.array(labels),
        split=np.array(["train"] * count),
        repository=np.array(repositories),
        generator=names,
        category=names,
        is_original=np.ones(count, bool),
    )


def test_a_repository_is_never_in_two_folds():
    names = np.array([f"shop/{number % 50}" for number in range(400)])
    found = folds(names, 3)
    assert set(found) == {0, 1, 2}
    assert all(len(set(found[names == name])) == 1 for name in set(names))
    # Which fold depends on the name alone, not on the others.
    assert np.array_equal(folds(names[::7], 3), found[::7])


def content_of(groups):
    """Features in which these groups are far apart."""
    rng = np.random.default_rng(0)
    return (np.eye(8)[groups] * 10 + rng.normal(0, 0.01, (len(groups), 8))).astype(np.float32)


def test_classes_are_even_and_nearly_so_within_content():
    # 16 photos, two contents; in the first nearly all are generated.
    groups = np.repeat([0, 1], 12)
    labels = np.array([1] * 10 + [0] * 2 + [0] * 10 + [1] * 2)
    made = columns(labels, [f"r{number}" for number in range(24)])
    chosen = np.arange(24)
    # 24 photos make three groups at most; a fourth of the rest stays where it was.
    chance = draw_weights(made, chosen, content_of(groups), seed=0)
    assert chance.sum() == pytest.approx(1)
    assert chance[labels == 1].sum() == pytest.approx(0.5)
    for group in (0, 1):
        inside = chance[groups == group]
        share = inside[labels[groups == group] == 1].sum() / inside.sum()
        # 5/6 and 1/6 as the photos are; 0.6 of the draws are even.
        assert share == pytest.approx(0.6 * 0.5 + 0.4 * (5 / 6 if group == 0 else 1 / 6), abs=0.03)


def test_a_source_counts_by_the_root_of_its_photos():
    # Of each class a source of 16 photos and one of 4; contents say nothing.
    labels = np.repeat([0, 1], 20)
    repositories = (["big"] * 16 + ["small"] * 4) * 2
    made = columns(labels, repositories)
    content = np.random.default_rng(0).normal(0, 1, (20, 8)).astype(np.float32)
    chance = draw_weights(made, np.arange(40), np.tile(content, (2, 1)), seed=0)
    large = chance[np.array(repositories) == "big"].sum()
    # 16**0.5 to 4**0.5.
    assert large == pytest.approx(4 / 6, abs=1e-6)


def test_a_few_photos_are_one_group():
    made = columns([0, 1, 1], ["a", "b", "b"])
    chance = draw_weights(made, np.arange(3), np.eye(3, dtype=np.float32), seed=0)
    assert chance == pytest.approx([0.5, 0.25, 0.25])


def test_a_head_is_the_same_folded_and_finds_the_class():
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    features = rng.normal(3, 2, (200, 12)).astype(np.float32)
    features[:, 4] += 3 * labels
    features[:, 7] = 5
    sources = np.array([f"r{number % 9}" for number in range(200)])
    head = fit_head(features, labels, sources, c=0.1)
    logits = head.logits(features)
    assert auc(labels, logits) > 0.8
    weight, bias = head.folded()
    assert features @ weight + bias == pytest.approx(logits, abs=1e-3)
    assert np.abs(head.weight).argmax() == 4
