from collections import Counter

import numpy as np

from services.training.config import DataConfig
from services.training.data.photos import read_manifest, split_rows
from services.training.data.sample import SampleSpec, write_sample
from services.training.data.validation.validate import Limits, validate
from shared.ml.preprocess import decode


def test_the_same_seed_gives_the_same_photos(sample, tmp_path):
    again = write_sample(tmp_path / "again", SampleSpec(per_group=2, side=64))
    other = write_sample(tmp_path / "other", SampleSpec(seed=18, per_group=2, side=64))
    hashes = {row.sha256 for row in read_manifest(sample)}
    assert {record.sha256 for record in again} == hashes
    assert not hashes & {record.sha256 for record in other}


def test_it_can_be_split_like_a_real_one(sample):
    splits = split_rows(read_manifest(sample), DataConfig(extra_splits={"art": 0.5}))
    assert Counter(row.label for row in splits.train) == {0: 10, 1: 12}
    assert Counter(row.label for row in splits.validation) == {0: 4, 1: 4}
    unseen = {r.generator for r in splits.test["test_unseen_generator"] if r.label}
    assert len(unseen) == 2
    assert not unseen & {row.generator for row in splits.train}


def test_only_the_pixels_tell_the_classes_apart(tmp_path):
    """Mean colour does, at once; the files' sizes and qualities do not."""
    records = write_sample(tmp_path, SampleSpec())
    reds = {"real": [], "ai_generated": []}
    for record in records:
        mean = decode((tmp_path / record.file).read_bytes(), 96).reshape(-1, 3).mean(axis=0)
        reds[record.label].append(mean[0] - mean[1])
    assert np.mean(reds["ai_generated"]) - np.mean(reds["real"]) > 50
    bias = validate(tmp_path, {}, Limits(), 2, lambda *_: None).bias
    assert all(part["classifier"]["auc"] < 0.7 for part in bias.values())
