"""Tuning on planted tokens: it learns what is in the class tokens, and goes on where it ended."""

import numpy as np
import pytest
import torch

from services.training.evaluate.metrics import auc
from services.training.eyes.head import Head
from services.training.eyes.tune import TuneConfig, UpperBlocks, _batch, _schedule, score, tune
from shared.ml.members.view_torch import ViewNetwork
from tests.support.eyes import BLOCKS, PATCHES, TRUNK_BLOCKS, WIDTH, tiny_view

LENGTH = 1 + PATCHES
LEARN, HELD = np.arange(0, 96), np.arange(96, 160)


def network():
    view = ViewNetwork.from_weights(tiny_view(head=False), TRUNK_BLOCKS)
    width = BLOCKS * WIDTH
    zeros, ones = np.zeros(width, np.float32), np.ones(width, np.float32)
    return UpperBlocks(view, Head(zeros, ones, zeros, 0.0))


@pytest.fixture(scope="module")
def planted():
    """Tokens of 160 photos in two versions; the class moves the class tokens in one direction."""
    rng = np.random.default_rng(0)
    labels = np.arange(160) % 2
    tokens = rng.normal(0, 1, (160, 2, LENGTH, WIDTH)).astype(np.float16)
    classes = rng.normal(0, 1, (160, 2, TRUNK_BLOCKS, WIDTH)).astype(np.float16)
    direction = rng.normal(0, 0.3, WIDTH)
    signal = ((2 * labels - 1)[:, None] * direction).astype(np.float16)
    tokens[:, :, 0] += signal[:, None]
    classes += signal[:, None, None]
    return tokens, classes, labels


def run(trained, planted, config, path, say):
    tokens, classes, labels = planted
    chance = np.full(len(LEARN), 1 / len(LEARN))
    versions = np.ones((160, 2), bool)
    tune(trained, tokens, classes, labels, chance, LEARN, versions, config, path, say)


def loss(trained, planted, rows):
    tokens, classes, labels = planted
    logits, _ = score(trained, tokens, classes, rows, 1)
    return float(np.logaddexp(0, np.where(labels[rows] == 1, -logits, logits)).mean())


def test_the_loss_falls_and_held_out_photos_are_told_apart(planted, tmp_path):
    trained = network()
    before = loss(trained, planted, LEARN)
    first = {key: value.clone() for key, value in trained.trained().items()}
    config = TuneConfig(steps=40, batch=16, block_rate=1e-4, head_rate=3e-3, ema=0.9)
    run(trained, planted, config, tmp_path / "tuning.pt", lambda line: None)
    assert before == pytest.approx(np.log(2), abs=1e-3)
    assert loss(trained, planted, LEARN) < 0.7 * before
    tokens, classes, labels = planted
    logits, features = score(trained, tokens, classes, HELD, 0)
    assert features.shape == (len(HELD), BLOCKS * WIDTH)
    assert auc(labels[HELD], logits) > 0.9
    # Blocks behind the trunk have learnt, those of the trunk have not.
    moved = trained.trained()
    assert not torch.equal(moved["blocks.0.mlp.fc1.weight"], first["blocks.0.mlp.fc1.weight"])
    trunk = tiny_view(head=False)["blocks.0.mlp.fc1.weight"]
    assert np.array_equal(trained.view.blocks[0].mlp.fc1.weight.detach().numpy(), trunk)
    # The head that is packaged reads the tokens as they are.
    weight, bias = trained.folded_head()
    assert features @ weight + bias == pytest.approx(logits, abs=1e-3)


class Stopped(Exception):
    pass


def test_a_stopped_run_goes_on_and_a_finished_one_is_not_repeated(planted, tmp_path):
    path = tmp_path / "tuning.pt"
    config = TuneConfig(steps=4, batch=4, checkpoint_every=2)

    def stop(line):
        raise Stopped

    with pytest.raises(Stopped):
        run(network(), planted, config, path, stop)
    assert torch.load(path, weights_only=True)["step"] == 2
    said = []
    resumed = network()
    run(resumed, planted, config, path, said.append)
    assert len(said) == 1
    assert said[0].startswith("step 4: loss ")
    assert torch.load(path, weights_only=True)["step"] == 4
    again = network()
    run(again, planted, config, path, said.append)
    assert len(said) == 1
    for key, value in resumed.trained().items():
        assert torch.equal(value, again.trained()[key])
    assert not again.training


def test_a_batch_keeps_the_class_token_first_and_half_of_the_patches():
    positions = np.arange(LENGTH, dtype=np.float16)
    tokens = np.broadcast_to(positions[None, None, :, None], (6, 2, LENGTH, 4)).copy()
    tokens[:, :, :, 1] = np.arange(6)[:, None, None]
    tokens[:, :, :, 2] = np.arange(2)[None, :, None]
    classes = np.broadcast_to(tokens[:, :, :1, 1:3], (6, 2, 1, 2)).copy()
    versions = np.array([[True, True]] * 3 + [[True, False]] * 3)
    labels, rows = np.array([0, 1, 0, 1, 0, 1]), np.array([1, 2, 4, 5])
    config = TuneConfig(batch=64, smoothing=0.1)
    chance = np.array([0.25, 0.25, 0.5, 0.0])
    rng = np.random.default_rng(0)
    x, first, target = _batch(tokens, classes, labels, chance, rows, versions, config, rng)
    assert x.shape == (64, 1 + PATCHES // 2, 4)
    assert (x[:, 0, 0] == 0).all()
    assert (x[:, 1:, 0].diff(dim=1) > 0).all()
    assert len({tuple(each.tolist()) for each in x[:, :, 0]}) > 32
    photos, looks = x[:, 0, 1].int(), x[:, 0, 2].int()
    assert set(photos.tolist()) == {1, 2, 4}
    assert set(looks[photos == 4].tolist()) == {0}
    assert set(looks[photos == 1].tolist()) == {0, 1}
    assert torch.equal(first[:, 0], torch.stack([photos, looks], 1).float())
    expected = 0.05 + 0.9 * torch.from_numpy(labels)[photos].float()
    assert torch.allclose(target, expected)


def test_the_rate_warms_up_and_falls_to_nothing():
    rates = [_schedule(step, 300) for step in range(300)]
    assert rates[0] == pytest.approx(1 / 30)
    assert max(rates) == 1
    assert np.argmax(rates) in {29, 30}
    assert rates[-1] < 1e-3
    assert _schedule(0, 1) > 0
