from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from services.training.config import DataConfig
from services.training.data.exclusions import without_excluded
from services.training.data.photos import (
    Row,
    fingerprint,
    read_manifest,
    sampling_weights,
    split_rows,
)
from services.training.errors import TrainingError


def row(number, label=0, split="train", group="g", generator="x"):
    return Row(Path(f"{number}.jpg"), f"{number:064x}", label, generator, group, split)


def rows_of(*counts):
    """Rows from (count, label, split, group, generator) tuples."""
    made = []
    for count, *rest in counts:
        made += [row(len(made) + i, *rest) for i in range(count)]
    return made


def test_holdout_groups_move_whole_to_validation():
    rows = rows_of((3, 0, "train", "a"), (2, 0, "train", "b"), (4, 0, "val", "c"))
    splits = split_rows(rows, DataConfig(holdout_groups=("b",)))
    assert Counter(r.group for r in splits.train) == {"a": 3}
    assert Counter(r.group for r in splits.validation) == {"b": 2, "c": 4}


def test_unseen_generators_are_judged_against_the_real_photos_of_unseen_sources():
    rows = rows_of(
        (3, 0, "test_unseen_source", "r"),
        (2, 1, "test_unseen_source", "s"),
        (4, 1, "test_unseen_generator", "t"),
    )
    test = split_rows(rows, DataConfig()).test
    assert Counter(r.group for r in test["test_unseen_source"]) == {"r": 3, "s": 2}
    assert Counter(r.group for r in test["test_unseen_generator"]) == {"r": 3, "t": 4}


@pytest.mark.parametrize("other", ["val", "test_unseen_source", "test_unseen_generator"])
def test_a_group_on_two_sides_is_refused(other):
    rows = rows_of((2, 0, "train", "a"), (1, 0, other, "a"))
    with pytest.raises(TrainingError, match="two sides"):
        split_rows(rows, DataConfig())


def test_an_unknown_holdout_group_is_refused():
    with pytest.raises(TrainingError, match="nope"):
        split_rows(rows_of((1, 0, "train", "a")), DataConfig(holdout_groups=("nope",)))


def test_a_limit_takes_from_every_group_in_turn():
    rows = rows_of(
        (50, 0, "train", "large"), (3, 0, "train", "small"), (9, 1, "train", "ai", "gen")
    )
    limited = split_rows(rows, DataConfig(limit_per_class=8)).train
    assert Counter(r.group for r in limited) == {"large": 5, "small": 3, "ai": 8}


def test_classes_weigh_the_same_and_families_by_the_root_of_their_size():
    rows = rows_of(
        (100, 0, "train", "big"), (4, 0, "train", "small"), (9, 1, "train", "shop", "gen")
    )
    weights = sampling_weights(rows, DataConfig(family_exponent=0.5))
    share = Counter()
    for r, weight in zip(rows, weights, strict=True):
        share[r.family] += weight
    assert share["gen"] == pytest.approx(0.5)
    assert share["big"] / share["small"] == pytest.approx(10 / 2)


def test_extra_splits_train_with_their_weight():
    rows = rows_of((4, 0, "train", "r"), (4, 1, "train", "s", "one"), (4, 1, "art", "t", "two"))
    config = DataConfig(extra_splits={"art": 0.25})
    train = split_rows(rows, config).train
    weights = sampling_weights(train, config)
    art = np.array([r.split == "art" for r in train])
    ai = np.array([r.label == 1 for r in train])
    assert weights[art].sum() / weights[ai & ~art].sum() == pytest.approx(0.25)


def test_one_class_alone_cannot_train():
    with pytest.raises(TrainingError, match="no photo"):
        sampling_weights(rows_of((3, 0, "train", "a")), DataConfig())


def test_the_fingerprint_ignores_order_and_sees_labels():
    rows = rows_of((5, 0, "train", "a"))
    changed = [*rows[:-1], row(4, label=1, group="a")]
    assert fingerprint(rows) == fingerprint(rows[::-1])
    assert fingerprint(rows) != fingerprint(changed)


def test_the_manifest_is_read_and_checked(dataset, tmp_path):
    rows = read_manifest(dataset)
    assert len(rows) == 48
    assert Counter(r.label for r in rows) == {0: 24, 1: 24}
    text = (dataset / "manifest.csv").read_text()
    manifest = tmp_path / "manifest.csv"
    for broken, message in [
        (text.replace("label", "lable", 1), "lacks the columns"),
        (text.replace(",real,", ",photo,", 1), "unknown label"),
        (text, "images are missing"),
    ]:
        manifest.write_text(broken)
        with pytest.raises(TrainingError, match=message):
            read_manifest(tmp_path)


def test_rows_tell_of_their_original_where_the_manifest_does(dataset, tmp_path):
    first = read_manifest(dataset)[0]
    assert (first.repository, first.source_sha256) == ("shop/0", "")
    assert (first.source_width, first.source_height) == (0, 0)
    lines = (dataset / "manifest.csv").read_text().splitlines()[:2]
    (tmp_path / "images").symlink_to(dataset / "images")
    manifest = tmp_path / "manifest.csv"
    lines[0] += ",source_sha256,source_width,source_height"
    manifest.write_text(f"{lines[0]}\n{lines[1]},{'a' * 64},1600,1200\n")
    (read,) = read_manifest(tmp_path)
    assert (read.source_sha256, read.source_width, read.source_height) == ("a" * 64, 1600, 1200)
    assert fingerprint([read]) == fingerprint([first])
    manifest.write_text(f"{lines[0]}\n{lines[1]},{'a' * 64},1600.5,1200\n")
    with pytest.raises(TrainingError, match="odd source_width"):
        read_manifest(tmp_path)


def test_excluded_photos_take_no_part(dataset, tmp_path, monkeypatch):
    rows = read_manifest(dataset)
    path = tmp_path / "exclusions.csv"
    path.write_text(f"file,sha256,reason\nx.jpg,{rows[0].sha256},a poster\n")
    monkeypatch.setattr(
        "services.training.data.photos.without_excluded",
        lambda found: without_excluded(found, path),
    )
    assert read_manifest(dataset) == rows[1:]
