"""The view's network says the same in torch and in OpenVINO, whole and in parts."""

import numpy as np
import pytest
import torch
from openvino import opset15 as op

from shared.ml.members.view_graph import view_nodes
from shared.ml.members.view_torch import ViewNetwork
from shared.ml.members.weights import dequantised, quantised
from tests.support.eyes import BLOCKS, PATCHES, SIZE, TRUNK_BLOCKS, WIDTH, compiled, tiny_view

SIDE = SIZE // 16


@pytest.fixture(scope="module")
def weights():
    return dequantised(quantised(tiny_view()))


@pytest.fixture(scope="module")
def network(weights):
    return ViewNetwork.from_weights(weights, TRUNK_BLOCKS).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).normal(0, 1, (3, 3, SIZE, SIZE)).astype(np.float32)


def test_openvino_says_what_torch_says(network, weights, images):
    expected = network(torch.from_numpy(images))
    inputs = op.parameter([-1, 3, SIZE, SIZE], np.float32)
    pulls = [pull.numpy() for pull in network.pulls()]
    nodes = view_nodes(inputs, weights, pulls)
    tokens, evidence, last = compiled(list(nodes), [inputs])([images]).values()
    assert tokens.shape == (3, BLOCKS, WIDTH)
    assert tokens == pytest.approx(expected.tokens.numpy(), abs=1e-3)
    # The last block computes its class token alone.
    assert last.shape == (3, 1, WIDTH)
    logits = tokens.reshape(3, -1) @ weights["head.weight"] + weights["head.bias"]
    assert logits == pytest.approx(expected.logits.numpy(), abs=1e-3)
    assert np.ptp(logits) > 0.1
    assert evidence.shape == (3, SIDE, SIDE)
    assert evidence == pytest.approx(expected.evidence.numpy(), abs=1e-3)
    assert evidence.std() > 1e-2


def test_a_whole_last_block_has_all_tokens(network, weights, images):
    inputs = op.parameter([-1, 3, SIZE, SIZE], np.float32)
    nodes = view_nodes(inputs, weights, whole=True)
    assert nodes.evidence is None
    tokens, last = compiled([nodes.tokens, nodes.last], [inputs])([images]).values()
    assert last.shape == (3, 1 + PATCHES, WIDTH)
    assert last[:, 0] == pytest.approx(tokens[:, -1], abs=1e-5)
    expected = network(torch.from_numpy(images)).tokens.numpy()
    assert tokens == pytest.approx(expected, abs=1e-3)


def test_the_class_token_alone_is_the_full_blocks(network, images):
    x, _ = network.trunk_tokens(torch.from_numpy(images))
    block = network.blocks[-1]
    alone = block(x, class_only=True)
    assert alone.shape == (3, 1, WIDTH)
    assert torch.allclose(alone, block(x)[:, :1], atol=1e-5)


def test_going_on_behind_the_trunk_is_the_whole_network(network, images):
    x, first = network.trunk_tokens(torch.from_numpy(images))
    assert x.shape == (3, 1 + PATCHES, WIDTH)
    assert first.shape == (3, TRUNK_BLOCKS, WIDTH)
    assert torch.equal(first[:, -1], x[:, 0])
    parts, whole = network.from_tokens(x, first), network(torch.from_numpy(images))
    assert all(torch.equal(a, b) for a, b in zip(parts, whole, strict=True))
    upper = network.upper_tokens(x)
    assert torch.allclose(upper, whole.tokens[:, TRUNK_BLOCKS:], atol=1e-6)


def test_the_evidence_is_what_attention_adds_to_the_logit(images):
    """Without MLPs the logit is the trunk's share and what attention adds: nothing else."""
    weights = tiny_view(seed=2)
    for number in range(TRUNK_BLOCKS, BLOCKS):
        for key in ("attn.proj.bias", "mlp.fc2.weight", "mlp.fc2.bias"):
            weights[f"blocks.{number}.{key}"] = np.zeros_like(weights[f"blocks.{number}.{key}"])
    network = ViewNetwork.from_weights(weights, TRUNK_BLOCKS).eval().requires_grad_(False)
    x, first = network.trunk_tokens(torch.from_numpy(images))
    read = network.from_tokens(x, first)
    rows = network.head.weight[0].view(BLOCKS, WIDTH)
    trunk = (first * rows[:TRUNK_BLOCKS]).sum((1, 2)) + first[:, -1] @ rows[TRUNK_BLOCKS:].sum(0)
    own = torch.zeros(3)
    for pull, block in zip(network.pulls(), network.blocks[TRUNK_BLOCKS:], strict=True):
        own = own + block.pulled(x, pull)[:, 0]
        x = block(x)
    total = network.head.bias + trunk + own + read.evidence.sum((1, 2))
    assert torch.allclose(total, read.logits, atol=1e-3)


def test_a_trunk_alone_has_no_opinion(images):
    network = ViewNetwork.from_weights(tiny_view(head=False), TRUNK_BLOCKS).eval()
    with torch.inference_mode():
        assert not network(torch.from_numpy(images)).logits.any()


def test_a_missing_weight_is_named(weights):
    fewer = {key: value for key, value in weights.items() if key != "blocks.1.mlp.fc1.weight"}
    with pytest.raises(RuntimeError, match=r"blocks\.1\.mlp\.fc1\.weight"):
        ViewNetwork.from_weights(fewer, TRUNK_BLOCKS)
    with pytest.raises(KeyError, match=r"mlp\.fc1\.weight"):
        view_nodes(op.parameter([1, 3, SIZE, SIZE], np.float32), fewer)
