"""OpenVINO's graph of the tiles' network says what torch's network says, from the same weights."""

import numpy as np
import openvino as ov
import pytest
import torch
from openvino import opset15 as op

from shared.ml import statistics
from shared.ml.members import tiles_graph
from shared.ml.members.tiles_graph import tiles_nodes
from shared.ml.members.weights import dequantised, quantised
from shared.ml.network import build_backbone

ARCHITECTURE = "tf_efficientnet_lite0+statistics"


@pytest.fixture(scope="module")
def network():
    """Random weights under which statistics spread, and some are clamped."""
    torch.manual_seed(0)
    network = build_backbone(ARCHITECTURE).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.5, 1.5)
        found = network.statistics(torch.randn(8, 3, 64, 64))
        spread = found.std(0) + 1e-2
        count = len(spread)
        network.start_from(found.mean(0), spread, torch.randn(count) / count**0.5, torch.ones(1))
    return network


def state(network):
    return {
        key: value.numpy()
        for key, value in network.state_dict().items()
        if value.dtype.is_floating_point
    }


def compiled(weights, size, *, evidence=True):
    images = op.parameter([-1, 3, size, size], np.float32)
    nodes = tiles_nodes(images, weights, evidence=evidence)
    outputs = [node for node in nodes if node is not None]
    config = {"INFERENCE_PRECISION_HINT": "f32"}
    return ov.Core().compile_model(ov.Model(outputs, [images]), "CPU", config)


@pytest.mark.parametrize("size", [64, 224])
def test_logits_and_evidence_are_those_of_torch(network, size):
    images = np.random.default_rng(1).normal(0, 1.5, (3, 3, size, size)).astype(np.float32)
    images[2] = 0.25
    with torch.inference_mode():
        expected = network.read(torch.from_numpy(images), evidence=True)
    logits, evidence = compiled(state(network), size)([images]).values()
    assert logits.shape == (3,)
    assert logits == pytest.approx(expected.logits[:, 0].numpy(), abs=1e-3)
    assert evidence.shape == (3, size // 16, size // 16)
    # A cell holds sums of large terms that cancel in its mean, which is the logit.
    assert evidence == pytest.approx(expected.evidence.numpy(), abs=1e-2)
    bias = network.classifier.bias.item()
    assert evidence.mean((1, 2)) + bias == pytest.approx(logits, abs=1e-3)
    assert expected.pooled.abs().max() == tiles_graph.LIMIT


def test_stored_weights_mean_the_same_to_both(network):
    weights = dequantised(quantised(state(network)))
    other = build_backbone(ARCHITECTURE).eval()
    other.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()}, strict=False)
    images = np.random.default_rng(2).normal(0, 1, (2, 3, 64, 64)).astype(np.float32)
    with torch.inference_mode():
        expected = other(torch.from_numpy(images))[:, 0].numpy()
    graph = compiled(weights, 64, evidence=False)
    assert len(graph.outputs) == 1
    (logits,) = graph([images]).values()
    assert logits == pytest.approx(expected, abs=1e-3)


def test_the_constants_are_those_of_the_torch_network():
    assert tiles_graph.STAGES == statistics.STAGES
    assert tiles_graph.LIMIT == statistics.LIMIT
    assert tiles_graph.EPSILON == statistics._EPSILON


def test_a_missing_weight_is_named(network):
    weights = state(network)
    del weights["blocks.2.0.conv_dw.weight"]
    with pytest.raises(KeyError, match=r"blocks\.2\.0\.conv_dw\.weight"):
        compiled(weights, 64)
