"""Content groups: found in features, and balanced so that content says nothing of the label."""

import numpy as np
import pytest
from safetensors.torch import save_file

from services.training.config import DataConfig
from services.training.data.content import CACHE, balanced, clustered, content_groups
from services.training.data.folds import FOLDS, folds_of
from services.training.data.photos import read_manifest, split_rows
from services.training.errors import TrainingError
from services.training.fit.loader import RoundLoader
from services.training.fit.probe import start_from_probe
from shared.ml.network import Detector, build_backbone
from shared.ml.spec import Normalization

NORMALIZATION = Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def test_within_a_group_both_classes_weigh_the_same():
    labels = np.array([0, 0, 0, 1, 0, 1, 1, 1, 0])
    groups = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2])
    weights = np.where(labels == 0, 0.5 / 5, 0.5 / 4)
    result = balanced(weights, labels, groups)
    assert result.sum() == pytest.approx(1)
    for group in (0, 1):
        real, generated = (result[(groups == group) & (labels == c)].sum() for c in (0, 1))
        assert real == pytest.approx(generated)
    # Its photos are all real: drawing them would teach what they show.
    assert result[8] == 0


def test_groups_of_one_class_each_are_refused():
    labels = np.array([0, 0, 1, 1])
    with pytest.raises(TrainingError, match="fewer groups"):
        balanced(np.full(4, 0.25), labels, labels)


def test_like_features_share_a_group():
    rng = np.random.default_rng(0)
    centers = rng.normal(0, 5, (3, 20))
    kind = np.repeat([0, 1, 2], 30)
    features = (centers[kind] + rng.normal(0, 0.3, (90, 20))).astype(np.float32)
    groups = clustered(features, 3, seed=0)
    assert all(len(set(groups[kind == each])) == 1 for each in range(3))
    assert len(set(groups)) == 3


@pytest.fixture
def base_weights(tmp_path):
    path = tmp_path / "base.safetensors"
    state = build_backbone("test_efficientnet").state_dict()
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    return path


def test_groups_are_formed_once_for_the_same_photos(dataset, base_weights, tmp_path):
    rows = split_rows(read_manifest(dataset), DataConfig()).train

    def groups(chosen, count=3):
        return content_groups(
            chosen, count, 0, "test_efficientnet", base_weights, NORMALIZATION, tmp_path
        )

    first = groups(rows)
    assert first.shape == (len(rows),)
    assert set(first) <= {0, 1, 2}
    np.savez(tmp_path / CACHE, key=np.load(tmp_path / CACHE)["key"], groups=first + 10)
    assert (groups(rows) == first + 10).all()
    # Other photos, other groups: what was kept is not taken for them.
    assert set(groups(rows[:-1])) <= {0, 1, 2}
    with pytest.raises(TrainingError, match="content groups"):
        groups(rows[:2])


def test_folds_keep_groups_whole_and_classes_even():
    rng = np.random.default_rng(1)
    rows = [(int(label), f"g{label}-{group}") for label in (0, 1) for group in range(40)
            for _ in range(int(rng.integers(1, 20)))]  # fmt: skip
    folds = folds_of(rows)
    home = {}
    for row, fold in zip(rows, folds, strict=True):
        assert home.setdefault(row, fold) == fold
    for label in (0, 1):
        sizes = [sum(1 for row, f in zip(rows, folds, strict=True) if f == k and row[0] == label)
                 for k in range(FOLDS)]  # fmt: skip
        assert max(sizes) - min(sizes) <= 20
    assert (folds_of(list(reversed(rows))) == folds[::-1]).all()


def test_a_group_of_both_classes_is_in_one_fold():
    rows = [(0, "shop")] * 5 + [(1, "shop")] * 9 + [(0, "a"), (1, "b"), (0, "c")]
    folds = folds_of(rows)
    assert len(set(folds[:14])) == 1


def test_held_out_folds_validate_and_the_rest_trains(dataset):
    rows = read_manifest(dataset)
    splits = split_rows(rows, DataConfig(held_out_folds=(0, 1)))
    groups = [{row.group for row in part} for part in (splits.train, splits.validation)]
    assert not groups[0] & groups[1]
    assert groups[0]
    assert groups[1]
    assert not any("test" in row.split for row in (*splits.train, *splits.validation))


@pytest.mark.parametrize("architecture", ["test_efficientnet", "test_efficientnet+statistics"])
def test_the_probe_tells_the_classes_before_any_training(dataset, config, architecture):
    """Red from green is what the synthetic photos differ in: a fitted head tells most apart."""
    rows = split_rows(read_manifest(dataset), DataConfig()).train
    detector = Detector(build_backbone(architecture), NORMALIZATION)
    start_from_probe(detector, RoundLoader(rows, config), 96)
    loader = RoundLoader(rows, config)
    right = total = 0
    for images, labels in loader.batches(0):
        guesses = detector.eval()(images) > 0
        right += int((guesses == (labels == 1)).sum())
        total += len(labels)
    assert right / total > 0.9
