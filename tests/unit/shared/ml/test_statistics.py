"""The statistics head: what it reads, and evidence that adds up to the logit."""

import pytest
import torch

from shared.ml.network import Detector, build_backbone, has_evidence
from shared.ml.spec import Normalization
from shared.ml.statistics import LIMIT, StatisticsNetwork

NORMALIZATION = Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    network = build_backbone("test_efficientnet+statistics").eval()
    assert isinstance(network, StatisticsNetwork)
    count = len(network.center)
    network.start_from(
        torch.randn(count) * 0.1,
        torch.rand(count) * 0.1 + 0.02,
        torch.randn(count) * 0.2,
        torch.tensor(0.4),
    )
    return network


def test_it_ends_at_the_last_stage_that_it_reads():
    whole = build_backbone("tf_efficientnet_lite0")
    network = build_backbone("tf_efficientnet_lite0+statistics")
    assert len(network.blocks) == 5
    # Means and deviations of 24, 40, 80 and 112 channels.
    assert len(network.center) == 2 * (24 + 40 + 80 + 112)
    ours, theirs = (sum(p.numel() for p in each.parameters()) for each in (network, whole))
    assert ours < theirs / 3


def test_the_statistics_are_means_and_deviations_of_the_stages(network):
    images = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        first = network.blocks[1](network.blocks[0](network.bn1(network.conv_stem(images))))
        channels = first.shape[1]
        found = network.statistics(images)
    assert torch.allclose(found[:, :channels], first.mean((2, 3)), atol=1e-5)
    deviation = first.std((2, 3), correction=0)
    assert torch.allclose(found[:, channels : 2 * channels], deviation, atol=5e-3)


@pytest.mark.parametrize("size", [(64, 64), (75, 99), (96, 64)])
def test_the_evidence_averages_to_the_logit(network, size):
    """On sides that divide and on sides that do not; with statistics beyond the limit too."""
    detector = Detector(network, NORMALIZATION).eval()
    images = torch.randint(0, 256, (3, *size, 3), dtype=torch.uint8)
    images[2] = 255  # flat: far from the center in every statistic
    with torch.inference_mode():
        standardised = (detector.features(images) - network.center) / network.spread
        assert (standardised.abs() > LIMIT).any()
        logits, evidence = detector.explained(images)
        assert torch.allclose(logits, detector(images))
    assert has_evidence(network)
    bias = network.classifier.bias
    assert torch.allclose(evidence.mean((1, 2)) + bias, logits, atol=2e-3)
    # Not the same everywhere: it says where.
    assert (evidence[:2].std((1, 2)) > 1e-3).all()


def test_no_statistic_counts_beyond_the_limit(network):
    near, far = network.center + LIMIT * network.spread, network.center + 99 * network.spread
    assert torch.allclose(network._clipped(near[None]), network._clipped(far[None]))


def test_it_trains_end_to_end():
    torch.manual_seed(0)
    network = build_backbone("test_efficientnet+statistics").train()
    with torch.no_grad():
        network.classifier.weight.normal_()
    network(torch.zeros(2, 3, 64, 64)).sum().backward()
    gradient = network.conv_stem.weight.grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
