"""The autoencoder's partners of real photos, with random weights: theirs are not in the repo."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from services.training.config import DataConfig
from services.training.data.photos import read_manifest, split_rows
from services.training.errors import TrainingError
from services.training.fit import reconstruct
from services.training.fit.taef2 import build_decoder, build_encoder, load_autoencoder


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    torch.save(build_encoder().state_dict(), folder / "encoder.pth")
    torch.save(build_decoder().state_dict(), folder / "decoder.pth")
    return load_autoencoder(folder / "encoder.pth", folder / "decoder.pth")


def test_the_networks_have_the_published_shapes_and_keys():
    """Keys as the weights' description lists them: layers 0-14 and 0-19, pools in the middle."""
    encoder, decoder = build_encoder(), build_decoder()
    assert [len(encoder), len(decoder)] == [15, 20]
    assert encoder.state_dict()["14.weight"].shape == (32, 64, 3, 3)
    assert encoder.state_dict()["11.pool.0.weight"].shape == (256, 64, 1, 1)
    assert decoder.state_dict()["1.weight"].shape == (64, 32, 3, 3)
    assert decoder.state_dict()["3.pool.3.weight"].shape == (64, 256, 1, 1)
    assert decoder.state_dict()["18.conv.4.bias"].shape == (64,)
    latent = encoder(torch.zeros(1, 3, 32, 16))
    assert latent.shape == (1, 32, 4, 2)
    assert decoder(latent).shape == (1, 3, 32, 16)


@pytest.mark.parametrize("shape", [(16, 24), (17, 31), (9, 8)])
def test_a_partner_has_its_photos_size(autoencoder, shape):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    partner = reconstruct.reconstruct(pixels, autoencoder)
    assert partner.shape == pixels.shape
    assert partner.dtype == np.uint8


def test_partners_train_and_never_leave_the_training_side(autoencoder, dataset, tmp_path):
    """Made once, listed in a manifest of their own, and refused where their photo is held out."""
    for name in ("images", "manifest.csv"):
        (tmp_path / name).symlink_to(dataset / name)
    (tmp_path / "images").unlink()
    (tmp_path / "images").mkdir()
    for path in (dataset / "images").iterdir():
        (tmp_path / "images" / path.name).symlink_to(path)
    rows = read_manifest(tmp_path)
    chosen = reconstruct.choose(split_rows(rows, DataConfig()).train, 5)
    assert len({row.group for row in chosen}) == min(5, len({r.group for r in chosen}))
    told = []
    for _ in range(2):
        manifest = reconstruct.reconstruct_all(
            chosen, autoencoder, tmp_path, 64, lambda done, total: told.append((done, total))
        )
    assert told[-1] == (5, 5)
    with manifest.open(newline="") as stream:
        records = list(csv.DictReader(stream))
    assert {record["label"] for record in records} == {"ai_generated"}
    with Image.open(tmp_path / records[0]["file"]) as image:
        assert image.size == (64, 64)

    every = read_manifest(tmp_path, [reconstruct.MANIFEST])
    without = split_rows(every, DataConfig())
    assert not any(row.generator == reconstruct.GENERATOR for row in without.train)
    taken = DataConfig(extra_splits={reconstruct.SPLIT: 1.0})
    assert (
        sum(row.generator == reconstruct.GENERATOR for row in split_rows(every, taken).train) == 5
    )
    held = DataConfig(extra_splits={reconstruct.SPLIT: 1.0}, holdout_groups=(chosen[0].group,))
    kept = split_rows(every, held).train
    assert chosen[0].group not in {row.group for row in kept}


def test_a_missing_extra_manifest_is_named(dataset):
    with pytest.raises(TrainingError, match=r"reconstructed\.csv"):
        read_manifest(dataset, [reconstruct.MANIFEST])
